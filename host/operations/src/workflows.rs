//! Workflows as a transport shows and changes them. What they are and how they run is in `breakwater_workflow`.

mod definitions;
pub mod steps;

use std::sync::Arc;

use breakwater_core::Failure;
pub use breakwater_workflow::validate::{Problem, Report};
pub use breakwater_workflow::{
    Definition, Event, Execution, ExecutionFilter, ExecutionStatus, Executor, Happened, NewSignal, Part, Range, Start, Started, StepError,
    Wanted, Workflow, WorkflowRecords, WorkflowStatus,
};

use crate::operations::Operations;
pub use definitions::{Change, Stored};
pub(crate) use definitions::{now_ms, stored};
pub use steps::OperationSteps;

/// Workflows and their executions.
pub struct Workflows {
    operations: Arc<Operations>,
    records: Arc<dyn WorkflowRecords>,
    executor: Arc<dyn Executor>,
}

impl Workflows {
    /// Connects what defines workflows with what runs them.
    #[must_use]
    pub fn new(operations: Arc<Operations>, records: Arc<dyn WorkflowRecords>, executor: Arc<dyn Executor>) -> Arc<Self> {
        Arc::new(Self { operations, records, executor })
    }

    /// What runs them.
    #[must_use]
    pub fn executor(&self) -> &Arc<dyn Executor> {
        &self.executor
    }

    pub(crate) fn records(&self) -> &Arc<dyn WorkflowRecords> {
        &self.records
    }

    pub(crate) fn operations(&self) -> &Arc<Operations> {
        &self.operations
    }

    /// How many executions there are by status.
    ///
    /// # Errors
    /// `workflow.store` (unavailable).
    pub async fn counts(&self) -> Result<Vec<(ExecutionStatus, u64)>, Failure> {
        self.executor.counts().await
    }
}

impl std::fmt::Debug for Workflows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflows").finish_non_exhaustive()
    }
}
