//! Steps that wait: for a time, for a signal, for another workflow.

use breakwater_core::{Failure, FailureKind};
use serde_json::Value;

use super::run::Halt;
use super::{Place, Stop, Walk, late};
use crate::execution::{Execution, ExecutionStatus, Happened, Signal, Start};
use crate::log::Progress;
use crate::world::Child;

/// How deep workflows may start each other.
pub(crate) const MAX_DEPTH: usize = 8;

impl Walk {
    pub(crate) async fn timer(&self, place: Place<'_>) -> Result<Value, Stop> {
        let due_at_ms = match self.due(&place.path) {
            Some(due_at_ms) => due_at_ms.unwrap_or_default(),
            None => {
                let due_at_ms = self.timer_ends(&place)?;
                self.run.record_at(&place.path, Happened::Started { attempt: 1, due_at_ms: Some(due_at_ms) }).wait().await?;
                due_at_ms
            }
        };
        self.waiting(place.halt, self.world.until(due_at_ms)).await?;
        self.waited(&place, place.input.clone(), None)
    }

    fn timer_ends(&self, place: &Place<'_>) -> Result<u64, Stop> {
        let Some(until) = &place.step.until else {
            return Ok(self.world.now_ms().saturating_add(place.step.wait_ms.unwrap_or(0)));
        };
        let value = self.plan.value(until, &place.scope.clone().with_previous(&place.input))?;
        let as_millis = value.as_u64().or_else(|| value.as_f64().filter(|at| (0.0..=9.0e15).contains(at)).map(|at| at as u64));
        as_millis.ok_or_else(|| {
            Failure::invalid("workflow.timer-invalid", "`until` must give milliseconds since 1970, a number of 0 or more").into()
        })
    }

    pub(crate) async fn signal(&self, place: Place<'_>) -> Result<Value, Stop> {
        let name = place.step.signal.as_deref().unwrap_or(&place.step.id);
        let due_at_ms = self.begin_wait(&place).await?;
        loop {
            // Before looking: what comes while it is looked is not missed.
            let signalled = self.run.signalled.notified();
            tokio::pin!(signalled);
            signalled.as_mut().enable();
            let signals = self.world.signals().await?;
            if let Some(signal) = self.take(&place, &signals, name) {
                return Ok(signal);
            }
            let wait = async {
                tokio::select! {
                    biased;
                    () = signalled => true,
                    () = self.until_due(due_at_ms) => false,
                }
            };
            if !self.waiting(place.halt, wait).await? {
                return Err(late("workflow.signal-timeout", format!("the signal `{name}` did not come in time")).into());
            }
        }
    }

    /// Takes the first signal of this name that no step has taken yet.
    fn take(&self, place: &Place<'_>, signals: &[Signal], name: &str) -> Option<Value> {
        let found = {
            let log = self.run.log();
            signals.iter().find(|signal| signal.name == name && !log.has_taken(signal.number))?.clone()
        };
        let Signal { number, payload, .. } = found;
        let completed = Happened::Completed { output: payload.clone(), served_by: None, degraded: false, signal: Some(number) };
        self.run.record_at(&place.path, completed);
        Some(payload)
    }

    pub(crate) async fn sub_workflow(&self, place: Place<'_>) -> Result<Value, Stop> {
        let workflow = place.step.workflow.clone().unwrap_or_default();
        self.refuse_too_deep().await?;
        let due_at_ms = self.begin_wait(&place).await?;
        let start = Start {
            workflow,
            input: place.input.clone(),
            context: self.execution.context.clone(),
            idempotency_key: Some(self.key(&place.path)),
            parent: Some((self.execution.id.clone(), place.path.clone())),
        };
        let child = self.child(start).await?;
        match self.child_ends(&child, due_at_ms, place.halt).await {
            Ok(Execution { status: ExecutionStatus::Completed, output, .. }) => self.waited(&place, output.unwrap_or_default(), None),
            Ok(Execution { error: Some(error), .. }) => Err(error.into()),
            Ok(_) => Err(Failure::new(FailureKind::Other, "execution.cancelled", "the workflow was cancelled").into()),
            Err(stop) => {
                if matches!(stop, Stop::Cancelled | Stop::Failed(_) | Stop::Halted) {
                    // It may have ended meanwhile, and then there is nothing to cancel.
                    self.world.cancel_child(&child).await;
                }
                Err(stop)
            }
        }
    }

    /// The workflow that the step has started, or starts now.
    async fn child(&self, start: Start) -> Result<String, Failure> {
        let (retried_at_ms, retries) = {
            let log = self.run.log();
            (log.retried_at_ms(), log.retries())
        };
        self.world.begin_child(Child { start, retried_at_ms, retries }).await
    }

    async fn child_ends(&self, child: &str, due_at_ms: Option<u64>, halt: &Halt) -> Result<Execution, Stop> {
        let wait = async {
            tokio::select! {
                biased;
                execution = self.world.child_ended(child) => Some(execution),
                () = self.until_due(due_at_ms) => None,
            }
        };
        match self.waiting(halt, wait).await? {
            Some(execution) => Ok(execution?),
            None => Err(late("workflow.timeout", "the workflow did not end in time".to_owned()).into()),
        }
    }

    async fn refuse_too_deep(&self) -> Result<(), Stop> {
        if self.world.depth().await? < MAX_DEPTH {
            return Ok(());
        }
        Err(Failure::limit("workflow.too-deep", format!("workflows may start each other {MAX_DEPTH} deep")).into())
    }

    /// Records that a wait begins, unless it has begun before, and says when it ends.
    async fn begin_wait(&self, place: &Place<'_>) -> Result<Option<u64>, Stop> {
        if let Some(due_at_ms) = self.due(&place.path) {
            return Ok(due_at_ms);
        }
        let due_at_ms = place.step.timeout_ms.map(|timeout_ms| self.world.now_ms().saturating_add(timeout_ms));
        self.run.record_at(&place.path, Happened::Started { attempt: 1, due_at_ms }).wait().await?;
        Ok(due_at_ms)
    }

    /// When a wait that has begun ends.
    fn due(&self, path: &str) -> Option<Option<u64>> {
        match self.run.log().visit(path)?.progress {
            Progress::Started { due_at_ms } => Some(due_at_ms),
            _ => None,
        }
    }

    async fn until_due(&self, due_at_ms: Option<u64>) {
        match due_at_ms {
            Some(due_at_ms) => self.world.until(due_at_ms).await,
            None => std::future::pending().await,
        }
    }

    fn waited(&self, place: &Place<'_>, output: Value, signal: Option<u64>) -> Result<Value, Stop> {
        self.run.record_at(&place.path, Happened::Completed { output: output.clone(), served_by: None, degraded: false, signal });
        Ok(output)
    }
}
