//! A batch as it is shown.

use breakwater_workflow::{Execution, ExecutionStatus, StepError};
use serde_json::{Map, Value};

use super::input::Input;
use super::{Progress, told_of_batch};

/// A batch and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names it.
    pub id: String,
    /// How it is.
    pub status: ExecutionStatus,
    /// Where its list came from: `"images"`, or an object with `folder` or `manifest`.
    pub source: Value,
    /// Images at once.
    pub concurrency: u32,
    /// What is done with each image, as `crop-image` takes it.
    pub options: Map<String, Value>,
    /// What is looked for beforehand, as `detect-objects` takes it.
    pub detect: Option<Map<String, Value>>,
    /// The batch whose failed images it does again.
    pub retry_of: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// Why it failed as a whole, or that it was cancelled. Images that fail do not fail their batch.
    pub error: Option<StepError>,
    /// The key it was started with.
    pub idempotency_key: Option<String>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When its first image began.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub completed_at_ms: Option<u64>,
}

impl Batch {
    pub(super) fn of(input: Input, execution: Execution, progress: Progress) -> Self {
        let Execution { id, status, error, idempotency_key, created_at_ms, started_at_ms, completed_at_ms, .. } = execution;
        let progress = match (completed_at_ms, status) {
            // Whatever was under way has ended or was left.
            (Some(ended), _) => {
                let seconds = ended.saturating_sub(started_at_ms.unwrap_or(created_at_ms)) as f64 / 1000.0;
                let per_second = if seconds > 0.0 { progress.done() as f64 / seconds } else { 0.0 };
                Progress { running: 0, per_second, ..progress }
            }
            (None, ExecutionStatus::Paused) => Progress { per_second: 0.0, ..progress },
            _ => progress,
        };
        Self {
            id,
            status,
            source: input.source,
            concurrency: input.concurrency,
            options: input.options,
            detect: input.detect,
            retry_of: input.retry_of,
            progress,
            error: error.map(|error| StepError { message: told_of_batch(&error.message), ..error }),
            idempotency_key,
            created_at_ms,
            started_at_ms,
            completed_at_ms,
        }
    }
}

/// What the output of a completed batch says, so that lists need not read journals.
pub(super) fn counted(execution: &Execution) -> Option<Progress> {
    let outputs = execution.output.as_ref()?.as_array()?;
    let failed = outputs.iter().filter(|output| !output.is_null()).count() as u64;
    let total = outputs.len() as u64;
    Some(Progress { total, failed, succeeded: total - failed, ..Progress::default() })
}
