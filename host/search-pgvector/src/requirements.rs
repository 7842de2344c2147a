//! What a database must have, and how its schema is brought up to date.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgConnection};

use breakwater_search::IndexError;

use crate::error::{failed, unavailable};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// PostgreSQL 16, as `server_version_num` says it.
const LEAST_SERVER: i32 = 160_000;
/// The first pgvector with iterative scans.
const LEAST_PGVECTOR: (u32, u32) = (0, 8);
/// Key of the lock under which a database is prepared: one for all schemas, because they share the extension. Chosen at random.
const PREPARE_LOCK: i64 = 0x6277_7076_6563_746f;

/// What a database lacks, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// The server is too old.
    #[error("PostgreSQL 16 or newer is needed, the server is {0}")]
    Server(String),
    /// pgvector is not installed.
    #[error("pgvector is not installed on the server: install version 0.8 or newer (Debian: postgresql-NN-pgvector)")]
    Missing,
    /// pgvector is there and may not be enabled.
    #[error("the role may not enable pgvector: let an administrator run `CREATE EXTENSION vector` in this database")]
    NotAllowed,
    /// pgvector is too old.
    #[error(
        "pgvector 0.8 or newer is needed, the database has {0}: install it on the server, then run `ALTER EXTENSION vector UPDATE` here"
    )]
    Outdated(String),
}

impl From<RequirementError> for IndexError {
    fn from(error: RequirementError) -> Self {
        unavailable("preparing the database", error)
    }
}

/// Checks versions, enables pgvector and brings the schema up to date. Returns the schema that pgvector lives in. Several processes may do
/// it at once.
pub(crate) async fn prepare(connection: &mut PgConnection, schema: &str) -> Result<String, IndexError> {
    let preparing = failed("preparing the database");
    let (number, version): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::integer, current_setting('server_version')")
            .fetch_one(&mut *connection)
            .await
            .map_err(&preparing)?;
    if number < LEAST_SERVER {
        return Err(RequirementError::Server(version).into());
    }
    // Held until the connection ends.
    sqlx::query("SELECT pg_advisory_lock($1)").bind(PREPARE_LOCK).execute(&mut *connection).await.map_err(&preparing)?;
    let home = enable_pgvector(connection).await?;
    // Asked first, because making a schema that is there needs the right to make one.
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(&preparing)?;
    if !there {
        let create = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)));
        sqlx::query(create).execute(&mut *connection).await.map_err(&preparing)?;
    }
    sqlx::query("SELECT set_config('search_path', $1, false)")
        .bind(search_path(schema, &home))
        .execute(&mut *connection)
        .await
        .map_err(&preparing)?;
    // `run` wants an `Acquire<'_>`, which makes this future unfit for other threads.
    MIGRATIONS.run_direct(None, &mut *connection, false).await.map_err(|error| unavailable("bringing the schema up to date", error))?;
    Ok(home)
}

/// The schema that pgvector lives in, after it was enabled if need be.
async fn enable_pgvector(connection: &mut PgConnection) -> Result<String, IndexError> {
    let looking = failed("looking for pgvector");
    if enabled(connection).await?.is_none() {
        let available: Option<String> = sqlx::query_scalar("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
            .fetch_optional(&mut *connection)
            .await
            .map_err(&looking)?;
        let available = available.ok_or(RequirementError::Missing)?;
        if !is_new_enough(&available) {
            return Err(RequirementError::Outdated(available).into());
        }
        sqlx::query("CREATE EXTENSION IF NOT EXISTS vector").execute(&mut *connection).await.map_err(|error| match error {
            sqlx::Error::Database(refused) if refused.code().is_some_and(|code| code == "42501") => RequirementError::NotAllowed.into(),
            other => looking(other),
        })?;
    }
    let (version, home) = enabled(connection).await?.ok_or(RequirementError::Missing)?;
    if is_new_enough(&version) { Ok(home) } else { Err(RequirementError::Outdated(version).into()) }
}

/// Version and schema of the enabled pgvector.
async fn enabled(connection: &mut PgConnection) -> Result<Option<(String, String)>, IndexError> {
    let text = "SELECT extversion, nspname::text FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'";
    sqlx::query_as(text).fetch_optional(connection).await.map_err(failed("looking for pgvector"))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= LEAST_PGVECTOR,
        _ => false,
    }
}

/// Our tables first, then the types and operators of pgvector.
pub(crate) fn search_path(schema: &str, home: &str) -> String {
    format!("{},{}", quoted(schema), quoted(home))
}

/// A name as SQL takes it, whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for version in ["0.8.0", "0.8.5", "0.10.0", "1.0", "2.1.3"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["0.7.4", "0.1", "unpackaged", "", "0"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(search_path("breakwater", "public"), r#""breakwater","public""#);
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }
}
