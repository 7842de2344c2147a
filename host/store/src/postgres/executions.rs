//! Executions: starting, reading and forgetting them.

use breakwater_core::Digest;
use breakwater_workflow::{Created, Execution, ExecutionFilter, ExecutionStatus, Fence, Part, Range, RecordsError};
use sqlx::{Connection, QueryBuilder};

use super::PostgresStore;
use super::definitions::prune;
use crate::workflows::rows::{ExecutionRow, bound, count, counts, failed, number, text};
use crate::workflows::statements;

/// Adds an execution of a version that there is, unless its key is there. The version is held, so that nobody forgets it meanwhile.
const CREATE: &str = "
    WITH v AS (SELECT 1 FROM workflow_version WHERE workflow_id = $2 AND version = $4 FOR KEY SHARE),
    x AS (
        INSERT INTO workflow_execution
            (id, workflow_id, workflow_name, workflow_version, status, idempotency_key, created_at_ms, owner, epoch)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, 1 FROM v
        ON CONFLICT (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING key)
    INSERT INTO workflow_start (execution, input, digest, context, parent) SELECT key, $9, $10, $11, $12 FROM x";

impl PostgresStore {
    pub(super) async fn create_execution(&self, execution: &Execution, digest: Digest, node: &str) -> Result<Created, RecordsError> {
        let create = sqlx::query(CREATE).bind(&execution.id).bind(&execution.workflow_id).bind(&execution.workflow_name);
        let create = create.bind(i64::from(execution.workflow_version)).bind(ExecutionStatus::Pending.name());
        let create = create.bind(&execution.idempotency_key).bind(number(execution.created_at_ms)?).bind(node);
        let create = create.bind(text(&execution.input)?).bind(digest.as_bytes().to_vec()).bind(text(&execution.context)?);
        let create = create.bind(execution.parent.as_ref().map(text).transpose()?);
        match self.execute(create).await {
            Ok(0) => self.known(execution, digest).await,
            Ok(_) => Ok(Created::New(Fence { execution: execution.id.clone(), node: node.to_owned(), epoch: 1 })),
            // Its key would have been no error.
            Err(sqlx::Error::Database(refused)) if refused.is_unique_violation() => Err(RecordsError::Conflict),
            Err(error) => Err(failed(error)),
        }
    }

    /// What there is instead of an execution that was not written.
    async fn known(&self, execution: &Execution, digest: Digest) -> Result<Created, RecordsError> {
        let Some(key) = &execution.idempotency_key else { return Err(RecordsError::Absent) };
        let find = sqlx::query_as(statements::KEYED).bind(&execution.workflow_id).bind(key);
        let found: Option<(String, Vec<u8>)> = self.optional(find).await.map_err(failed)?;
        let (id, stored) = found.ok_or(RecordsError::Absent)?;
        if stored != digest.as_bytes() {
            return Ok(Created::KeyReused(id));
        }
        self.execution_by_id(&id).await?.map(|execution| Created::Existing(Box::new(execution))).ok_or(RecordsError::Absent)
    }

    pub(super) async fn execution_by_id(&self, id: &str) -> Result<Option<Execution>, RecordsError> {
        let mut find = QueryBuilder::new(statements::EXECUTIONS);
        find.push(" WHERE x.id = ").push_bind(id.to_owned());
        self.optional(find.build_query_as()).await.map_err(failed)?.map(ExecutionRow::execution).transpose()
    }

    pub(super) async fn list_executions(&self, filter: &ExecutionFilter, range: Range) -> Result<Part<Execution>, RecordsError> {
        let mut total = QueryBuilder::new("SELECT count(*) FROM workflow_execution x");
        let mut list = QueryBuilder::new(statements::EXECUTIONS);
        for query in [&mut total, &mut list] {
            match &filter.workflow_id {
                Some(id) => query.push(" WHERE x.workflow_id = ").push_bind(id.clone()),
                None => query.push(" WHERE substr(x.workflow_name, 1, 1) <> '_'"),
            };
            if let Some(status) = filter.status {
                query.push(" AND x.status = ").push_bind(status.name());
            }
        }
        list.push(" ORDER BY x.created_at_ms DESC, x.id DESC LIMIT ").push_bind(i64::from(range.take));
        list.push(" OFFSET ").push_bind(bound(range.skip));
        let total: Option<(i64,)> = self.optional(total.build_query_as()).await.map_err(failed)?;
        let rows: Vec<ExecutionRow> = self.all(list.build_query_as()).await.map_err(failed)?;
        let items = rows.into_iter().map(ExecutionRow::execution).collect::<Result<_, _>>()?;
        Ok(Part { items, total: count(total.map_or(0, |(total,)| total))? })
    }

    pub(super) async fn execution_counts(&self) -> Result<Vec<(ExecutionStatus, u64)>, RecordsError> {
        counts(self.all(sqlx::query_as(statements::COUNTS)).await.map_err(failed)?)
    }

    pub(super) async fn forget_ended(&self, ended_before_ms: u64, take: u32) -> Result<u64, RecordsError> {
        let mut session = self.session().await.map_err(failed)?;
        let outcome = self.within(async {
            let mut transaction = session.connection().begin().await?;
            // Nothing is wanted of what has ended, but that it is retried. Looked at again once it is locked.
            let forget = sqlx::query_scalar(
                "DELETE FROM workflow_execution WHERE completed_at_ms < $1 AND wanted IS NULL AND key IN
                 (SELECT key FROM workflow_execution WHERE completed_at_ms < $1 AND wanted IS NULL
                  ORDER BY completed_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED)
                 RETURNING key",
            );
            let forget = forget.bind(bound(ended_before_ms)).bind(i64::from(take));
            let keys: Vec<i64> = forget.fetch_all(&mut *transaction).await?;
            for delete in [
                "DELETE FROM workflow_event WHERE execution = ANY($1)",
                "DELETE FROM workflow_signal WHERE execution = ANY($1)",
                "DELETE FROM workflow_start WHERE execution = ANY($1)",
            ] {
                sqlx::query(delete).bind(&keys).execute(&mut *transaction).await?;
            }
            prune(&mut transaction, None).await?;
            sqlx::query("DELETE FROM workflow_node WHERE alive_until < now() - interval '1 day'").execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(keys.len() as u64)
        });
        let outcome = outcome.await;
        session.settle(outcome).map_err(failed)
    }
}
