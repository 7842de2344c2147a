//! Executions by the cluster's own lists.

use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::{Execution, ExecutionFilter, ExecutionStatus, Part, Range};
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use temporalio_client::{WorkflowCountOptions, WorkflowListOptions};

use crate::cluster::Cluster;
use crate::failures::unavailable;
use crate::workflow::{OF_WORKFLOW, STATUS, TYPE};

/// How long the cluster may take to count.
const COUNT_PATIENCE: Duration = Duration::from_secs(3);
/// Executions that are looked at at once.
const LOOKS: usize = 16;

impl Cluster {
    /// The executions that fit. One that was retried stands where its runs stand, once in a page.
    pub(crate) async fn list(&self, filter: &ExecutionFilter, range: Range) -> Result<Part<Execution>, Failure> {
        let query = query(filter);
        let total = self.count(&query).await?;
        let skip = usize::try_from(range.skip).unwrap_or(usize::MAX);
        let take = usize::try_from(range.take).unwrap_or(usize::MAX);
        if range.skip >= total {
            return Ok(Part { items: Vec::new(), total });
        }
        let mut options = WorkflowListOptions::default();
        options.limit = Some(skip.saturating_add(take));
        let listed: Vec<_> = self
            .client
            .list_workflows(query, options)
            .skip(skip)
            .take(take)
            .try_collect()
            .await
            .map_err(|error| unavailable().caused_by(error))?;
        let mut ids: Vec<String> = Vec::with_capacity(listed.len());
        for execution in &listed {
            if !ids.iter().any(|id| id == execution.id()) {
                ids.push(execution.id().to_owned());
            }
        }
        let looks = stream::iter(ids).map(|id| async move { self.get(&id).await });
        let mut items = Vec::new();
        for execution in looks.buffered(LOOKS).collect::<Vec<_>>().await {
            match execution {
                Ok(execution) if filter.status.is_none_or(|status| status == execution.status) => items.push(execution),
                Ok(_) => {}
                // The cluster has forgotten it since it was listed.
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Part { items, total })
    }

    /// How many executions there are by status. Somebody waits for it who wants to know how the service is.
    pub(crate) async fn counts(&self) -> Result<Vec<(ExecutionStatus, u64)>, Failure> {
        let counts = ExecutionStatus::ALL.map(|status| async move {
            let count = self.count(&query(&ExecutionFilter { workflow_id: None, status: Some(status) })).await?;
            Ok::<_, Failure>((status, count))
        });
        let counts = tokio::time::timeout(COUNT_PATIENCE, try_join_all(counts)).await;
        let counts = counts.map_err(|_| unavailable().caused_by(format!("no answer within {COUNT_PATIENCE:?}")))??;
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    async fn count(&self, query: &str) -> Result<u64, Failure> {
        let count = self.client.count_workflows(query, WorkflowCountOptions::default()).await;
        count.map(|count| count.count() as u64).map_err(|error| unavailable().caused_by(error))
    }
}

/// The filter in the cluster's own language. A run that goes on in another one is not counted twice.
fn query(filter: &ExecutionFilter) -> String {
    let mut query = format!("WorkflowType = '{TYPE}' AND ExecutionStatus != 'ContinuedAsNew'");
    if let Some(id) = &filter.workflow_id {
        // Ids are made by the host; whatever else is asked for cannot leave the quotes.
        let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        query.push_str(&format!(" AND {} = '{id}'", OF_WORKFLOW.name()));
    }
    let status = |name: &str| format!(" AND ExecutionStatus = 'Running' AND {} = '{name}'", STATUS.name());
    match filter.status {
        None => {}
        Some(ExecutionStatus::Completed) => query.push_str(" AND ExecutionStatus = 'Completed'"),
        Some(ExecutionStatus::Failed) => query.push_str(" AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')"),
        Some(ExecutionStatus::Cancelled) => query.push_str(" AND ExecutionStatus = 'Canceled'"),
        Some(open) => query.push_str(&status(open.name())),
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stays_within_its_quotes() {
        let filter = ExecutionFilter { workflow_id: Some("a' OR 'x' = 'x".to_owned()), status: Some(ExecutionStatus::Paused) };
        let expected = "WorkflowType = 'breakwater-execution' AND ExecutionStatus != 'ContinuedAsNew' AND BreakwaterWorkflow = 'aORxx' \
                        AND ExecutionStatus = 'Running' AND BreakwaterStatus = 'PAUSED'";
        assert_eq!(query(&filter), expected);
    }
}
