//! One call of a guest: a fresh instance, the call under its limits, and what came of it.

mod operation;
mod plan;
mod ranking;

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{CallContext, Deadline, Detection, Effect, Failure, FailureKind};
use tokio::time::error::Elapsed;
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::AdapterWasiPluginPre;
use crate::bindings::breakwater::plugin::types;
use crate::bindings::crop::CropPluginPre;
use crate::bindings::crop::exports::breakwater::plugin::crop_strategy;
use crate::bindings::exports::breakwater::plugin::adapter;
use crate::bindings::fallback::FallbackPluginPre;
use crate::bindings::fallback::exports::breakwater::plugin::fallback;
use crate::bindings::ranker::RankerPluginPre;
use crate::bindings::ranker::exports::breakwater::plugin::ranker;
use crate::convert::failure_from_guest;
use crate::engine::PluginEngine;
use crate::state::{CallState, PluginScope, Ways};
use crate::trap::{Blame, Fault, explain};
use crate::usage::{CallUsage, Pace};

pub(crate) use operation::MAX_ATTACHMENTS;

/// The most component handles that may be alive in one call.
const MAX_HANDLES: usize = 10_000;

/// A component, linked and ready to be instantiated.
pub(crate) struct Guest {
    pub(crate) engine: Arc<PluginEngine>,
    pub(crate) scope: Arc<PluginScope>,
    pub(crate) exports: Exports,
}

/// What a component of a world can be asked. Adapters of either world export the same.
pub(crate) enum Exports {
    Crop(CropPluginPre<CallState>),
    Adapter(AdapterWasiPluginPre<CallState>),
    Fallback(FallbackPluginPre<CallState>),
    Ranker(RankerPluginPre<CallState>),
}

/// What a component says it offers.
pub(crate) enum Described {
    Strategies(Vec<crop_strategy::Strategy>),
    Operations(Vec<adapter::Operation>),
    Levels(Vec<fallback::Level>),
    Ranker(ranker::Description),
}

/// A call that is over.
pub(crate) struct Ended<T> {
    pub(crate) outcome: Result<T, Fault>,
    pub(crate) usage: CallUsage,
}

/// A call that is about to begin.
struct Call {
    store: Store<CallState>,
    until: Until,
    pace: Arc<Pace>,
    started: Instant,
}

/// Until when a call may run, and who set that.
#[derive(Clone, Copy)]
struct Until {
    deadline: Deadline,
    /// The plugin's own limit of time comes before the caller's deadline.
    is_own: bool,
}

type Timed<T> = Result<wasmtime::Result<T>, Elapsed>;

impl Guest {
    /// Asks what the plugin offers.
    pub(crate) async fn describe(&self, context: &CallContext) -> Result<Described, Fault> {
        let Call { mut store, until, pace, .. } = self.begin(context, None, &[]);
        let ended = self
            .run(until, &pace, async {
                let store = &mut store;
                Ok(match &self.exports {
                    Exports::Crop(pre) => {
                        let plugin = pre.instantiate_async(&mut *store).await?;
                        Described::Strategies(plugin.breakwater_plugin_crop_strategy().call_describe(store).await?)
                    }
                    Exports::Adapter(pre) => {
                        let plugin = pre.instantiate_async(&mut *store).await?;
                        Described::Operations(plugin.breakwater_plugin_adapter().call_describe(store).await?)
                    }
                    Exports::Fallback(pre) => {
                        let plugin = pre.instantiate_async(&mut *store).await?;
                        Described::Levels(plugin.breakwater_plugin_fallback().call_describe(store).await?)
                    }
                    Exports::Ranker(pre) => {
                        let plugin = pre.instantiate_async(&mut *store).await?;
                        Described::Ranker(plugin.breakwater_plugin_ranker().call_describe(store).await?)
                    }
                })
            })
            .await;
        self.settle(&store, until, ended)
    }

    /// `context` is in the span of the guest's own call.
    fn begin(&self, context: &CallContext, ways: Option<&Ways>, given: &[Detection]) -> Call {
        let deadline = context.deadline.tightened(self.scope.limits.timeout);
        let until = Until { deadline, is_own: deadline != context.deadline };
        let ways = ways.cloned().unwrap_or_else(|| {
            let ports = &self.scope.services.ports;
            Ways { outbound: Arc::clone(&ports.outbound), flags: Arc::clone(&ports.flags) }
        });
        let state = CallState::new(Arc::clone(&self.scope), CallContext { deadline, ..context.clone() }, ways, given);
        let pace = Arc::clone(&state.pace);
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
        Call { store, until, pace, started: Instant::now() }
    }

    async fn run<T>(&self, until: Until, pace: &Pace, work: impl Future<Output = wasmtime::Result<T>>) -> Timed<T> {
        let running = self.engine.ticker().guest_runs();
        let ended = tokio::time::timeout_at(until.deadline.instant(), pace.measure(&self.scope.ticks, work)).await;
        drop(running);
        ended
    }

    fn settle<T>(&self, store: &Store<CallState>, until: Until, ended: Timed<T>) -> Result<T, Fault> {
        let fault = match ended {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => explain(error, &self.scope.limits),
            Err(_) => self.too_late(store, until),
        };
        Err(self.made_here(store, fault))
    }

    /// A fault that the guest had no say in: what it had sent before may have been worked on.
    fn made_here(&self, store: &Store<CallState>, fault: Fault) -> Fault {
        let mut failure = fault.failure.from_origin(self.scope.label.clone());
        if failure.effect == Effect::None {
            failure.effect = store.data().doubts.effect();
        }
        Fault { failure, ..fault }
    }

    fn ended<T>(&self, store: &Store<CallState>, started: Instant, outcome: Result<T, Fault>) -> Ended<T> {
        let state = store.data();
        let (requests, bytes) = state.wasi.as_ref().map_or((0, 0), |wasi| wasi.used());
        let usage = CallUsage {
            elapsed: started.elapsed(),
            cpu: state.pace.busy(),
            memory_bytes: state.limiter.memory_used(),
            host_calls: state.meter.host_calls.saturating_add(requests),
            host_bytes: state.meter.host_bytes.saturating_add(bytes),
        };
        Ended { outcome, usage }
    }

    /// Waiting for the host or a service is not the guest's fault, and neither is a caller in a hurry.
    fn too_late(&self, store: &Store<CallState>, until: Until) -> Fault {
        if !until.is_own {
            let failure = Failure::new(FailureKind::Timeout, "call.deadline", "the plugin did not answer before the call's deadline");
            return Fault::of_nobody(failure);
        }
        let limit = self.scope.limits.timeout;
        let failure = Failure::new(FailureKind::Timeout, "plugin.timeout", format!("the plugin took longer than {limit:?}"));
        if store.data().pace.is_waiting() { Fault::of_nobody(failure) } else { Fault::of_guest(failure) }
    }

    /// A failure that the guest returned is its right; running into a limit of bytes is not.
    fn returned(&self, store: &Store<CallState>, failure: types::Failure) -> Fault {
        let state = store.data();
        let refused = state.meter.refused || state.wasi.as_ref().is_some_and(|wasi| wasi.was_refused());
        let blame = if refused { Blame::Guest } else { Blame::Nobody };
        Fault { failure: failure_from_guest(failure).from_origin(self.scope.label.clone()), blame }
    }
}

/// What a guest may know of the call it serves.
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
