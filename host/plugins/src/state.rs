//! What the host knows of one running guest call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use breakwater_core::{Attachment, CallContext, Deadline, Detection, Effect, Failure};
use wasmtime::component::{Resource, ResourceTable};

use crate::capabilities::blobs::GuestBlob;
use crate::capabilities::wasi::WasiState;
use crate::config::GuestLimits;
use crate::limiter::Limiter;
use crate::plugin_id::PluginId;
use crate::ports::{FlagReader, Outbound};
use crate::reach::Reach;
use crate::services::Services;
use crate::ticker::Ticks;
use crate::trap::LimitCrossed;
use crate::usage::Pace;

/// What all calls of one generation share.
pub(crate) struct PluginScope {
    pub(crate) id: PluginId,
    /// Origin in failures and logs, such as `plugin:crop-people`.
    pub(crate) label: String,
    pub(crate) config: BTreeMap<String, String>,
    /// What it may name.
    pub(crate) reach: Reach,
    pub(crate) limits: GuestLimits,
    pub(crate) services: Arc<Services>,
    pub(crate) ticks: Arc<Ticks>,
}

/// Where a call's requests and questions go; a probe has recorded answers instead of the host's services.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) flags: Arc<dyn FlagReader>,
}

/// The store's data: one per call, dropped with it.
pub(crate) struct CallState {
    pub(crate) scope: Arc<PluginScope>,
    /// Of the call that the guest serves, in a span of its own and with the guest's deadline.
    pub(crate) context: CallContext,
    pub(crate) ways: Ways,
    /// Detections that came with the request; `None` when it brought none.
    pub(crate) given: Option<Arc<[Detection]>>,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    pub(crate) pace: Arc<Pace>,
    pub(crate) doubts: Arc<Doubts>,
    /// Of guests with a runtime of their own; made when first asked for.
    pub(crate) wasi: Option<Box<WasiState>>,
}

/// What the call has used so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) host_calls: u32,
    pub(crate) host_bytes: u64,
    /// Bytes of answers that are held as blobs.
    pub(crate) blob_bytes: u64,
    pub(crate) log_lines: u32,
    /// Ticks that came while the guest's own code ran.
    pub(crate) guest_ticks: u64,
    /// Pixels of the images that the guest opened.
    pub(crate) opened_pixels: u64,
    /// Requests that may change something, for keys that tell them apart.
    pub(crate) changing_requests: u32,
    /// A limit was reported to the guest as a failure.
    pub(crate) refused: bool,
}

/// Counts the requests of a call that may have changed something.
#[derive(Debug, Default)]
pub(crate) struct Doubts(AtomicU32);

impl Doubts {
    /// Such a request is about to be sent. It stays a doubt unless it turns out that nothing happened.
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing came of it.
    pub(crate) fn nothing_happened(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// What a call that ends without the guest's own word has done to the world.
    pub(crate) fn effect(&self) -> Effect {
        if self.0.load(Ordering::Relaxed) == 0 { Effect::None } else { Effect::Unknown }
    }
}

/// Host calls end this much before the call does, so that the guest can still answer; less when little time is left.
const RESERVE: Duration = Duration::from_millis(20);

/// Until when something may wait on behalf of a call that ends at `deadline`.
pub(crate) fn with_reserve(deadline: Deadline) -> Deadline {
    deadline.reserving(RESERVE.min(deadline.remaining() / 5))
}

impl CallState {
    /// `context` is the call's own: in its span, with its deadline.
    pub(crate) fn new(scope: Arc<PluginScope>, context: CallContext, ways: Ways, given: &[Detection]) -> Self {
        let limiter = Limiter::new(scope.limits.memory_bytes, scope.limits.table_elements);
        let given = (!given.is_empty()).then(|| Arc::from(given));
        Self {
            scope,
            context,
            ways,
            given,
            table: ResourceTable::new(),
            limiter,
            meter: Meter::default(),
            pace: Arc::default(),
            doubts: Arc::default(),
            wasi: None,
        }
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

    /// Makes a blob of an answer, if the call may hold that much.
    pub(crate) fn hold(&mut self, media_type: String, bytes: bytes::Bytes) -> wasmtime::Result<Result<Resource<GuestBlob>, Failure>> {
        let (held, limit) = (bytes.len() as u64, self.scope.services.blob_bytes);
        if self.meter.blob_bytes.saturating_add(held) > limit {
            return Ok(Err(LimitCrossed::BlobBytes { limit }.into()));
        }
        self.meter.blob_bytes += held;
        Ok(Ok(self.table.push(GuestBlob { media_type, bytes, held })?))
    }

    /// Takes a blob that the guest gives away.
    pub(crate) fn take(&mut self, blob: Resource<GuestBlob>) -> wasmtime::Result<Attachment> {
        let GuestBlob { media_type, bytes, held } = self.table.delete(blob)?;
        self.meter.blob_bytes = self.meter.blob_bytes.saturating_sub(held);
        Ok(Attachment { media_type, bytes })
    }

    /// Until when a host call may wait.
    pub(crate) fn host_deadline(&self) -> Deadline {
        with_reserve(self.context.deadline)
    }

    /// Waits in the host on behalf of the guest. The time is not the guest's own.
    pub(crate) async fn wait<T>(&mut self, what: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let ticks = self.scope.ticks.now();
        let outcome = self.host_deadline().bound(what, work).await;
        if self.scope.ticks.now() != ticks {
            self.pace.ticked_in_wait();
        }
        outcome?
    }

    /// Counts an interruption of the guest by the ticker.
    pub(crate) fn tick(&mut self) -> Result<(), LimitCrossed> {
        self.pace.gives_way();
        if self.pace.take_ticked_in_wait() {
            return Ok(());
        }
        self.meter.guest_ticks += 1;
        let limit = self.scope.limits.cpu;
        let used = self.scope.ticks.length().saturating_mul(u32::try_from(self.meter.guest_ticks).unwrap_or(u32::MAX));
        if used > limit { Err(LimitCrossed::Cpu { limit }) } else { Ok(()) }
    }
}
