//! Brings embedders from their files onto a device.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use breakwater_core::{Deadline, Failure, FailureKind};
use breakwater_resilience::CpuPermits;

use crate::config::{DevicePreference, InferenceConfig};
use crate::device::Devices;
use crate::embedder::{LoadState, Loaded, Slot};
use crate::engine::DeviceKind;
use crate::error::{self, InferenceError};

/// What loading needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) devices: Arc<Devices>,
    /// The processor, for models that are to run there whatever device there is.
    pub(super) processor: Arc<Devices>,
    pub(super) cpu: Arc<CpuPermits>,
    pub(super) config: Arc<InferenceConfig>,
    /// Set by the shutdown: nothing new serves after it.
    pub(super) closed: Arc<AtomicBool>,
}

impl Loader {
    /// Bytes of weights of CLIP models in the processor's memory.
    pub(super) fn clip_bytes(&self) -> u64 {
        // The processor that stands by for a GPU is the same engine as the one of its own.
        self.devices.clip_bytes()
    }

    /// An embedder that has computed something. Otherwise what to say of it, and to whoever asked.
    pub(super) async fn prepare(&self, slot: &Arc<Slot>, deadline: Deadline) -> Result<Arc<Loaded>, (LoadState, Failure)> {
        let refused = |state: LoadState, message: String| {
            let failure = Failure::new(FailureKind::Unavailable, "embedder.load-failed", message).from_origin(slot.name.origin());
            (state, failure)
        };
        let broken = |error: InferenceError| {
            let state = LoadState::of(&error);
            (state.clone(), refused(state, error.for_callers()).1.caused_by(error))
        };
        let (loader, of) = (self.clone(), Arc::clone(slot));
        #[expect(clippy::disallowed_methods, reason = "waits for a disk, and at most once at a time for each model")]
        let reading = tokio::task::spawn_blocking(move || loader.start(&of));
        let started = deadline.bound("reading a model", reading).await;
        let failed = |failure: Failure| (LoadState::Failed { why: failure.message.clone() }, failure);
        let started = started.map_err(failed)?.map_err(|_| failed(Failure::internal("reading a model panicked")))?;
        let loaded = Arc::new(started.map_err(broken)?);
        match deadline.bound("the first run of a model", loaded.warm_up(self.config.embedder_batch, deadline)).await {
            Ok(Ok(())) => Ok(loaded),
            Ok(Err(failure)) => {
                let why = error::with_causes(&failure);
                let (state, refused) = refused(LoadState::Failed { why }, "no device runs the model".to_owned());
                Err((state, refused.caused_by(failure)))
            }
            Err(failure) => Err(failed(failure)),
        }
    }

    /// Reads what there is to read and starts the threads. Blocks.
    fn start(&self, slot: &Slot) -> Result<Loaded, InferenceError> {
        let devices = match slot.source.device() {
            DevicePreference::Cpu => &self.processor,
            DevicePreference::Gpu if self.devices.report().kind != DeviceKind::Gpu => {
                return Err(InferenceError::NoGpu { reason: self.devices.report().reason });
            }
            DevicePreference::Auto | DevicePreference::Gpu => &self.devices,
        };
        let parts = slot.source.read()?;
        Ok(Loaded::start(parts, self.config.embedder_bounds(), devices, &self.cpu, &slot.counters)?)
    }
}
