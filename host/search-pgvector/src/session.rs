//! A connection of the pool while it is used for one call.

use std::io::ErrorKind;
use std::time::Duration;

use breakwater_search::IndexError;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};

use crate::error::failed;

/// Goes back into the pool when its call has ended, and is closed when the call was given up in the middle: what the server still sends
/// would otherwise have to be waited for.
pub(crate) struct Session {
    connection: PoolConnection<Postgres>,
    sound: bool,
}

impl Session {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, sound: false }
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Ends it with what came of the call.
    pub(crate) fn settle<T>(mut self, what: &'static str, outcome: Result<T, sqlx::Error>) -> Result<T, IndexError> {
        // After an error of a statement the connection is as good as before; a transaction that is open is rolled back.
        self.sound = matches!(outcome, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound));
        outcome.map_err(failed(what))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.sound {
            self.connection.close_on_drop();
        }
    }
}

/// Waits so long at most. The server has a limit of its own for statements; this one is for a server or network that is silent.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}
