//! Workflows and their versions.

use breakwater_workflow::{Part, Range, RecordsError, Workflow, WorkflowStatus};
use sqlx::{Connection, PgConnection, QueryBuilder};

use super::PostgresStore;
use crate::workflows::rows::{WorkflowRow, bound, count, failed, number, text};
use crate::workflows::statements;

/// A version that nobody needs: neither the latest nor run by an execution.
const NEEDLESS: &str = "
    NOT EXISTS (SELECT 1 FROM workflow w WHERE w.id = v.workflow_id AND w.version = v.version)
    AND NOT EXISTS (SELECT 1 FROM workflow_execution x WHERE x.workflow_id = v.workflow_id AND x.workflow_version = v.version)";

impl PostgresStore {
    pub(super) async fn put_definition_version(&self, workflow: &Workflow) -> Result<(), RecordsError> {
        let put = match workflow.version {
            // Its versions tell an id that was used before.
            1 => {
                "WITH w AS (
                      INSERT INTO workflow (id, name, version, status, created_at_ms)
                      SELECT $1, $2, $3, $4, $6 WHERE NOT EXISTS (SELECT 1 FROM workflow_version WHERE workflow_id = $1) RETURNING id)
                  INSERT INTO workflow_version (workflow_id, version, record) SELECT id, $3, $5 FROM w"
            }
            _ => {
                "WITH w AS (UPDATE workflow SET name = $2, version = $3, status = $4 WHERE id = $1 AND version = $3 - 1 RETURNING id)
                  INSERT INTO workflow_version (workflow_id, version, record) SELECT id, $3, $5 FROM w"
            }
        };
        let put = sqlx::query(put).bind(&workflow.id).bind(&workflow.definition.name).bind(i64::from(workflow.version));
        let put = put.bind(workflow.status.name()).bind(text(workflow)?);
        let put = if workflow.version == 1 { put.bind(number(workflow.created_at_ms)?) } else { put };
        match self.execute(put).await {
            Ok(0) => Err(RecordsError::Conflict),
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(refused)) if refused.is_unique_violation() => Err(RecordsError::Conflict),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn workflow_version(&self, id: &str, version: Option<u32>) -> Result<Option<Workflow>, RecordsError> {
        let find = sqlx::query_as(statements::VERSION).bind(id).bind(version.map(i64::from));
        self.optional(find).await.map_err(failed)?.map(WorkflowRow::workflow).transpose()
    }

    pub(super) async fn list_workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Result<Part<Workflow>, RecordsError> {
        let mut total = QueryBuilder::new("SELECT count(*) FROM workflow w");
        let mut list = QueryBuilder::new(statements::WORKFLOWS);
        for query in [&mut total, &mut list] {
            query.push(" WHERE substr(w.name, 1, 1) <> '_'");
            if let Some(status) = status {
                query.push(" AND w.status = ").push_bind(status.name());
            }
        }
        list.push(" ORDER BY w.created_at_ms DESC, w.id DESC LIMIT ").push_bind(i64::from(range.take));
        list.push(" OFFSET ").push_bind(bound(range.skip));
        let total: Option<(i64,)> = self.optional(total.build_query_as()).await.map_err(failed)?;
        let rows: Vec<WorkflowRow> = self.all(list.build_query_as()).await.map_err(failed)?;
        let items = rows.into_iter().map(WorkflowRow::workflow).collect::<Result<_, _>>()?;
        Ok(Part { items, total: count(total.map_or(0, |(total,)| total))? })
    }

    pub(super) async fn remove_definition_of(&self, id: &str) -> Result<bool, RecordsError> {
        let mut session = self.session().await.map_err(failed)?;
        let outcome = self.within(async {
            let mut transaction = session.connection().begin().await?;
            let remove = sqlx::query("DELETE FROM workflow WHERE id = $1").bind(id);
            let removed = remove.execute(&mut *transaction).await?.rows_affected() > 0;
            if removed {
                prune(&mut transaction, Some(id)).await?;
            }
            transaction.commit().await?;
            Ok(removed)
        });
        let outcome = outcome.await;
        session.settle(outcome).map_err(failed)
    }
}

/// Forgets versions, of one workflow or of all, that nobody needs. In a transaction.
pub(super) async fn prune(connection: &mut PgConnection, only: Option<&str>) -> Result<(), sqlx::Error> {
    // Locked first: who starts an execution holds the version until it is written, and what is written then is seen by the second look.
    let mut lock = QueryBuilder::new("SELECT v.workflow_id, v.version FROM workflow_version v WHERE ");
    lock.push(NEEDLESS);
    if let Some(id) = only {
        lock.push(" AND v.workflow_id = ").push_bind(id.to_owned());
    }
    lock.push(" FOR UPDATE SKIP LOCKED");
    let locked: Vec<(String, i64)> = lock.build_query_as().fetch_all(&mut *connection).await?;
    if locked.is_empty() {
        return Ok(());
    }
    let (ids, versions): (Vec<_>, Vec<_>) = locked.into_iter().unzip();
    let mut delete = QueryBuilder::new("DELETE FROM workflow_version v USING unnest(");
    delete.push_bind(ids).push("::text[], ").push_bind(versions).push("::bigint[]) AS l (id, version)");
    delete.push(" WHERE v.workflow_id = l.id AND v.version = l.version AND ").push(NEEDLESS);
    delete.build().execute(connection).await.map(drop)
}
