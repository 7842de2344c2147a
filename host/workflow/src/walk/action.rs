//! Calling an operation for a step: an event before each attempt, another after it, and the waits between attempts.

use breakwater_core::{Failure, FailureKind};
use serde_json::{Value, json};

use super::run::Halt;
use super::{Place, Stop, Walk};
use crate::definition::Step;
use crate::execution::{Happened, StepError};
use crate::log::Progress;
use crate::retry::StepRetry;
use crate::runner::StepAnswer;
use crate::world::Attempt;

/// Attempts that may end with the process before the step is given up: it may be what ends the process.
const MAX_UNENDED: u32 = 5;

/// An operation to be called.
pub(crate) struct Called<'a> {
    pub(crate) operation: &'a str,
    pub(crate) input: Value,
    pub(crate) path: &'a str,
    pub(crate) retry: Option<StepRetry>,
    pub(crate) timeout_ms: Option<u64>,
    /// What ends it before its time; none for what goes on when the execution is cancelled: undoing a step, or finding out what is to be
    /// undone.
    pub(crate) halt: Option<&'a Halt>,
    /// Whether the answer of an attempt under way is waited for when the execution is cancelled, because what was done can be undone.
    pub(crate) is_undoable: bool,
}

impl Walk {
    pub(crate) async fn action(&self, place: Place<'_>) -> Result<Value, Stop> {
        let Step { retry, timeout_ms, .. } = place.step;
        let operation = place.step.called().ok_or_else(|| unnamed(&place.step.id))?;
        let (retry, timeout_ms) = (*retry, *timeout_ms);
        let found = self.run.log().visit(&place.path).map(|visit| visit.progress.clone());
        let halt = (!self.is_left_open(place.step, found.as_ref())).then_some(place.halt);
        let is_undoable = place.step.compensate.is_some();
        let called = Called { operation: &operation, input: place.input, path: &place.path, retry, timeout_ms, halt, is_undoable };
        self.call(called).await
    }

    /// Whether the execution is to end, and an attempt of a step that can be undone began of which nothing says how it ended: asking once more
    /// under the same key finds out what there is to undo.
    pub(crate) fn is_left_open(&self, step: &Step, found: Option<&Progress>) -> bool {
        self.run.cancel.is_cancelled() && step.compensate.is_some() && matches!(found, Some(Progress::Started { .. }))
    }

    /// Calls an operation until it has answered or failed for good.
    pub(crate) async fn call(&self, called: Called<'_>) -> Result<Value, Stop> {
        let key = self.key(called.path);
        loop {
            let (failed, unended, retry_at_ms) = self.so_far(called.path);
            if unended >= MAX_UNENDED {
                let message = format!("{unended} attempts at the step ended with the process; it is not tried again");
                return Err(Failure::new(FailureKind::Other, "workflow.step-lost", message).into());
            }
            if let Some(retry_at_ms) = retry_at_ms {
                self.unless_cancelled(&called, self.world.until(retry_at_ms)).await?;
                if let Some(halt) = called.halt {
                    self.gate(halt).await?;
                }
            }
            let slot = self.unless_cancelled(&called, self.world.slot()).await?;
            let _slot = slot.ok_or(Stop::Shutdown)?;
            // The history counts those that ended with a process; they use up neither the attempts of the step nor the retry budget of the
            // service, which has refused nothing.
            let attempt = failed + 1;
            self.run.record_at(called.path, Happened::Started { attempt: attempt + unended, due_at_ms: None }).wait().await?;
            let (operation, input) = (called.operation.to_owned(), called.input.clone());
            let call = Attempt { operation, input, idempotency_key: key.clone(), timeout_ms: called.timeout_ms, number: attempt };
            let answer = self.in_flight(&called, self.world.call(call)).await?;
            let failure = match answer {
                Ok(StepAnswer { output, served_by, degraded }) => {
                    self.run.record_at(called.path, Happened::Completed { output: output.clone(), served_by, degraded, signal: None });
                    return Ok(output);
                }
                Err(failure) => failure,
            };
            if called.halt.is_some() && self.run.cancel.is_cancelled() {
                self.record_last_attempt(&called, &failure);
                return Err(Stop::Cancelled);
            }
            if !may_help_to_repeat(&failure) {
                return Err(failure.into());
            }
            let policy = StepRetry::policy(called.retry, self.world.effect(called.operation));
            if attempt > policy.max_retries {
                return Err(given_up(&failure, attempt).into());
            }
            let wait = StepRetry::wait(&policy, &key, attempt, failure.retry_after);
            let retry_at_ms = self.world.now_ms() + crate::clock::millis(wait);
            self.run.record_at(called.path, Happened::AttemptFailed { error: StepError::of(&failure), retry_at_ms });
        }
    }

    /// Attempts that failed, attempts without an end, and when the next one is due.
    fn so_far(&self, path: &str) -> (u32, u32, Option<u64>) {
        let log = self.run.log();
        let Some(visit) = log.visit(path) else { return (0, 0, None) };
        let retry_at_ms = match visit.progress {
            Progress::Failing { retry_at_ms } => Some(retry_at_ms),
            _ => None,
        };
        (visit.failed, visit.unended, retry_at_ms)
    }

    async fn unless_cancelled<T>(&self, called: &Called<'_>, work: impl Future<Output = T>) -> Result<T, Stop> {
        match called.halt {
            Some(halt) => self.waiting(halt, work).await,
            None => self.world.stopping().run_until_cancelled(work).await.ok_or(Stop::Shutdown),
        }
    }

    /// An attempt that runs is not cut off by a shutdown while the process has time. A cancelled execution waits for it when what it does
    /// can be undone; otherwise it takes no notice of its answer.
    async fn in_flight<T>(&self, called: &Called<'_>, work: impl Future<Output = T>) -> Result<T, Stop> {
        if called.halt.is_none() || called.is_undoable {
            return Ok(work.await);
        }
        tokio::select! {
            biased;
            () = self.run.cancel.cancelled() => {
                let message = "the execution ended while the attempt was under way; its answer was not waited for";
                self.record_last_attempt(called, &Failure::new(FailureKind::Other, "workflow.attempt-abandoned", message));
                Err(Stop::Cancelled)
            }
            value = work => Ok(value),
        }
    }

    /// Writes down how the last attempt of a cancelled execution ended.
    fn record_last_attempt(&self, called: &Called<'_>, failure: &Failure) {
        let retry_at_ms = self.world.now_ms();
        self.run.record_at(called.path, Happened::AttemptFailed { error: StepError::of(failure), retry_at_ms });
    }
}

/// Whether another attempt may end otherwise. All of them carry one idempotency key, so that one whose effect is in doubt is repeated.
fn may_help_to_repeat(failure: &Failure) -> bool {
    failure.retryable || failure.code == "call.outcome-unknown"
}

/// The failure of a step whose attempts are used up.
fn given_up(last: &Failure, attempts: u32) -> StepError {
    if attempts == 1 {
        return StepError::of(last);
    }
    let of_last = StepError::of(last);
    let message = format!("the step failed {attempts} times, at last with: {}", of_last.message);
    let detail = json!({ "attempts": attempts, "last_code": of_last.code, "last_error": of_last.message, "last_detail": of_last.detail });
    StepError { kind: last.kind, code: "workflow.max-retries-exceeded".to_owned(), message, detail: Some(detail), step: None }
}

pub(crate) fn unnamed(id: &str) -> Failure {
    Failure::invalid("workflow.invalid", format!("the step `{id}` names neither a service with an action nor an operation"))
}
