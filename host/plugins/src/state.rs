//! What the host knows of one running guest call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{CorrelationId, Deadline, Detection, Failure};
use wasmtime::component::ResourceTable;

use crate::config::GuestLimits;
use crate::limiter::Limiter;
use crate::plugin_id::PluginId;
use crate::services::Services;
use crate::ticker::Ticks;
use crate::trap::LimitCrossed;

/// What all calls of one generation share.
pub(crate) struct PluginScope {
    pub(crate) id: PluginId,
    /// Origin in failures and logs, such as `plugin:crop-people`.
    pub(crate) label: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) limits: GuestLimits,
    pub(crate) services: Arc<Services>,
    pub(crate) ticks: Arc<Ticks>,
}

/// The store's data: one per call, dropped with it.
pub(crate) struct CallState {
    pub(crate) scope: Arc<PluginScope>,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) deadline: Deadline,
    /// Detections that came with the request; `None` when it brought none.
    pub(crate) given: Option<Arc<[Detection]>>,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
}

/// What the call has used so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) host_calls: u32,
    pub(crate) host_bytes: u64,
    pub(crate) log_lines: u32,
    /// Ticks that came while the guest's own code ran.
    pub(crate) guest_ticks: u64,
    /// The guest waits in a host call.
    pub(crate) in_host: bool,
    /// A tick came while the guest waited in a host call: the next interruption is not the guest's.
    pub(crate) waited: bool,
    /// Pixels of the images that the guest opened.
    pub(crate) opened_pixels: u64,
    /// A limit was reported to the guest as a failure.
    pub(crate) refused: bool,
}

/// Host calls end this much before the call does, so that the guest can still answer; less when little time is left.
const RESERVE: Duration = Duration::from_millis(20);

impl CallState {
    pub(crate) fn new(scope: Arc<PluginScope>, correlation_id: CorrelationId, deadline: Deadline, given: &[Detection]) -> Self {
        let limiter = Limiter::new(scope.limits.memory_bytes, scope.limits.table_elements);
        let given = (!given.is_empty()).then(|| Arc::from(given));
        Self { scope, correlation_id, deadline, given, table: ResourceTable::new(), limiter, meter: Meter::default() }
    }

    /// Counts one host call.
    pub(crate) fn charge_call(&mut self) -> Result<(), LimitCrossed> {
        self.meter.host_calls = self.meter.host_calls.saturating_add(1);
        let limit = self.scope.limits.host_calls;
        if self.meter.host_calls > limit { Err(LimitCrossed::HostCalls { limit }) } else { Ok(()) }
    }

    /// Counts bytes that pass between the guest and the host.
    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), LimitCrossed> {
        self.meter.host_bytes = self.meter.host_bytes.saturating_add(bytes as u64);
        let limit = self.scope.limits.host_bytes;
        if self.meter.host_bytes <= limit {
            return Ok(());
        }
        self.meter.refused = true;
        Err(LimitCrossed::HostBytes { limit })
    }

    /// Until when a host call may wait.
    pub(crate) fn host_deadline(&self) -> Deadline {
        self.deadline.reserving(RESERVE.min(self.deadline.remaining() / 5))
    }

    /// Waits in the host on behalf of the guest. The time is not the guest's own.
    pub(crate) async fn wait<T>(&mut self, what: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let ticks = self.scope.ticks.now();
        self.meter.in_host = true;
        let outcome = self.host_deadline().bound(what, work).await;
        self.meter.in_host = false;
        self.meter.waited |= self.scope.ticks.now() != ticks;
        outcome?
    }

    /// Counts an interruption of the guest by the ticker.
    pub(crate) fn tick(&mut self) -> Result<(), LimitCrossed> {
        if std::mem::take(&mut self.meter.waited) {
            return Ok(());
        }
        self.meter.guest_ticks += 1;
        let limit = self.scope.limits.cpu;
        let used = self.scope.ticks.length().saturating_mul(u32::try_from(self.meter.guest_ticks).unwrap_or(u32::MAX));
        if used > limit { Err(LimitCrossed::Cpu { limit }) } else { Ok(()) }
    }
}
