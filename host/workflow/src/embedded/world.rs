//! The world of an execution that this process runs: its clock, its operations, its records.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{BoxFuture, CallSnapshot, Failure, OperationEffect};
use tokio_util::sync::CancellationToken;

use super::inner::Inner;
use crate::execution::{Execution, ExecutionStatus, Signal, Start};
use crate::executor::Started;
use crate::journal::{JournalError, chain};
use crate::records::Wanted;
use crate::runner::{StepAnswer, StepCall};
use crate::walk::waits::MAX_DEPTH;
use crate::world::{Attempt, Child, Slot, World};

/// How long a wait for another workflow is at a time; it may belong to another process.
const CHILD_LOOK: Duration = Duration::from_secs(30);

pub(crate) struct EmbeddedWorld {
    inner: Arc<Inner>,
    execution: Execution,
    /// Taken when this process took the execution up.
    snapshot: CallSnapshot,
}

impl EmbeddedWorld {
    pub(crate) fn new(inner: Arc<Inner>, execution: &Execution) -> Self {
        let snapshot = inner.runner.snapshot();
        Self { inner, execution: execution.clone(), snapshot }
    }

    /// The workflow that a step has started, or starts now. When the step is retried, so is what it had started; what was cancelled begins
    /// anew.
    async fn child(&self, child: Child) -> Result<String, Failure> {
        let Child { start, retried_at_ms, retries } = child;
        let Started { execution, existing } = self.inner.accept(start.clone()).await?;
        if !existing || retried_at_ms.is_none() || retried_at_ms < execution.completed_at_ms {
            return Ok(execution.id);
        }
        match execution.status {
            ExecutionStatus::Failed => Ok(self.inner.command(&execution.id, Wanted::Retry).await?.id),
            ExecutionStatus::Cancelled => {
                let idempotency_key = start.idempotency_key.map(|key| format!("{key}@r{retries}"));
                Ok(self.inner.accept(Start { idempotency_key, ..start }).await?.execution.id)
            }
            _ => Ok(execution.id),
        }
    }
}

impl World for EmbeddedWorld {
    fn now_ms(&self) -> u64 {
        self.inner.clock().now_ms()
    }

    fn until(&self, at_ms: u64) -> BoxFuture<'_, ()> {
        let clock = self.inner.clock();
        Box::pin(async move { clock.until(at_ms).await })
    }

    fn stopping(&self) -> &CancellationToken {
        &self.inner.stop
    }

    fn slot(&self) -> BoxFuture<'_, Option<Slot>> {
        Box::pin(async { Some(Box::new(Arc::clone(&self.inner.steps).acquire_owned().await.ok()?) as Slot) })
    }

    fn effect(&self, operation: &str) -> OperationEffect {
        self.inner.runner.operation(operation).map_or(OperationEffect::Create, |operation| operation.effect)
    }

    fn call(&self, attempt: Attempt) -> BoxFuture<'_, Result<StepAnswer, Failure>> {
        Box::pin(async move {
            let Attempt { operation, input, idempotency_key, timeout_ms, number } = attempt;
            let call = StepCall {
                operation: &operation,
                input,
                context: &self.execution.context,
                idempotency_key: &idempotency_key,
                timeout: timeout_ms.map(Duration::from_millis),
                attempt: number,
                snapshot: &self.snapshot,
            };
            self.inner.runner.call(call).await
        })
    }

    fn signals(&self) -> BoxFuture<'_, Result<Vec<Signal>, JournalError>> {
        Box::pin(async {
            let signals = self.inner.records.signals(&self.execution.id, 0).await;
            signals.map_err(|error| JournalError::Failed(chain(&error)))
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<usize, Failure>> {
        Box::pin(async {
            let mut parent = self.execution.parent.clone();
            let mut depth = 0;
            while let Some((id, _)) = parent.filter(|_| depth < MAX_DEPTH) {
                parent = self.inner.get(&id).await?.parent;
                depth += 1;
            }
            Ok(depth)
        })
    }

    fn begin_child(&self, child: Child) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(self.child(child))
    }

    fn child_ended<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(async move {
            loop {
                let execution = self.inner.wait(id, CHILD_LOOK).await?;
                if execution.status.is_final() {
                    return Ok(execution);
                }
            }
        })
    }

    fn cancel_child<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // It may have ended meanwhile, and then there is nothing to cancel.
            drop(self.inner.command(id, Wanted::Cancel).await);
        })
    }
}
