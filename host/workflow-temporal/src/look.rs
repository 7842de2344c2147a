//! What the cluster says of one execution.

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::{Execution, ExecutionStatus, StepError};
use serde_json::Value;
use temporalio_client::errors::{WorkflowGetResultError, WorkflowInteractionError};
use temporalio_client::{
    WorkflowDescribeOptions, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowFetchHistoryOptions, WorkflowGetResultOptions,
};
use temporalio_common::error::IncomingError;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::cluster::{Cluster, unknown};
use crate::failures::{of_interaction, unavailable};
use crate::wire::Beginning;
use crate::workflow::{EXECUTION, STARTED, STATUS, TYPE, now_ms};

/// How an execution ended.
struct End {
    status: ExecutionStatus,
    output: Option<Value>,
    error: Option<StepError>,
}

impl Cluster {
    /// An execution, and when its first step began.
    pub(crate) async fn look(&self, id: &str) -> Result<(Execution, Option<u64>), Failure> {
        let description = match self.handle(id).describe(WorkflowDescribeOptions::default()).await {
            Ok(description) if description.workflow_type() == TYPE => description,
            Ok(_) | Err(WorkflowInteractionError::NotFound(_)) => return Err(unknown(id)),
            Err(error) => return Err(of_interaction(error)),
        };
        let memo = description.memo();
        let known = memo.get::<Execution>(EXECUTION).map_err(damaged)?;
        let execution = match known {
            Some(execution) => execution,
            // One that another workflow has started, and whose run has not begun yet.
            None => self.first(id).await?.execution,
        };
        let started_at_ms = memo.get::<u64>(STARTED).map_err(damaged)?;
        let completed_at_ms = description.close_time().map(|time| now_ms(Some(time)));
        let End { status, output, error } = self.end(id, &description).await?;
        Ok((Execution { status, output, error, started_at_ms, completed_at_ms, ..execution }, started_at_ms))
    }

    async fn end(&self, id: &str, description: &WorkflowExecutionDescription) -> Result<End, Failure> {
        let simple = |status, error: Option<Failure>| Ok(End { status, output: None, error: error.map(|error| StepError::of(&error)) });
        match description.status() {
            WorkflowExecutionStatus::Completed | WorkflowExecutionStatus::Failed | WorkflowExecutionStatus::Canceled => {}
            WorkflowExecutionStatus::Terminated => {
                let message = "somebody terminated the execution in the cluster";
                return simple(ExecutionStatus::Failed, Some(Failure::new(FailureKind::Other, "execution.terminated", message)));
            }
            WorkflowExecutionStatus::TimedOut => {
                let message = "the cluster gave the execution no more time";
                return simple(ExecutionStatus::Failed, Some(Failure::new(FailureKind::Timeout, "execution.timeout", message)));
            }
            _ => {
                let name = description.search_attributes().get(&STATUS).unwrap_or_default();
                let status = ExecutionStatus::ALL.into_iter().find(|status| status.name() == name);
                return simple(status.unwrap_or_default(), None);
            }
        }
        let error = match self.handle(id).get_result(WorkflowGetResultOptions::default()).await {
            Ok(output) => return Ok(End { status: ExecutionStatus::Completed, output: Some(output), error: None }),
            Err(error) => error,
        };
        match error {
            WorkflowGetResultError::Cancelled { details } => {
                let error = details.deserialize::<StepError>().ok();
                Ok(End { status: ExecutionStatus::Cancelled, output: None, error })
            }
            WorkflowGetResultError::Failed(failure) => {
                Ok(End { status: ExecutionStatus::Failed, output: None, error: Some(kept(&failure)) })
            }
            error => Err(unavailable().caused_by(error)),
        }
    }

    /// What the last run of an execution began with.
    pub(crate) async fn first(&self, id: &str) -> Result<Beginning, Failure> {
        let events = self.handle(id).fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await;
        let events = events.map_err(of_interaction)?;
        let attributes = events.into_iter().next().and_then(|event| event.attributes);
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = attributes else {
            return Err(unavailable().caused_by("a history without a beginning"));
        };
        let payload = started.input.and_then(|input| input.payloads.into_iter().next()).unwrap_or_default();
        serde_json::from_slice(&payload.data).map_err(|error| unavailable().caused_by(error))
    }
}

/// Why a run failed, as it was kept.
fn kept(failure: &IncomingError) -> StepError {
    let details = match failure {
        IncomingError::Application(failure) => failure.details::<StepError>().ok().flatten(),
        _ => None,
    };
    details.unwrap_or_else(|| {
        let message = failure.failure().message.clone();
        StepError::of(&Failure::new(FailureKind::Other, "execution.failed", message))
    })
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    unavailable().caused_by(error)
}
