//! Loading, replacing and unloading embedders, and what is said of every model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breakwater_core::{Deadline, Failure};

use super::{Inference, Lane};
use crate::embedder::{LoadState, ModelState, Slot};
use crate::error;
use crate::metadata::{self, ModelMetadata};
use crate::model::Model;
use crate::statistics::add;

/// How long loading a model may take; the largest are read from a slow disk within it.
const LOADING: Duration = Duration::from_secs(600);

impl Inference {
    /// Loads what the operator added, one after the other, on a thread of its own, which ends with the last of them. What cannot be loaded
    /// is logged and in the catalogue. Nothing begins after the shutdown.
    pub(super) fn load_added(self: &Arc<Self>) -> std::io::Result<()> {
        let ids: Vec<Arc<str>> = self.config.models.iter().map(|source| Arc::clone(&source.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let (this, closed) = (Arc::downgrade(self), Arc::clone(&self.loader.closed));
        let load = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "no model can be loaded"),
            };
            for id in ids {
                let Some(inference) = this.upgrade().filter(|_| !closed.load(Ordering::Acquire)) else { return };
                // Logged, and said in the catalogue, where it failed.
                drop(runtime.block_on(inference.load(&id)));
            }
        };
        std::thread::Builder::new().name("load-models".to_owned()).spawn(load).map(drop)
    }

    /// Whether a model serves. Detectors always do until the shutdown.
    #[must_use]
    pub fn is_ready(&self, model: &str) -> bool {
        let detector = self.lanes.iter().find(|lane| *lane.name.id == *model);
        match detector {
            Some(lane) => lane.worker.is_alive(),
            None => self.embedders.serving(Some(model)).is_ok_and(|loaded| loaded.worker().is_alive()),
        }
    }

    /// Every model there is, whether it serves or not.
    #[must_use]
    pub fn catalogue(&self) -> Vec<ModelState> {
        let device = self.devices.report().name;
        let detector = |lane: &Arc<Lane>| ModelState {
            id: Arc::clone(&lane.name.id),
            kind: lane.model.name().to_owned(),
            path: self.config.models_dir.as_ref().map(|folder| folder.join(lane.model.file())),
            state: LoadState::Ready,
            bytes: lane.model.bytes(self.config.models_dir.as_deref()),
            dimension: None,
            revision: Some(lane.info.weights),
            device: Some(device.clone()),
        };
        self.lanes.iter().map(detector).chain(self.embedders.describe()).collect()
    }

    /// What a model takes and gives, as tensors.
    ///
    /// # Errors
    /// `embedder.unknown-model`, `embedder.unavailable` when an embedder does not serve now.
    pub fn metadata(&self, model: &str) -> Result<ModelMetadata, Failure> {
        let platform = self.devices.report().name;
        if let Some(lane) = self.lanes.iter().find(|lane| *lane.name.id == *model) {
            let (inputs, outputs) = metadata::of_network(&lane.network, lane.usual(), lane.model == Model::NanoDet);
            return Ok(ModelMetadata { name: Arc::clone(&lane.name.id), platform, revision: lane.info.weights, inputs, outputs });
        }
        Ok(self.embedders.serving(Some(model))?.metadata())
    }

    /// Loads an embedder from where the configuration says, or loads it again. What served before serves until the new one has
    /// computed something; calls under way end on it, and its memory is given back with the last of them. Whoever asks while it is
    /// being loaded waits for the same.
    ///
    /// # Errors
    /// `embedder.unknown-model`, `embedder.load-failed` when files are missing, cannot be read or fit no model, or no device runs
    /// it; what served before then goes on. `call.deadline` after ten minutes.
    pub async fn load(&self, id: &str) -> Result<(), Failure> {
        let slot = self.embedders.slot(Some(id))?;
        let deadline = Deadline::after(LOADING);
        let start = || {
            let (slot, loader) = (Arc::clone(slot), self.loader.clone());
            async move { loader.load(&slot, deadline).await }
        };
        self.loads.join(Arc::clone(&slot.name.id), deadline, || None, start).await.1
    }

    /// Stops serving an embedder. Calls under way end as usual, and the memory is given back with the last of them.
    ///
    /// # Errors
    /// `embedder.unknown-model`; `embedder.in-use` for the one that serves by default.
    pub async fn unload(&self, id: &str) -> Result<(), Failure> {
        let slot = self.embedders.slot(Some(id))?;
        if slot.name.id == *self.embedders.default_id() {
            let message = "the model serves calls that name none, so it cannot be unloaded; make another one the default first";
            return Err(Failure::invalid("embedder.in-use", message).from_origin(slot.name.origin()));
        }
        let _changing = slot.changing.lock().await;
        if slot.replace(None).is_some() {
            tracing::info!(model = &*slot.name.id, "model unloaded");
        }
        slot.say(LoadState::Unloaded);
        Ok(())
    }
}

impl super::Loader {
    /// Makes what is configured serve in place of what serves now.
    pub(super) async fn load(&self, slot: &Arc<Slot>, deadline: Deadline) -> Result<(), Failure> {
        let _changing = slot.changing.lock().await;
        slot.say(LoadState::Loading);
        let started = std::time::Instant::now();
        let loaded = match self.prepare(slot, deadline).await {
            Ok(loaded) => loaded,
            Err((state, failure)) => {
                tracing::warn!(model = &*slot.name.id, ?state, %failure, "model not loaded");
                slot.say(state);
                return Err(failure);
            }
        };
        if self.closed.load(Ordering::Acquire) {
            return Err(error::unavailable(&slot.name));
        }
        add(&slot.counters.loads, 1);
        let info = loaded.info();
        tracing::info!(model = &*info.id, device = info.device, revision = %info.revision, took = ?started.elapsed(), "model loaded");
        drop(slot.replace(Some(loaded)));
        Ok(())
    }
}
