//! The stored feature flags.

use breakwater_core::BoxFuture;
use breakwater_flags::{Flag, FlagRecords, FlagRecordsError, FlagState};

use crate::sqlite::SqliteStore;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FlagRecordsError {
    FlagRecordsError::Store(error.into())
}

/// A count as it is stored. Only a damaged file holds one that is out of range.
fn count(stored: i64) -> Result<u64, FlagRecordsError> {
    u64::try_from(stored).map_err(|error| FlagRecordsError::Corrupt(error.to_string()))
}

impl SqliteStore {
    async fn flag_revision(&self) -> Result<u64, FlagRecordsError> {
        let revision = sqlx::query_scalar("SELECT revision FROM flag_revision").fetch_one(&self.pool).await;
        count(revision.map_err(failed)?)
    }

    async fn load_flags(&self) -> Result<FlagState, FlagRecordsError> {
        // Both reads in one transaction, so that they see the same moment.
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let revision = sqlx::query_scalar("SELECT revision FROM flag_revision").fetch_one(&mut *transaction).await.map_err(failed)?;
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as("SELECT name, version, definition FROM flag").fetch_all(&mut *transaction).await.map_err(failed)?;
        let flags = rows.into_iter().map(|(name, version, definition)| {
            let flag: Flag =
                serde_json::from_str(&definition).map_err(|error| FlagRecordsError::Corrupt(format!("flag `{name}`: {error}")))?;
            Ok((name, Flag { version: count(version)?, ..flag }))
        });
        Ok(FlagState { revision: count(revision)?, flags: flags.collect::<Result<_, FlagRecordsError>>()? })
    }

    /// Replaces, adds or, without a flag, removes. Returns the new revision.
    async fn change_flag(&self, name: &str, expected: u64, flag: Option<&Flag>) -> Result<u64, FlagRecordsError> {
        // The write lock from the start: nobody else can come between the comparison and the change.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let version = sqlx::query_scalar("SELECT version FROM flag WHERE name = ?").bind(name.to_owned());
        let found = version.fetch_optional(&mut *transaction).await.map_err(failed)?.map_or(Ok(0), count)?;
        if found != expected || (found == 0 && flag.is_none()) {
            transaction.rollback().await.map_err(failed)?;
            return Err(FlagRecordsError::Conflict { expected, found });
        }
        let next = sqlx::query_scalar("UPDATE flag_revision SET revision = revision + 1 RETURNING revision");
        let revision: i64 = next.fetch_one(&mut *transaction).await.map_err(failed)?;
        let new = count(revision)?;
        let change = match flag {
            Some(flag) => {
                let definition = serde_json::to_string(&Flag { version: new, ..flag.clone() }).map_err(failed)?;
                sqlx::query("INSERT OR REPLACE INTO flag (name, version, definition) VALUES (?, ?, ?)")
                    .bind(name.to_owned())
                    .bind(revision)
                    .bind(definition)
            }
            None => sqlx::query("DELETE FROM flag WHERE name = ?").bind(name.to_owned()),
        };
        change.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(new)
    }
}

impl FlagRecords for SqliteStore {
    fn revision(&self) -> BoxFuture<'_, Result<u64, FlagRecordsError>> {
        Box::pin(self.flag_revision())
    }

    fn load(&self) -> BoxFuture<'_, Result<FlagState, FlagRecordsError>> {
        Box::pin(self.load_flags())
    }

    fn put<'a>(&'a self, name: &'a str, expected: u64, flag: &'a Flag) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(self.change_flag(name, expected, Some(flag)))
    }

    fn remove<'a>(&'a self, name: &'a str, expected: u64) -> BoxFuture<'a, Result<u64, FlagRecordsError>> {
        Box::pin(self.change_flag(name, expected, None))
    }
}
