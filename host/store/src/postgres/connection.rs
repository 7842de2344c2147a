//! A connection of the pool while it is used for one call.

use std::io::ErrorKind;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{FromRow, PgConnection, Postgres};

use super::PostgresStore;

/// Goes back into the pool when its call has ended, and is closed when the call was given up in the middle: what the server still sends
/// would otherwise have to be waited for.
pub(super) struct Session {
    connection: PoolConnection<Postgres>,
    sound: bool,
}

impl Session {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Ends it with what came of the call.
    pub(super) fn settle<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        // After an error of a statement the connection is as good as before; a transaction that is open is rolled back.
        self.sound = matches!(outcome, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound));
        outcome
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.sound {
            self.connection.close_on_drop();
        }
    }
}

impl PostgresStore {
    /// A connection for one call.
    pub(super) async fn session(&self) -> Result<Session, sqlx::Error> {
        Ok(Session { connection: self.pool.acquire().await?, sound: false })
    }

    /// Waits for as long as a call may take. The server has a limit of its own for each statement; this one is for a server or network that
    /// is silent.
    pub(super) async fn within<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        tokio::time::timeout(self.patience, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
    }

    /// Every row of one statement.
    pub(super) async fn all<O>(&self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Vec<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut session = self.session().await?;
        let outcome = self.within(query.fetch_all(session.connection())).await;
        session.settle(outcome)
    }

    /// The only row of one statement, if there is one.
    pub(super) async fn optional<O>(&self, query: QueryAs<'_, Postgres, O, PgArguments>) -> Result<Option<O>, sqlx::Error>
    where
        O: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut session = self.session().await?;
        let outcome = self.within(query.fetch_optional(session.connection())).await;
        session.settle(outcome)
    }

    /// How many rows one statement touched.
    pub(super) async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, sqlx::Error> {
        let mut session = self.session().await?;
        let outcome = self.within(query.execute(session.connection())).await;
        Ok(session.settle(outcome)?.rows_affected())
    }
}
