//! The activities: what a walk asks of this process.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind, OperationEffect};
use breakwater_workflow::{Execution, StepCall, StepRunner};
use serde_json::Value;
use temporalio_macros::activities;
use temporalio_sdk::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::pending::HEARTBEAT_TIMEOUT;
use crate::snapshots::Snapshots;
use crate::wire::{ChildInput, ChildPlan, MAX_PIECE, SentFailure, StepEnd, StepInput, StepOutput, fits, length, output_too_large};

/// Calls operations for steps, and starts workflows for them.
#[derive(Clone)]
pub(crate) struct Steps {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) runner: Arc<dyn StepRunner>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// This process has no more time for what is at work.
    pub(crate) left: CancellationToken,
}

#[activities]
impl Steps {
    /// Makes one attempt of a step.
    #[activity(name = "step")]
    pub(crate) async fn step(self: Arc<Self>, ctx: ActivityContext, input: StepInput) -> Result<StepOutput, ActivityError> {
        let effect = self.runner.operation(&input.operation).map_or(OperationEffect::Create, |operation| operation.effect);
        let snapshot = self.snapshots.of(&input.execution, || self.runner.snapshot());
        let call = StepCall {
            operation: &input.operation,
            input: input.input,
            context: &input.context,
            idempotency_key: &input.idempotency_key,
            timeout: input.timeout_ms.map(Duration::from_millis),
            attempt: input.attempt,
            snapshot: &snapshot,
        };
        let result = tokio::select! {
            biased;
            () = ctx.cancelled() => return Err(ActivityError::cancelled()),
            // Another process makes the attempt again, as after a crash.
            () = self.left.cancelled() => return Err(again("the process ends")),
            () = beat(&ctx) => return Err(again("nobody hears that the attempt is made")),
            result = self.runner.call(call) => result,
        };
        let output = StepOutput { effect, end: StepEnd::of(result) };
        let length = length(&output);
        if length <= MAX_PIECE {
            return Ok(output);
        }
        Ok(StepOutput { effect, end: StepEnd::Failed(SentFailure::of(&output_too_large("a step", length))) })
    }

    /// Finds out what is to be done for a step that starts a workflow.
    #[activity(name = "child")]
    pub(crate) async fn child(self: Arc<Self>, _ctx: ActivityContext, child: ChildInput) -> Result<ChildPlan, ActivityError> {
        match self.cluster.plan_child(&*self.runner, child).await {
            Ok(ChildPlan::Begin(beginning)) => match fits(&beginning) {
                Ok(()) => Ok(ChildPlan::Begin(beginning)),
                Err(failure) => Ok(ChildPlan::Refused(SentFailure::of(&failure))),
            },
            Ok(ChildPlan::Ended(execution)) => Ok(ChildPlan::Ended(Box::new(told(*execution)))),
            Ok(plan) => Ok(plan),
            Err(failure) if failure.kind == FailureKind::Unavailable => Err(unavailable(&failure)),
            Err(failure) => Ok(ChildPlan::Refused(SentFailure::of(&failure))),
        }
    }

    /// Looks up how a workflow ended.
    #[activity(name = "ended")]
    pub(crate) async fn ended(self: Arc<Self>, _ctx: ActivityContext, id: String) -> Result<Execution, ActivityError> {
        let execution = self.cluster.get(&id).await.map_err(|failure| unavailable(&failure))?;
        if execution.status.is_final() { Ok(told(execution)) } else { Err(again("it has not ended yet")) }
    }
}

/// What a step needs to know of a workflow that has ended. Its input is left out: both together may be more than fits.
fn told(execution: Execution) -> Execution {
    Execution { input: Value::Null, ..execution }
}

/// Says that the attempt is being made, for as long as anybody hears it.
async fn beat(ctx: &ActivityContext) {
    loop {
        tokio::time::sleep(HEARTBEAT_TIMEOUT / 4).await;
        if ctx.record_heartbeat(()).await.is_err() {
            return;
        }
    }
}

fn again(why: &'static str) -> ActivityError {
    ApplicationFailure::new(why).into()
}

fn unavailable(failure: &Failure) -> ActivityError {
    ApplicationFailure::new(failure.chain()).into()
}
