//! The SQLite file: opening, migrations, durability.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::workflows::Writing;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// One writer at a time is all SQLite has; readers are few.
const MAX_CONNECTIONS: u32 = 4;

/// Pages that a connection keeps at most, as SQLite says 16 MiB. Its own default is 2 MB, which the rows that executions at work write in
/// turn do not fit into.
const PAGE_CACHE: &str = "-16384";

/// An open database. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(crate) pool: SqlitePool,
    pub(crate) file: PathBuf,
    pub(crate) writing: Arc<Writing>,
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be made or opened.
    #[error("the database could not be opened")]
    Open(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The schema could not be brought up to date; it may be that of a newer version of this program.
    #[error("the database's schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The address of a database cannot be understood. Holds no password.
    #[error("the address of the database cannot be used: {0}")]
    Url(String),
    /// The server of a database is too old.
    #[error("PostgreSQL 16 or newer is needed, the server is {0}")]
    Server(String),
    /// Another process runs the workflows of this database.
    #[error("another process runs the workflows of this database")]
    ExecutorElsewhere,
}

impl StoreError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(_) => "store.open",
            Self::Migrate(_) => "store.migrate",
            Self::Url(_) => "store.url",
            Self::Server(_) => "store.server",
            Self::ExecutorElsewhere => "store.executor-elsewhere",
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(FailureKind::Unavailable, error.code(), error.to_string()).caused_by(error)
    }
}

impl SqliteStore {
    /// Opens the database in `file`, making it when it is absent (readable by this user only), and brings its schema up to date.
    ///
    /// Writes are in the write-ahead log and synced before they are answered.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used or its schema is not one that can be brought up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
        made.map_err(|error| StoreError::Open(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", PAGE_CACHE);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            // A full disk makes SQLite end a transaction by itself. The library takes it to be open from then on, and could begin no other.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await;
        let pool = pool.map_err(|error| StoreError::Open(error.into()))?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool, file: file.to_owned(), writing: Arc::default() })
    }

    /// Closes every connection, so that the write-ahead log is merged into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
