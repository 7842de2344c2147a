//! Workflows and their versions.

use breakwater_workflow::{Part, Range, RecordsError, Workflow, WorkflowStatus};
use sqlx::{QueryBuilder, SqliteConnection};

use super::rows::{WorkflowRow, bound, count, failed, number, text};
use super::statements;
use crate::sqlite::SqliteStore;

impl SqliteStore {
    pub(super) async fn put_definition_version(&self, workflow: &Workflow) -> Result<(), RecordsError> {
        let (record, version) = (text(workflow)?, i64::from(workflow.version));
        let mut write = self.write().await?;
        let put = match workflow.version {
            // Its versions tell an id that was used before.
            1 => {
                "INSERT INTO workflow (id, name, version, status, created_at_ms)
                  SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM workflow_version WHERE workflow_id = $1)"
            }
            _ => "UPDATE workflow SET name = $2, version = $3, status = $4 WHERE id = $1 AND version = $3 - 1",
        };
        let put = sqlx::query(put).bind(&workflow.id).bind(&workflow.definition.name).bind(version).bind(workflow.status.name());
        let put = if workflow.version == 1 { put.bind(number(workflow.created_at_ms)?) } else { put };
        let put = put.execute(&mut *write.transaction).await.map_err(|error| match error.as_database_error() {
            Some(refused) if refused.is_unique_violation() => RecordsError::Conflict,
            _ => failed(error),
        })?;
        if put.rows_affected() == 0 {
            return Err(RecordsError::Conflict);
        }
        let add = sqlx::query(statements::ADD_VERSION).bind(&workflow.id).bind(version).bind(record);
        add.execute(&mut *write.transaction).await.map_err(failed)?;
        write.commit().await
    }

    pub(super) async fn workflow_version(&self, id: &str, version: Option<u32>) -> Result<Option<Workflow>, RecordsError> {
        let find = sqlx::query_as(statements::VERSION).bind(id).bind(version.map(i64::from));
        let row: Option<WorkflowRow> = find.fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(WorkflowRow::workflow).transpose()
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
        let total: i64 = total.build_query_scalar().fetch_one(&self.pool).await.map_err(failed)?;
        let rows: Vec<WorkflowRow> = list.build_query_as().fetch_all(&self.pool).await.map_err(failed)?;
        let items = rows.into_iter().map(WorkflowRow::workflow).collect::<Result<_, _>>()?;
        Ok(Part { items, total: count(total)? })
    }

    pub(super) async fn remove_definition_of(&self, id: &str) -> Result<bool, RecordsError> {
        let mut write = self.write().await?;
        let remove = sqlx::query("DELETE FROM workflow WHERE id = $1").bind(id);
        let removed = remove.execute(&mut *write.transaction).await.map_err(failed)?.rows_affected() > 0;
        if removed {
            prune(&mut write.transaction, Some(id)).await?;
        }
        write.commit().await?;
        Ok(removed)
    }
}

/// Forgets versions, of one workflow or of all, that are not the latest and that no execution runs.
pub(super) async fn prune(connection: &mut SqliteConnection, only: Option<&str>) -> Result<(), RecordsError> {
    let mut prune = QueryBuilder::new(
        "DELETE FROM workflow_version AS v
         WHERE NOT EXISTS (SELECT 1 FROM workflow w WHERE w.id = v.workflow_id AND w.version = v.version)
             AND NOT EXISTS (SELECT 1 FROM workflow_execution x WHERE x.workflow_id = v.workflow_id AND x.workflow_version = v.version)",
    );
    if let Some(id) = only {
        prune.push(" AND v.workflow_id = ").push_bind(id.to_owned());
    }
    prune.build().execute(connection).await.map(drop).map_err(failed)
}
