//! What an operator decides.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

/// How vectors are stored, for tables made from now on: a table that is there keeps what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Half precision, `halfvec`: half the memory, similarities within 0.001. A graph up to 4000 dimensions.
    #[default]
    HalfVec,
    /// Single precision, `vector`. A graph up to 2000 dimensions.
    Vector,
}

impl Storage {
    /// The most dimensions over which pgvector builds a graph (`HNSW_MAX_DIM` of its source, twice that for half precision). Above, every
    /// query is exact.
    #[must_use]
    pub fn most_indexed_dimensions(self) -> u32 {
        match self {
            Self::HalfVec => 4000,
            Self::Vector => 2000,
        }
    }

    /// The name of the column's type.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::HalfVec => "halfvec",
            Self::Vector => "vector",
        }
    }

    pub(crate) fn from_type_name(name: &str) -> Option<Self> {
        [Self::HalfVec, Self::Vector].into_iter().find(|storage| storage.type_name() == name)
    }
}

/// In which order a graph hands out more candidates once a filter has refused the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IterativeScan {
    /// About in order, and more of them: better recall. What is answered is sorted all the same.
    #[default]
    RelaxedOrder,
    /// In order; candidates that come late are dropped.
    StrictOrder,
}

impl IterativeScan {
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::RelaxedOrder => "relaxed_order",
            Self::StrictOrder => "strict_order",
        }
    }
}

/// Where a database is and how to get in: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE`. Written without the password.
///
/// `sslmode` is `disable`, `allow`, `prefer` (the default), `require`, `verify-ca` or `verify-full`; `sslrootcert` names a file of
/// certificates to trust instead of the system's. What is not said comes from `PGHOST`, `PGPASSWORD` and their like, or `~/.pgpass`.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

impl DatabaseUrl {
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(ConfigError::Url("it does not begin with postgres://".to_owned()));
        }
        // What the parser says names a part of the address at most, never the text.
        text.parse().map(Self).map_err(|error: sqlx::Error| ConfigError::Url(error.to_string()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(options) = self;
        write!(f, "postgres://{}@{}:{}", options.get_username(), options.get_host(), options.get_port())?;
        options.get_database().map_or(Ok(()), |database| write!(f, "/{database}"))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the database is used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub url: DatabaseUrl,
    /// The schema of all tables, made when it is absent: 1 to 63 lower-case letters, digits and `_`, a letter first, not `pg_…`. Records
    /// that are kept apart need schemas of their own.
    pub schema: String,
    /// The most connections, 1..=1000.
    pub pool_size: u32,
    /// How long a call waits for a connection, new ones included; 1 ms to 1 h.
    pub acquire_timeout: Duration,
    /// How long one statement may take; 1 ms to 1 h. A search ends at its deadline if that is sooner.
    pub statement_timeout: Duration,
    /// Precision of tables made from now on.
    pub storage: Storage,
    /// Links of a vector in a graph made from now on, 2..=100.
    pub m: u32,
    /// Candidates kept while a graph made from now on is built, at least 2 × `m`, 4..=1000.
    pub ef_construction: u32,
    /// Candidates kept while a graph is walked, 1..=1000; more are kept when more hits are asked for.
    pub ef_search: u32,
    /// How a graph goes on when a filter refuses candidates.
    pub iterative_scan: IterativeScan,
    /// How many vectors such a walk looks at before the rest is found by comparing everything, 1..=1 000 000 000.
    pub max_scan_tuples: u32,
}

impl Config {
    /// The defaults: schema `breakwater`, 8 connections, 3 s for a connection, 30 s for a statement, half precision; `m` 16,
    /// `ef_construction` 64 and `max_scan_tuples` 20 000 as pgvector has them; `ef_search` 100, which finds more than its 40.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            schema: "breakwater".to_owned(),
            pool_size: 8,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(30),
            storage: Storage::default(),
            m: 16,
            ef_construction: 64,
            ef_search: 100,
            iterative_scan: IterativeScan::default(),
            max_scan_tuples: 20_000,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let letters = self.schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let first = self.schema.starts_with(|first: char| first.is_ascii_lowercase());
        if !letters || !first || self.schema.len() > 63 || self.schema.starts_with("pg_") {
            return Err(ConfigError::Schema(self.schema.chars().take(80).collect()));
        }
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        for (field, least, most, value) in [
            ("pool_size", 1, 1000, self.pool_size.into()),
            ("acquire_timeout", 1, 3_600_000, milliseconds(self.acquire_timeout)),
            ("statement_timeout", 1, 3_600_000, milliseconds(self.statement_timeout)),
            ("m", 2, 100, self.m.into()),
            ("ef_construction", u64::from(2 * self.m.min(100)).max(4), 1000, self.ef_construction.into()),
            ("ef_search", 1, u64::from(MOST_EF), self.ef_search.into()),
            ("max_scan_tuples", 1, 1_000_000_000, self.max_scan_tuples.into()),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::OutOfRange { field, least, most, value });
            }
        }
        Ok(())
    }
}

/// The largest `hnsw.ef_search` that pgvector takes (`HNSW_MAX_EF_SEARCH` of its source).
pub(crate) const MOST_EF: u32 = 1000;

/// Why a configuration cannot be used. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The address cannot be understood.
    #[error("the address of the database cannot be used: {0}")]
    Url(String),
    /// No name for a schema.
    #[error("{0:?} cannot be the schema: it takes 1 to 63 lower-case letters, digits and _, a letter first, and not pg_")]
    Schema(String),
    /// A number is too small or too large.
    #[error("{field} takes {least} to {most}, not {value}")]
    OutOfRange {
        /// Which; times are in milliseconds.
        field: &'static str,
        /// Allowed.
        least: u64,
        /// Allowed.
        most: u64,
        /// Given.
        value: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new("postgres://user:hunter2@db.example:5433/vectors?sslmode=require".parse().unwrap())
    }

    #[test]
    fn a_password_is_never_written() {
        let config = config();
        assert_eq!(config.url.to_string(), "postgres://user@db.example:5433/vectors");
        assert!(!format!("{config:?}").contains("hunter2"));
        for text in ["postgres://user:hunter2@db:port/x", "postgres://user:hunter2@[x", "mysql://user:hunter2@db/x", "hunter2"] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn every_number_has_its_range() {
        config().validate().unwrap();
        let refused = |change: fn(&mut Config), name: &str| {
            let mut config = config();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert!(matches!(error, ConfigError::OutOfRange { field, .. } if field == name), "{error}");
        };
        refused(|config| config.pool_size = 0, "pool_size");
        refused(|config| config.pool_size = 1001, "pool_size");
        refused(|config| config.acquire_timeout = Duration::ZERO, "acquire_timeout");
        refused(|config| config.statement_timeout = Duration::from_secs(3601), "statement_timeout");
        refused(|config| config.m = 1, "m");
        refused(|config| config.m = 101, "m");
        refused(|config| config.ef_construction = 31, "ef_construction");
        refused(|config| config.ef_construction = 1001, "ef_construction");
        refused(|config| config.ef_search = 0, "ef_search");
        refused(|config| config.ef_search = 1001, "ef_search");
        refused(|config| config.max_scan_tuples = 0, "max_scan_tuples");
    }

    #[test]
    fn a_schema_has_a_plain_name() {
        for schema in ["breakwater", "a", "tenant_7"] {
            Config { schema: schema.to_owned(), ..config() }.validate().unwrap();
        }
        for schema in ["", "7a", "Upper", "a-b", "a\"; DROP SCHEMA public", "pg_own", &"a".repeat(64)] {
            let error = Config { schema: schema.to_owned(), ..config() }.validate().unwrap_err();
            assert!(matches!(error, ConfigError::Schema(_)), "{schema}");
        }
    }
}
