//! What is told when the cluster does not do what it was asked for.

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::admission::unknown_execution;
use temporalio_client::errors::{WorkflowInteractionError, WorkflowQueryError};

/// The cluster cannot be used: the same failure as that of records that cannot.
pub(crate) fn unavailable() -> Failure {
    Failure::new(FailureKind::Unavailable, "workflow.store", "the Temporal cluster cannot be used at the moment")
}

pub(crate) fn of_interaction(error: WorkflowInteractionError) -> Failure {
    unavailable().caused_by(error)
}

pub(crate) fn of_query(error: WorkflowQueryError, id: &str) -> Failure {
    match error {
        WorkflowQueryError::NotFound(_) => unknown_execution(id),
        error => unavailable().caused_by(error),
    }
}
