//! A PostgreSQL (16 or newer) for what several processes share: services, workflows and their executions.
//!
//! One schema belongs to one set of records. Sessions keep settings and prepared statements: a pooler in front of the database must not share
//! them between transactions.

mod config;
mod connection;
mod definitions;
mod executions;
mod journal;
mod ownership;
mod services;
mod workflows;

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use crate::sqlite::StoreError;
pub use config::PostgresConfig;

/// PostgreSQL 16, as `server_version_num` says it.
const LEAST_SERVER: i32 = 160_000;
/// Key of the lock under which a schema is prepared. Chosen at random.
const PREPARE_LOCK: i64 = 0x6277_7265_636f_7264;
/// How long a transaction may wait for us with its locks held: only a process that hangs takes that long.
const IDLE_IN_TRANSACTION: &str = "60s";
/// How long a call waits for a connection, new ones included.
const ACQUIRE: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is tried before it is used; one round trip less for the others.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
/// The server ends a statement at its limit; we hear of it a little later.
const GRACE: Duration = Duration::from_secs(1);

/// Records in one schema of a database. Clones share one pool of connections; a database that is lost is found again by itself.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
    /// How long to wait for the answers to one call.
    patience: Duration,
}

impl PostgresStore {
    /// Connects and brings the schema up to date, making it when it is absent. Several processes may do that at once.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be reached or used, or its schema is not one that can be brought up to date.
    pub async fn open(config: &PostgresConfig) -> Result<Self, StoreError> {
        let patience = config.statement_timeout + GRACE;
        let options = options(config);
        let prepared = timeout(ACQUIRE + patience, async {
            let mut connection = options.connect().await.map_err(open)?;
            let prepared = prepare(&mut connection, &config.schema).await;
            // Whatever it says: the connection was only for this.
            connection.close().await.ok();
            prepared
        });
        prepared.await.map_err(open)??;
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, patience })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn open(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Open(error.into())
}

fn options(config: &PostgresConfig) -> PgConnectOptions {
    let timeout = config.statement_timeout.as_millis().to_string();
    config.options.clone().application_name("breakwater").options([
        ("search_path", &*quoted(&config.schema)),
        ("statement_timeout", &*timeout),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        // What was answered survives a crash, whatever the server's default is.
        ("synchronous_commit", "on"),
    ])
}

/// A name as SQL takes it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("./migrations_postgres");
    // Its own, so that the schema may be shared with other tables.
    migrations.dangerous_set_table_name("record_migrations");
    migrations
}

async fn prepare(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let (number, version): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::integer, current_setting('server_version')")
            .fetch_one(&mut *connection)
            .await
            .map_err(open)?;
    if number < LEAST_SERVER {
        return Err(StoreError::Server(version));
    }
    // Held until the connection ends.
    sqlx::query("SELECT pg_advisory_lock($1)").bind(PREPARE_LOCK).execute(&mut *connection).await.map_err(open)?;
    // Asked first, because making a schema that is there needs the right to make one.
    let there = sqlx::query_scalar("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL").bind(schema);
    if !there.fetch_one(&mut *connection).await.map_err(open)? {
        let create = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)));
        sqlx::query(create).execute(&mut *connection).await.map_err(open)?;
    }
    // `run` wants an `Acquire<'_>`, which makes this future unfit for other threads.
    migrations().run_direct(None, connection, false).await.map_err(|error: MigrateError| StoreError::Migrate(error))
}
