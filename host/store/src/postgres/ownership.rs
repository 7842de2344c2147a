//! Who owns an execution, and what is wanted of it. Whether an owner is alive is said by the clock of the database, which all processes share.

use std::time::Duration;

use breakwater_workflow::{Claimed, Fence, Mail, RecordsError, Wanted};
use sqlx::{Connection, QueryBuilder};

use super::PostgresStore;
use crate::workflows::rows::{ClaimedRow, MailRow, bound, failed, mail, undamaged};
use crate::workflows::statements;

/// The owners that were not heard of within their leases.
fn dead_owners() -> QueryBuilder<sqlx::Postgres> {
    let mut query = QueryBuilder::new("SELECT o.owner FROM (");
    query.push(statements::OWNERS);
    query.push(") o WHERE NOT EXISTS (SELECT 1 FROM workflow_node n WHERE n.name = o.owner AND n.alive_until > clock_timestamp())");
    query
}

impl PostgresStore {
    pub(super) async fn heard_of(&self, node: &str, lease: Duration) -> Result<(), RecordsError> {
        let beat = sqlx::query(
            "INSERT INTO workflow_node (name, alive_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
             ON CONFLICT (name) DO UPDATE SET alive_until = excluded.alive_until",
        );
        let milliseconds = i64::try_from(lease.as_millis()).map_err(failed)?;
        self.execute(beat.bind(node).bind(milliseconds)).await.map(drop).map_err(failed)
    }

    pub(super) async fn want_of(&self, id: &str, wanted: Wanted) -> Result<(), RecordsError> {
        let want = sqlx::query(statements::WANT).bind(id).bind(wanted.name());
        if self.execute(want).await.map_err(failed)? > 0 { Ok(()) } else { Err(RecordsError::Absent) }
    }

    pub(super) async fn seen_by(&self, fence: &Fence, wanted: Wanted) -> Result<(), RecordsError> {
        let seen = sqlx::query(statements::SEEN).bind(&fence.execution).bind(&fence.node).bind(bound(fence.epoch)).bind(wanted.name());
        if self.execute(seen).await.map_err(failed)? > 0 {
            return Ok(());
        }
        let owner = sqlx::query_as(statements::OWNER).bind(&fence.execution);
        let there: Option<(Option<String>, i64)> = self.optional(owner).await.map_err(failed)?;
        Err(if there.is_some() { RecordsError::Fenced } else { RecordsError::Absent })
    }

    pub(super) async fn mail_of(&self, node: &str) -> Result<Vec<Mail>, RecordsError> {
        let rows: Vec<MailRow> = self.all(sqlx::query_as(statements::MAIL).bind(node)).await.map_err(failed)?;
        rows.into_iter().map(mail).collect()
    }

    pub(super) async fn release(&self, node: &str) -> Result<(), RecordsError> {
        let mut session = self.session().await.map_err(failed)?;
        let outcome = self.within(async {
            let mut transaction = session.connection().begin().await?;
            sqlx::query("DELETE FROM workflow_node WHERE name = $1").bind(node).execute(&mut *transaction).await?;
            for release in [statements::RELEASE, statements::RELEASE_PAUSED] {
                sqlx::query(release).bind(node).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        });
        let outcome = outcome.await;
        session.settle(outcome).map_err(failed)
    }

    pub(super) async fn claim_for(&self, node: &str, take: u32) -> Result<Vec<Claimed>, RecordsError> {
        // Most of the time there is nothing to be had, and that is seen without a lock.
        let dead: Vec<(String,)> = self.all(dead_owners().build_query_as()).await.map_err(failed)?;
        let dead: Vec<String> = dead.into_iter().map(|(owner,)| owner).collect();
        // What another claims at this moment is passed over, and what was claimed meanwhile is seen to be when it is locked.
        let mut claim = QueryBuilder::new(
            "WITH c AS (
                 SELECT key FROM workflow_execution
                 WHERE (status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL) AND (owner IS NULL OR owner = ANY(",
        );
        claim
            .push_bind(dead)
            .push(")) ORDER BY created_at_ms, id LIMIT ")
            .push_bind(i64::from(take))
            .push(" FOR UPDATE SKIP LOCKED), x AS (");
        claim.push("UPDATE workflow_execution AS x SET owner = ").push_bind(node.to_owned());
        claim.push(", epoch = x.epoch + 1 FROM c WHERE x.key = c.key RETURNING x.*) ");
        claim.push(statements::EXECUTIONS.replacen("SELECT ", "SELECT x.epoch, x.wanted, ", 1).replace("workflow_execution x", "x"));
        claim.push(" ORDER BY x.created_at_ms, x.id");
        let rows: Vec<ClaimedRow> = self.all(claim.build_query_as()).await.map_err(failed)?;
        Ok(undamaged(rows, node))
    }
}
