//! Answers to queries.

use std::time::Duration;

use breakwater_search::index::MAX_COUNT;
use breakwater_search::{Filter, Hit, Hits, IndexError, Key, Method, Query};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::embedding::bind_one;
use crate::filters;
use crate::index::PgVectorIndex;
use crate::planner::{FEW, Plan, Situation, Tuning, choose};
use crate::session::within;

/// The server gives up so much before the caller does, so that it is the server that ends the statement and the connection stays good.
const HEAD_START: Duration = Duration::from_millis(10);

/// Finds the nearest vectors that the filter admits.
pub(crate) async fn search(index: &PgVectorIndex, query: Query) -> Result<Hits, IndexError> {
    index.check(query.vector.dimension())?;
    if query.count == 0 || query.count > MAX_COUNT {
        return Err(IndexError::Count(query.count));
    }
    if query.deadline.has_passed() {
        return Err(IndexError::Timeout);
    }
    let mut session = index.database.session(Some(query.deadline)).await?;
    let outcome = within(query.deadline.remaining(), Search { index, query: &query }.answer(session.connection())).await;
    session.settle("searching", outcome)
}

struct Search<'a> {
    index: &'a PgVectorIndex,
    query: &'a Query,
}

impl Search<'_> {
    async fn answer(&self, connection: &mut PgConnection) -> Result<Hits, sqlx::Error> {
        let total = match self.index.estimates.vectors() {
            Some(total) => total,
            None => {
                self.index.totals(connection).await?;
                self.index.estimates.vectors().unwrap_or_default()
            }
        };
        if self.query.exact || !self.index.table.indexed || total <= FEW {
            return self.exact(connection, total).await;
        }
        let filter = &self.query.filter;
        let selectivity = if filter.is_empty() { 1.0 } else { self.selectivity(connection, filter, total).await? };
        let config = self.index.database.config();
        let situation = Situation { total, selectivity, filtered: !filter.is_empty(), count: self.query.count };
        match choose(situation, Tuning { ef_search: config.ef_search, max_scan_tuples: config.max_scan_tuples }) {
            Plan::Exact => self.exact(connection, total).await,
            Plan::Graph { method, ef, candidates } => {
                let mut hits = self.walk(connection, ef, candidates).await?;
                // pgvector does not say how many it looked at: as many as it kept, and as the filter refused, at least.
                let passed = f64::from(ef).max(hits.len() as f64 / selectivity).ceil();
                hits.truncate(self.query.count);
                // The walk has its limits, and vectors deleted lately take the place of others. What is there is what counts.
                if hits.len() < self.query.count {
                    return self.exact(connection, total).await;
                }
                Ok(Hits { hits, method, ef: usize::try_from(ef).unwrap_or_default(), scanned: (passed as u64).min(total), selectivity })
            }
        }
    }

    /// The share that the filter admits, as far as the database's statistics and earlier answers tell.
    async fn selectivity(&self, connection: &mut PgConnection, filter: &Filter, total: u64) -> Result<f64, sqlx::Error> {
        if let Some(share) = self.index.estimates.share(filter) {
            return Ok(share);
        }
        let text = format!("EXPLAIN (FORMAT JSON) SELECT key FROM {}{}", self.index.table.quoted, filters::condition(filter, 1));
        let row = filters::bind(sqlx::query(AssertSqlSafe(text)), filter).fetch_one(connection).await?;
        let plan: serde_json::Value = serde_json::from_str(row.try_get_unchecked(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let rows = plan.pointer("/0/Plan/Plan Rows").and_then(serde_json::Value::as_f64);
        let rows = rows.ok_or_else(|| sqlx::Error::Decode("a plan without a number of rows".into()))?;
        let share = (rows / total.max(1) as f64).clamp(0.0, 1.0);
        self.index.estimates.set_share(filter, share);
        Ok(share)
    }

    /// Compares everything that the filter admits, and counts it on the way.
    async fn exact(&self, connection: &mut PgConnection, total: u64) -> Result<Hits, sqlx::Error> {
        let filter = &self.query.filter;
        let text = format!(
            "WITH admitted AS MATERIALIZED (SELECT key, embedding <=> $1 AS distance FROM {}{})
            SELECT key, 1 - distance AS similarity, (SELECT count(*) FROM admitted) AS admitted
            FROM admitted ORDER BY distance, key LIMIT ${}",
            self.index.table.quoted,
            filters::condition(filter, 2),
            2 + filters::parameters(filter),
        );
        let rows = self.rows(connection, format!("BEGIN READ ONLY; {}", self.time_limit()), text, self.query.count).await?;
        let admitted = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>("admitted"))?.cast_unsigned();
        let selectivity = if filter.is_empty() { 1.0 } else { (admitted as f64 / total.max(1) as f64).min(1.0) };
        self.index.estimates.set_share(filter, selectivity);
        Ok(Hits { hits: hits(&rows)?, method: Method::Exact, ef: 0, scanned: admitted, selectivity })
    }

    /// Walks the graph until it has found enough, or as far as it may.
    async fn walk(&self, connection: &mut PgConnection, ef: u32, candidates: usize) -> Result<Vec<Hit>, sqlx::Error> {
        let filter = &self.query.filter;
        let text = format!(
            "SELECT key, 1 - (embedding <=> $1) AS similarity FROM {}{} ORDER BY embedding <=> $1 LIMIT ${}",
            self.index.table.quoted,
            filters::condition(filter, 2),
            2 + filters::parameters(filter),
        );
        let config = self.index.database.config();
        // Without sorting, only the graph gives the order that is asked for.
        let begin = format!(
            "BEGIN READ ONLY; {}; SET LOCAL enable_sort = off; SET LOCAL hnsw.ef_search = {ef};
            SET LOCAL hnsw.iterative_scan = {}; SET LOCAL hnsw.max_scan_tuples = {}",
            self.time_limit(),
            config.iterative_scan.setting(),
            config.max_scan_tuples,
        );
        hits(&self.rows(connection, begin, text, candidates).await?)
    }

    /// Runs one statement in a transaction with settings of its own: two round trips, because the end of the transaction is sent when the
    /// answer is on its way.
    async fn rows(&self, connection: &mut PgConnection, begin: String, text: String, limit: usize) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
        let statement = bind_one(sqlx::query(AssertSqlSafe(text)), self.index.table.storage, &self.query.vector);
        let statement = filters::bind(statement, &self.query.filter).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        statement.fetch_all(&mut *transaction).await
    }

    fn time_limit(&self) -> String {
        let limit = self.query.deadline.reserving(HEAD_START).remaining().min(self.index.database.config().statement_timeout);
        format!("SET LOCAL statement_timeout = {}", limit.as_millis().max(1))
    }
}

/// Most similar first, equal ones by key.
fn hits(rows: &[PgRow]) -> Result<Vec<Hit>, sqlx::Error> {
    let hit = |row: &PgRow| {
        let similarity = row.try_get::<f64, _>("similarity")?.clamp(-1.0, 1.0) as f32;
        Ok(Hit { key: Key(row.try_get::<i64, _>("key")?.cast_unsigned()), similarity })
    };
    let mut hits = rows.iter().map(hit).collect::<Result<Vec<_>, sqlx::Error>>()?;
    hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.key.cmp(&b.key)));
    Ok(hits)
}
