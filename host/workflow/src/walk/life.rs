//! From the first step to the end: the time that an execution has, undoing, and what it came to.

use breakwater_core::{Failure, FailureKind};
use serde_json::Value;

use super::{Stop, Walk, late};
use crate::execution::{ExecutionStatus, StepError};
use crate::journal::JournalError;
use crate::records::Change;

impl Walk {
    /// Walks the definition and, if that fails, undoes what asks for it.
    pub(crate) async fn whole(&self, began_ms: u64) -> Result<Result<Value, Stop>, JournalError> {
        let run = &self.run;
        if !run.paused.is_on() && !run.cancel.is_cancelled() {
            let running = Change { status: ExecutionStatus::Running, output: None, error: None, at_ms: began_ms };
            run.record([], Some(running));
        }
        let timeout_ms = self.plan.definition.timeout_ms;
        let ends_at = timeout_ms.map(|timeout_ms| {
            let began_ms = run.log().retried_at_ms().unwrap_or(self.execution.created_at_ms);
            began_ms.saturating_add(timeout_ms)
        });
        let timed_out = async {
            match ends_at {
                Some(ends_at) => self.world.until(ends_at).await,
                None => std::future::pending().await,
            }
        };
        let mut broken = run.broken.subscribe();
        let walking = self.all();
        tokio::pin!(walking);
        let mut result = tokio::select! {
            // First: what is in the journal is known before anything is decided.
            biased;
            result = &mut walking => result,
            // The sender is part of the run, which this holds.
            _ = broken.changed() => return Err(JournalError::Failed("something could not be written".to_owned())),
            () = timed_out => {
                // What waits is told, so that workflows within it end too.
                run.cancel.cancel();
                match walking.await {
                    Err(Stop::Cancelled) => {
                        let message = format!("the execution did not end within {} ms", timeout_ms.unwrap_or_default());
                        Err(late("execution.timeout", message).into())
                    }
                    ended => ended,
                }
            }
        };
        if let Err(Stop::Failed(_) | Stop::Cancelled) = &result
            && let Err(stop) = self.undo().await
        {
            result = Err(stop);
        }
        Ok(result)
    }
}

/// What became of an execution whose walk ended so, or none when somebody goes on with it.
pub(crate) fn end(result: Result<Value, Stop>, at_ms: u64) -> Result<Option<Change>, JournalError> {
    let (status, output, error) = match result {
        Ok(output) => (ExecutionStatus::Completed, Some(output), None),
        Err(Stop::Failed(error)) => (ExecutionStatus::Failed, None, Some(*error)),
        Err(Stop::Cancelled) => {
            let failure = Failure::new(FailureKind::Other, "execution.cancelled", "the execution was cancelled");
            (ExecutionStatus::Cancelled, None, Some(StepError::of(&failure)))
        }
        Err(Stop::Lost(error)) => return Err(error),
        Err(Stop::Shutdown | Stop::Halted) => return Ok(None),
    };
    Ok(Some(Change { status, output, error, at_ms }))
}
