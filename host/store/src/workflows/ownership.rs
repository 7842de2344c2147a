//! Who owns an execution, and what is wanted of it.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use breakwater_workflow::{Claimed, Fence, Mail, RecordsError, Wanted};
use sqlx::{QueryBuilder, SqliteConnection};

use super::rows::{ClaimedRow, MailRow, bound, failed, mail, undamaged};
use super::statements;
use crate::sqlite::SqliteStore;

impl SqliteStore {
    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.writing.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard_of(&self, node: &str, lease: Duration) {
        self.nodes().insert(node.to_owned(), Instant::now() + lease);
    }

    /// Whether an owner was heard of within its lease. None of another process is: it does not hold the lock.
    fn is_alive(&self, node: &str) -> bool {
        self.nodes().get(node).is_some_and(|until| *until > Instant::now())
    }

    pub(super) async fn want_of(&self, id: &str, wanted: Wanted) -> Result<(), RecordsError> {
        let mut write = self.write().await?;
        let want = sqlx::query(statements::WANT).bind(id).bind(wanted.name());
        let there = want.execute(&mut *write.transaction).await.map_err(failed)?.rows_affected() > 0;
        write.commit().await?;
        if there { Ok(()) } else { Err(RecordsError::Absent) }
    }

    pub(super) async fn seen_by(&self, fence: &Fence, wanted: Wanted) -> Result<(), RecordsError> {
        let mut write = self.write().await?;
        let seen = sqlx::query(statements::SEEN).bind(&fence.execution).bind(&fence.node).bind(bound(fence.epoch)).bind(wanted.name());
        let owned = seen.execute(&mut *write.transaction).await.map_err(failed)?.rows_affected() > 0;
        if owned {
            return write.commit().await;
        }
        let owner = sqlx::query(statements::OWNER).bind(&fence.execution);
        let there = owner.fetch_optional(&mut *write.transaction).await.map_err(failed)?.is_some();
        Err(if there { RecordsError::Fenced } else { RecordsError::Absent })
    }

    pub(super) async fn mail_of(&self, node: &str) -> Result<Vec<Mail>, RecordsError> {
        let rows: Vec<MailRow> = sqlx::query_as(statements::MAIL).bind(node).fetch_all(&self.pool).await.map_err(failed)?;
        rows.into_iter().map(mail).collect()
    }

    pub(super) async fn release(&self, node: &str) -> Result<(), RecordsError> {
        self.nodes().remove(node);
        let mut write = self.write().await?;
        for release in [statements::RELEASE, statements::RELEASE_PAUSED] {
            sqlx::query(release).bind(node).execute(&mut *write.transaction).await.map_err(failed)?;
        }
        write.commit().await
    }

    pub(super) async fn claim_for(&self, node: &str, take: u32) -> Result<Vec<Claimed>, RecordsError> {
        // Most of the time there is nothing to be had, and that is seen without a write.
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let mut dead = owners(&mut connection).await?;
        dead.retain(|owner| !self.is_alive(owner));
        let open = "SELECT EXISTS (SELECT 1 FROM workflow_execution
                    WHERE owner IS NULL AND (status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL))";
        if dead.is_empty() && !sqlx::query_scalar(open).fetch_one(&mut *connection).await.map_err(failed)? {
            return Ok(Vec::new());
        }
        drop(connection);
        let mut write = self.write().await?;
        for owner in dead {
            sqlx::query(statements::RELEASE).bind(owner).execute(&mut *write.transaction).await.map_err(failed)?;
        }
        let claim = sqlx::query_scalar(
            "UPDATE workflow_execution SET owner = $1, epoch = epoch + 1 WHERE key IN
             (SELECT key FROM workflow_execution WHERE owner IS NULL AND (status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL)
              ORDER BY created_at_ms, id LIMIT $2)
             RETURNING key",
        );
        let claim = claim.bind(node).bind(i64::from(take));
        let keys: Vec<i64> = claim.fetch_all(&mut *write.transaction).await.map_err(failed)?;
        let rows = claimed(&mut write.transaction, &keys).await?;
        write.commit().await?;
        Ok(undamaged(rows, node))
    }
}

async fn owners(connection: &mut SqliteConnection) -> Result<Vec<String>, RecordsError> {
    sqlx::query_scalar(statements::OWNERS).fetch_all(connection).await.map_err(failed)
}

async fn claimed(connection: &mut SqliteConnection, keys: &[i64]) -> Result<Vec<ClaimedRow>, RecordsError> {
    let keys = serde_json::to_string(keys).map_err(failed)?;
    let mut query = QueryBuilder::new("SELECT * FROM (");
    query.push(statements::EXECUTIONS.replacen("SELECT ", "SELECT x.epoch, x.wanted, ", 1));
    query.push(" WHERE x.key IN (SELECT value FROM json_each(").push_bind(keys).push("))) ORDER BY created_at_ms, id");
    query.build_query_as().fetch_all(connection).await.map_err(failed)
}
