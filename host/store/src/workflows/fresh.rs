//! Starting executions: those that come at the same time are written together, because a disk is asked once for all of them.

use std::sync::{Arc, PoisonError};

use breakwater_core::Digest;
use breakwater_workflow::{Created, Execution, ExecutionStatus, Fence, RecordsError};
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::rows::{failed, number, text};
use super::{Writing, statements};
use crate::sqlite::SqliteStore;

/// An execution that waits to be written.
#[derive(Debug)]
pub(super) struct Fresh {
    execution: Execution,
    digest: Digest,
    node: String,
    answer: oneshot::Sender<Result<Created, RecordsError>>,
}

impl Writing {
    fn fresh(&self) -> std::sync::MutexGuard<'_, Vec<Fresh>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteStore {
    pub(super) async fn create_execution(&self, execution: &Execution, digest: Digest, node: &str) -> Result<Created, RecordsError> {
        let (answer, answered) = oneshot::channel();
        let fresh = Fresh { execution: execution.clone(), digest, node: node.to_owned(), answer };
        let first = {
            let mut waiting = self.writing.fresh();
            waiting.push(fresh);
            waiting.len() == 1
        };
        if first {
            // On its own: whoever asked may go away, and others wait for it too. It ends with this one transaction.
            let store = self.clone();
            tokio::spawn(async move { store.write_fresh().await });
        }
        answered.await.map_err(failed)?
    }

    /// Writes all that have come until it is their turn.
    async fn write_fresh(&self) {
        let write = self.write().await;
        let all = std::mem::take(&mut *self.writing.fresh());
        let mut outcomes = Vec::with_capacity(all.len());
        let written = async {
            let mut write = write?;
            for fresh in &all {
                outcomes.push(match start(&mut write.transaction, fresh).await {
                    Err(error @ (RecordsError::Store(_) | RecordsError::Corrupt(_))) => return Err(error),
                    outcome => outcome,
                });
            }
            write.commit().await
        };
        if let Err(error) = written.await {
            let error = Arc::new(error);
            outcomes = all.iter().map(|_| Err(failed(Arc::clone(&error)))).collect();
        }
        for (fresh, outcome) in all.into_iter().zip(outcomes) {
            // Whoever asked may have gone away.
            fresh.answer.send(outcome).ok();
        }
    }
}

async fn start(connection: &mut SqliteConnection, fresh: &Fresh) -> Result<Created, RecordsError> {
    let Fresh { execution, digest, node, .. } = fresh;
    let insert = sqlx::query_scalar(
        "INSERT INTO workflow_execution
             (id, workflow_id, workflow_name, workflow_version, status, idempotency_key, created_at_ms, owner, epoch)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, 1 WHERE EXISTS (SELECT 1 FROM workflow_version WHERE workflow_id = $2 AND version = $4)
         ON CONFLICT (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING key",
    );
    let insert = insert.bind(&execution.id).bind(&execution.workflow_id).bind(&execution.workflow_name);
    let insert = insert.bind(i64::from(execution.workflow_version)).bind(ExecutionStatus::Pending.name());
    let insert = insert.bind(&execution.idempotency_key).bind(number(execution.created_at_ms)?).bind(node);
    let key: Option<i64> = insert.fetch_optional(&mut *connection).await.map_err(|error| match error.as_database_error() {
        // Its key would have been no error.
        Some(refused) if refused.is_unique_violation() => RecordsError::Conflict,
        _ => failed(error),
    })?;
    let Some(key) = key else { return known(connection, fresh).await };
    let parent = execution.parent.as_ref().map(text).transpose()?;
    let put = sqlx::query(statements::START).bind(key).bind(text(&execution.input)?).bind(digest.as_bytes().to_vec());
    put.bind(text(&execution.context)?).bind(parent).execute(connection).await.map_err(failed)?;
    Ok(Created::New(Fence { execution: execution.id.clone(), node: node.clone(), epoch: 1 }))
}

/// What there is instead of an execution that was not written.
async fn known(connection: &mut SqliteConnection, fresh: &Fresh) -> Result<Created, RecordsError> {
    let Some(key) = &fresh.execution.idempotency_key else { return Err(RecordsError::Absent) };
    let find = sqlx::query_as(statements::KEYED).bind(&fresh.execution.workflow_id).bind(key);
    let found: Option<(String, Vec<u8>)> = find.fetch_optional(&mut *connection).await.map_err(failed)?;
    let Some((id, digest)) = found else { return Err(RecordsError::Absent) };
    if digest != fresh.digest.as_bytes() {
        return Ok(Created::KeyReused(id));
    }
    let mut query = sqlx::QueryBuilder::new(statements::EXECUTIONS);
    query.push(" WHERE x.id = ").push_bind(id);
    let row: super::rows::ExecutionRow = query.build_query_as().fetch_one(connection).await.map_err(failed)?;
    Ok(Created::Existing(Box::new(row.execution()?)))
}
