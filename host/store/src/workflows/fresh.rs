//! Starting executions: those that come at the same time are written together, because a disk is asked once for all of them.

use std::sync::{Arc, PoisonError};

use breakwater_core::Digest;
use breakwater_workflow::{Created, Execution, Fence, RecordsError};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::oneshot;

use super::journal::chunks;
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
        let written = async {
            let mut write = write?;
            let mut outcomes: Vec<_> = all.iter().map(|fresh| Ok(fresh.created())).collect();
            if !start_at_once(&mut write.transaction, &all).await? {
                write = self.again(write).await?;
                outcomes = start_singly(&mut write.transaction, &all).await?;
            }
            write.commit().await?;
            Ok(outcomes)
        };
        let outcomes = written.await.unwrap_or_else(|error: RecordsError| {
            let error = Arc::new(error);
            all.iter().map(|_| Err(failed(Arc::clone(&error)))).collect()
        });
        for (fresh, outcome) in all.into_iter().zip(outcomes) {
            // Whoever asked may have gone away.
            fresh.answer.send(outcome).ok();
        }
    }
}

impl Fresh {
    /// What is answered once it is written.
    fn created(&self) -> Created {
        Created::New(Fence { execution: self.execution.id.clone(), node: self.node.clone(), epoch: 1 })
    }
}

/// Whether all of them were written, which is nearly always so. Otherwise the transaction is of no use.
async fn start_at_once(connection: &mut SqliteConnection, all: &[Fresh]) -> Result<bool, RecordsError> {
    for chunk in chunks(all) {
        match start(connection, chunk).await {
            Ok(written) if written == chunk.len() as u64 => {}
            Ok(_) | Err(RecordsError::Conflict) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// What became of each, one after the other.
async fn start_singly(connection: &mut SqliteConnection, all: &[Fresh]) -> Result<Vec<Result<Created, RecordsError>>, RecordsError> {
    let mut outcomes = Vec::with_capacity(all.len());
    for fresh in all {
        let outcome = match start(connection, std::slice::from_ref(fresh)).await {
            Ok(0) => known(connection, fresh).await,
            Ok(_) => Ok(fresh.created()),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error @ (RecordsError::Store(_) | RecordsError::Corrupt(_))) => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    Ok(outcomes)
}

/// Adds executions of versions that there are, unless their keys are there; how many it were.
async fn start(connection: &mut SqliteConnection, all: &[Fresh]) -> Result<u64, RecordsError> {
    let mut rows = Vec::with_capacity(all.len());
    for Fresh { execution, digest, node, .. } in all {
        let parent = execution.parent.as_ref().map(text).transpose()?;
        let started = (text(&execution.input)?, digest.as_bytes().to_vec(), text(&execution.context)?, parent);
        rows.push((execution, number(execution.created_at_ms)?, node, started));
    }
    let mut query = QueryBuilder::<Sqlite>::new("WITH f (id, workflow_id, name, version, key, created_at_ms, owner) AS (");
    query.push_values(&rows, |mut row, (execution, created_at_ms, node, _)| {
        row.push_bind(execution.id.clone()).push_bind(execution.workflow_id.clone()).push_bind(execution.workflow_name.clone());
        row.push_bind(i64::from(execution.workflow_version)).push_bind(execution.idempotency_key.clone());
        row.push_bind(*created_at_ms).push_bind((*node).clone());
    });
    query.push(
        ") INSERT INTO workflow_execution
             (id, workflow_id, workflow_name, workflow_version, status, idempotency_key, created_at_ms, owner, epoch)
         SELECT f.id, f.workflow_id, f.name, f.version, 'PENDING', f.key, f.created_at_ms, f.owner, 1 FROM f
         WHERE EXISTS (SELECT 1 FROM workflow_version v WHERE v.workflow_id = f.workflow_id AND v.version = f.version)
         ON CONFLICT (workflow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING",
    );
    let inserted = query.build().execute(&mut *connection).await.map_err(|error| match error.as_database_error() {
        // A key would have been no error.
        Some(refused) if refused.is_unique_violation() => RecordsError::Conflict,
        _ => failed(error),
    })?;
    if inserted.rows_affected() < all.len() as u64 {
        return Ok(inserted.rows_affected());
    }
    let mut query = QueryBuilder::<Sqlite>::new("WITH f (id, input, digest, context, parent) AS (");
    query.push_values(rows, |mut row, (execution, _, _, (input, digest, context, parent))| {
        row.push_bind(execution.id.clone()).push_bind(input).push_bind(digest).push_bind(context).push_bind(parent);
    });
    query.push(
        ") INSERT INTO workflow_start (execution, input, digest, context, parent)
         SELECT x.key, f.input, f.digest, f.context, f.parent FROM f CROSS JOIN workflow_execution x ON x.id = f.id",
    );
    query.build().execute(connection).await.map_err(failed)?;
    Ok(inserted.rows_affected())
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
