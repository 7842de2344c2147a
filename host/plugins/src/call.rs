//! One call of a guest: a fresh instance, the call under its limits, and what came of it.

use std::sync::Arc;

use breakwater_core::{AspectRatio, CallContext, CropPlan, Deadline, Detection, Failure, FailureKind, PlanRequest};
use breakwater_vision::Image;
use tokio::time::error::Elapsed;
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::breakwater::plugin::{geometry, types};
use crate::bindings::exports::breakwater::plugin::crop_strategy;
use crate::bindings::{CropPlugin, CropPluginPre};
use crate::capabilities::imaging::GuestImage;
use crate::convert::{detection_to_guest, failure_from_guest, plan_from_guest};
use crate::engine::PluginEngine;
use crate::state::{CallState, PluginScope};
use crate::trap::{Blame, Fault, explain};

/// The most component handles that may be alive in one call.
const MAX_HANDLES: usize = 10_000;

/// A component, linked and ready to be instantiated.
pub(crate) struct Guest {
    pub(crate) engine: Arc<PluginEngine>,
    pub(crate) scope: Arc<PluginScope>,
    pub(crate) pre: CropPluginPre<CallState>,
}

/// Until when a call may run, and who set that.
#[derive(Clone, Copy)]
struct Until {
    deadline: Deadline,
    /// The plugin's own limit of time comes before the caller's deadline.
    is_own: bool,
}

impl Guest {
    /// Asks what the plugin offers.
    pub(crate) async fn describe(&self, context: &CallContext) -> Result<Vec<crop_strategy::Strategy>, Fault> {
        let until = self.until(context.deadline);
        let mut store = self.store(context, until, &[]);
        let running = self.engine.ticker().guest_runs();
        let ended = tokio::time::timeout_at(until.deadline.instant(), async {
            let plugin = self.instantiate(&mut store).await?;
            plugin.breakwater_plugin_crop_strategy().call_describe(&mut store).await
        })
        .await;
        drop(running);
        self.settle(&store, until, ended)
    }

    /// Asks for a plan and holds it against the rules.
    pub(crate) async fn plan(
        &self,
        context: &CallContext,
        image: &Arc<Image>,
        given: &[Detection],
        request: &PlanRequest,
    ) -> Result<CropPlan, Fault> {
        let until = self.until(context.deadline);
        let mut store = self.store(context, until, given);
        let running = self.engine.ticker().guest_runs();
        let ended = tokio::time::timeout_at(until.deadline.instant(), async {
            let subject = store.data_mut().table.push(GuestImage::subject(Arc::clone(image)))?;
            let plugin = self.instantiate(&mut store).await?;
            let given: Vec<_> = given.iter().map(detection_to_guest).collect();
            let (context, wanted) = (call_context(context), wanted(request));
            plugin.breakwater_plugin_crop_strategy().call_plan(&mut store, &context, subject, &given, &wanted).await
        })
        .await;
        drop(running);
        match self.settle(&store, until, ended)? {
            Ok(plan) => self.checked(plan_from_guest(plan), image, request.ratio),
            Err(failure) => Err(self.returned(&store, failure)),
        }
    }

    fn until(&self, caller: Deadline) -> Until {
        let deadline = caller.tightened(self.scope.limits.timeout);
        Until { deadline, is_own: deadline != caller }
    }

    fn store(&self, context: &CallContext, until: Until, given: &[Detection]) -> Store<CallState> {
        let state = CallState::new(Arc::clone(&self.scope), context.correlation_id.clone(), until.deadline, given);
        let mut store = Store::new(self.engine.wasm(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.scope.limits.host_call_bytes);
        store.set_max_component_handles(MAX_HANDLES);
        // At every tick the guest gives way to others, and the tick is counted as its own processor time.
        store.epoch_deadline_callback(|mut store| {
            store.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);
        store
    }

    async fn instantiate(&self, store: &mut Store<CallState>) -> wasmtime::Result<CropPlugin> {
        self.pre.instantiate_async(store).await
    }

    fn settle<T>(&self, store: &Store<CallState>, until: Until, ended: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, Fault> {
        let fault = match ended {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => explain(error, &self.scope.limits),
            Err(_) => self.too_late(store, until),
        };
        Err(Fault { failure: fault.failure.from_origin(self.scope.label.clone()), ..fault })
    }

    /// Waiting in the host is not the guest's fault, and neither is a caller in a hurry.
    fn too_late(&self, store: &Store<CallState>, until: Until) -> Fault {
        if !until.is_own {
            let failure = Failure::new(FailureKind::Timeout, "call.deadline", "the plugin did not answer before the call's deadline");
            return Fault::of_nobody(failure);
        }
        let limit = self.scope.limits.timeout;
        let failure = Failure::new(FailureKind::Timeout, "plugin.timeout", format!("the plugin took longer than {limit:?}"));
        if store.data().meter.in_host { Fault::of_nobody(failure) } else { Fault::of_guest(failure) }
    }

    fn checked(&self, plan: CropPlan, image: &Image, ratio: AspectRatio) -> Result<CropPlan, Fault> {
        match plan.check(image.size(), ratio) {
            Ok(()) => Ok(plan),
            Err(violation) => {
                let failure =
                    Failure::new(FailureKind::Rejected, "plugin.invalid-plan", format!("the plugin's plan is unusable: {violation}"));
                Err(Fault::of_guest(failure.from_origin(self.scope.label.clone())))
            }
        }
    }

    /// A failure that the guest returned is its right; running into a limit of bytes is not.
    fn returned(&self, store: &Store<CallState>, failure: types::Failure) -> Fault {
        let blame = if store.data().meter.refused { Blame::Guest } else { Blame::Nobody };
        Fault { failure: failure_from_guest(failure).from_origin(self.scope.label.clone()), blame }
    }
}

fn call_context(context: &CallContext) -> types::CallContext {
    types::CallContext {
        correlation_id: context.correlation_id.to_string(),
        traceparent: Some(context.trace.to_string()),
        subject: context.caller.subject.clone(),
        tenant: context.caller.tenant.clone(),
        idempotency_key: context.idempotency_key.as_deref().map(str::to_owned),
        attempt: 1,
        labels: context.labels.to_vec(),
    }
}

fn wanted(request: &PlanRequest) -> crop_strategy::Request {
    crop_strategy::Request {
        strategy: request.strategy.clone(),
        ratio: geometry::AspectRatio { width: request.ratio.width, height: request.ratio.height },
        parameters: request.parameters.to_string(),
    }
}
