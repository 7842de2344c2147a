//! What an operator decides.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::sqlite::StoreError;

/// Where a database is and how it is used. Written without the password.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) options: PgConnectOptions,
    /// The schema of all tables, made when it is absent: 1 to 63 lower-case letters, digits and `_`.
    pub schema: String,
    /// The most connections, 1 or more.
    pub connections: u32,
    /// How long one statement may take; 1 ms or more.
    pub statement_timeout: Duration,
}

impl PostgresConfig {
    /// The database at `url` with the defaults: schema `breakwater_records`, 8 connections, 30 s for a statement.
    ///
    /// The address is `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE`. `sslmode` is `disable`, `allow`, `prefer` (the default),
    /// `require`, `verify-ca` or `verify-full`; `sslrootcert` names a file of certificates to trust instead of the system's. What is not said
    /// comes from `PGHOST`, `PGPASSWORD` and their like, or `~/.pgpass`.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the address cannot be understood.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(StoreError::Url("it does not begin with postgres://".to_owned()));
        }
        // What the parser says names a part of the address at most, never the text.
        let options = url.parse().map_err(|error: sqlx::Error| StoreError::Url(error.to_string()))?;
        Ok(Self { options, schema: "breakwater_records".to_owned(), connections: 8, statement_timeout: Duration::from_secs(30) })
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, schema, connections, statement_timeout } = self;
        let database = options.get_database().unwrap_or_default();
        let address = format!("{}@{}:{}/{database}", options.get_username(), options.get_host(), options.get_port());
        let mut config = f.debug_struct("PostgresConfig");
        config.field("address", &address).field("schema", schema).field("connections", connections);
        config.field("statement_timeout", statement_timeout).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_written() {
        let config = PostgresConfig::new("postgres://user:hunter2@db.example:5433/records?sslmode=require").unwrap();
        let text = format!("{config:?}");
        assert!(text.contains("user@db.example:5433/records") && !text.contains("hunter2"), "{text}");
        for url in ["postgres://user:hunter2@db:port/x", "postgres://user:hunter2@[x", "mysql://user:hunter2@db/x", "hunter2"] {
            let error = PostgresConfig::new(url).unwrap_err();
            assert_eq!(error.code(), "store.url");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
