//! The pool of connections, made when the database was found fit.

use std::time::Duration;

use breakwater_core::Deadline;
use breakwater_search::IndexError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::config::Config;
use crate::error::{failed, unavailable};
use crate::requirements::{prepare, search_path};
use crate::session::Session;

/// A connection that was idle for longer is tried before it is used; one round trip less for the others.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
/// How long a transaction may wait for us with its locks held: only a process that hangs takes that long.
const IDLE_IN_TRANSACTION: &str = "60s";
/// The server ends a statement at its limit; we hear of it a little later.
const GRACE: Duration = Duration::from_secs(1);

/// One schema of a database.
#[derive(Debug)]
pub(crate) struct Database {
    config: Config,
    pool: OnceCell<PgPool>,
}

impl Database {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, pool: OnceCell::new() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How long to wait for the answer to one statement.
    pub(crate) fn patience(&self) -> Duration {
        self.config.statement_timeout + GRACE
    }

    /// The pool, after the schema was prepared. Whoever finds the database away tries again with the next call.
    pub(crate) async fn pool(&self) -> Result<&PgPool, IndexError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        // One call prepares and others wait for it: for its connection, and for another process that prepares.
        let patience = self.config.acquire_timeout + self.patience();
        let made = timeout(patience, self.pool.get_or_try_init(|| self.connect())).await;
        made.unwrap_or(Err(IndexError::Timeout))
    }

    async fn connect(&self) -> Result<PgPool, IndexError> {
        let connecting = failed("connecting to the database");
        let options = self.options();
        let connected = timeout(self.config.acquire_timeout, options.connect()).await;
        let mut connection = connected.map_err(|late| unavailable("connecting to the database", late))?.map_err(connecting)?;
        let prepared = prepare(&mut connection, &self.config.schema).await;
        // Whatever it says: the connection was only for this.
        connection.close().await.ok();
        let options = self.options().options([("search_path", search_path(&self.config.schema, &prepared?))]);
        let pool = PgPoolOptions::new()
            .max_connections(self.config.pool_size)
            .acquire_timeout(self.config.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        Ok(pool.connect_lazy_with(options))
    }

    fn options(&self) -> PgConnectOptions {
        let timeout = self.config.statement_timeout.as_millis().to_string();
        self.config.url.options().clone().application_name("breakwater").options([
            ("statement_timeout", &*timeout),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
            // A plan for any filter is a bad plan for most.
            ("plan_cache_mode", "force_custom_plan"),
        ])
    }

    /// A connection for one call.
    pub(crate) async fn session(&self, deadline: Option<Deadline>) -> Result<Session, IndexError> {
        let work = async {
            let acquired = self.pool().await?.acquire().await;
            acquired.map(Session::new).map_err(|error| match error {
                sqlx::Error::PoolTimedOut => unavailable("waiting for a connection to the database", error),
                other => failed("connecting to the database")(other),
            })
        };
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.instant(), work).await.unwrap_or(Err(IndexError::Timeout)),
            None => work.await,
        }
    }

    pub(crate) async fn close(&self) {
        if let Some(pool) = self.pool.get() {
            pool.close().await;
        }
    }
}
