//! Executions: reading them, and forgetting them.

use breakwater_workflow::{Execution, ExecutionFilter, ExecutionStatus, Part, Range, RecordsError};
use sqlx::QueryBuilder;

use super::definitions::prune;
use super::rows::{ExecutionRow, bound, count, counts, failed};
use super::statements;
use crate::sqlite::SqliteStore;

impl SqliteStore {
    pub(super) async fn execution_by_id(&self, id: &str) -> Result<Option<Execution>, RecordsError> {
        let mut find = QueryBuilder::new(statements::EXECUTIONS);
        find.push(" WHERE x.id = ").push_bind(id.to_owned());
        let row: Option<ExecutionRow> = find.build_query_as().fetch_optional(&self.pool).await.map_err(failed)?;
        row.map(ExecutionRow::execution).transpose()
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
        let total: i64 = total.build_query_scalar().fetch_one(&self.pool).await.map_err(failed)?;
        let rows: Vec<ExecutionRow> = list.build_query_as().fetch_all(&self.pool).await.map_err(failed)?;
        let items = rows.into_iter().map(ExecutionRow::execution).collect::<Result<_, _>>()?;
        Ok(Part { items, total: count(total)? })
    }

    pub(super) async fn execution_counts(&self) -> Result<Vec<(ExecutionStatus, u64)>, RecordsError> {
        counts(sqlx::query_as(statements::COUNTS).fetch_all(&self.pool).await.map_err(failed)?)
    }

    pub(super) async fn forget_ended(&self, ended_before_ms: u64, take: u32) -> Result<u64, RecordsError> {
        let mut write = self.write().await?;
        // Nothing is wanted of what has ended, but that it is retried.
        let forget = sqlx::query(
            "DELETE FROM workflow_execution WHERE key IN
             (SELECT key FROM workflow_execution WHERE completed_at_ms < $1 AND wanted IS NULL ORDER BY completed_at_ms LIMIT $2)",
        );
        let forget = forget.bind(bound(ended_before_ms)).bind(i64::from(take));
        let forgotten = forget.execute(&mut *write.transaction).await.map_err(failed)?.rows_affected();
        prune(&mut write.transaction, None).await?;
        write.commit().await?;
        Ok(forgotten)
    }
}
