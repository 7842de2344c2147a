//! The index of one space.

use std::sync::Arc;

use breakwater_core::BoxFuture;
use breakwater_search::{Entry, Filter, Hits, IndexError, Key, Query, Space, VectorIndex};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::database::Database;
use crate::estimates::Estimates;
use crate::filters;
use crate::session::within;
use crate::table::{self, Table};
use crate::{search, write};

/// Vectors in a table.
#[derive(Debug)]
pub(crate) struct PgVectorIndex {
    pub(crate) database: Arc<Database>,
    pub(crate) space: Space,
    pub(crate) table: Table,
    pub(crate) estimates: Estimates,
}

impl PgVectorIndex {
    pub(crate) async fn open(database: Arc<Database>, space: &Space) -> Result<Self, IndexError> {
        let table = table::open(&database, space).await?;
        let index = Self { database, space: space.clone(), table, estimates: Estimates::default() };
        index.look().await?;
        Ok(index)
    }

    /// The sequence number in the database. Looks at the other figures on the way.
    async fn look(&self) -> Result<u64, IndexError> {
        let mut session = self.database.session(None).await?;
        let outcome = within(self.database.patience(), self.totals(session.connection())).await;
        session.settle("reading the index's state", outcome)
    }

    /// Reads how many vectors there are, what they take, and the sequence number, which it returns.
    pub(crate) async fn totals(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let text = "SELECT vectors, sequence, pg_total_relation_size(quote_ident(table_name)::regclass) AS bytes
            FROM spaces WHERE table_name = $1";
        let row = sqlx::query(text).bind(&self.table.name).fetch_one(connection).await?;
        let number = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
        self.estimates.set_totals(number("vectors")?, number("bytes")?);
        number("sequence")
    }

    async fn admitted(&self, filter: &Filter) -> Result<u64, IndexError> {
        let text = format!("SELECT count(*) FROM {}{}", self.table.quoted, filters::condition(filter, 1));
        let mut session = self.database.session(None).await?;
        let outcome = within(self.database.patience(), async {
            filters::bind(sqlx::query(AssertSqlSafe(text)), filter).fetch_one(session.connection()).await?.try_get::<i64, _>(0)
        })
        .await;
        session.settle("counting", outcome).map(i64::cast_unsigned)
    }

    /// Refuses a vector of another dimension.
    pub(crate) fn check(&self, found: usize) -> Result<(), IndexError> {
        let expected = self.space.dimension;
        if usize::try_from(expected).is_ok_and(|expected| expected == found) {
            Ok(())
        } else {
            Err(IndexError::Dimension { expected, found })
        }
    }
}

impl VectorIndex for PgVectorIndex {
    fn space(&self) -> &Space {
        &self.space
    }

    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        Box::pin(write::upsert(self, entries, sequence))
    }

    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        Box::pin(write::delete(self, keys, sequence))
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        Box::pin(search::search(self, query))
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        Box::pin(self.admitted(filter))
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        Box::pin(self.look())
    }

    /// Changes are as durable as the database makes them when it commits (`synchronous_commit`): there is nothing to do.
    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        Box::pin(self.look())
    }

    fn bytes(&self) -> u64 {
        self.estimates.bytes()
    }
}
