//! The catalogue: which generations there are, and which of them serve.
//!
//! Changes are serialised and take effect at one point, the publication of a new [`Snapshot`]; whatever fails before that point leaves
//! everything as it was. Readers never wait.

mod deploy;
mod info;
mod lifecycle;
mod load;
mod restore;
mod rollback;
mod shelf;

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use breakwater_core::Deadline;
use tokio::sync::Mutex;

use crate::compiled::CompiledCache;
use crate::config::RuntimeConfig;
use crate::engine::Engines;
use crate::error::PluginError;
use crate::plugin_id::PluginId;
use crate::ports::Ports;
use crate::records::{CatalogueRecords, CatalogueState};
use crate::services::Services;
use crate::snapshot::Snapshot;
use crate::world::World;

pub use info::{GenerationInfo, GenerationState, PluginInfo};
use shelf::Shelf;

/// How often a shutdown looks whether the last guest has ended.
const DRAIN_INTERVAL: std::time::Duration = std::time::Duration::from_millis(5);

/// The catalogue of plugins.
pub struct Catalogue {
    config: RuntimeConfig,
    engines: Engines,
    services: Arc<Services>,
    cache: CompiledCache,
    records: Arc<dyn CatalogueRecords>,
    snapshot: ArcSwap<Snapshot>,
    shelf: Shelf,
    /// What is on record. Held through every change, so there is one change at a time.
    state: Mutex<CatalogueState>,
    this: Weak<Self>,
}

impl Catalogue {
    /// Starts the runtime and brings back what was active. A generation that cannot be brought back is reported in the log and in
    /// [`Self::list`], and does not keep the others from serving.
    ///
    /// # Errors
    /// [`PluginError::Setup`] for settings out of range or an unusable folder, [`PluginError::Records`] when the state cannot be read.
    pub async fn open(config: RuntimeConfig, records: Arc<dyn CatalogueRecords>, ports: Ports) -> Result<Arc<Self>, PluginError> {
        let engines = Engines::start(&config)?;
        // Compiled code runs in either engine: what they differ in does not concern it.
        let wasm = engines.of(World::Crop).wasm();
        let cache = CompiledCache::open(config.cache_dir.clone(), wasm, config.compiler.clone(), config.compile_limits)?;
        let services = Services { ports, image_limits: config.image_limits, blob_bytes: config.adapters.blob_bytes };
        let services = Arc::new(services);
        let state = records.load().await?;
        let catalogue = Arc::new_cyclic(|this| Self {
            config,
            engines,
            services,
            cache,
            records,
            snapshot: ArcSwap::default(),
            shelf: Shelf::default(),
            state: Mutex::new(CatalogueState::default()),
            this: Weak::clone(this),
        });
        catalogue.adopt(&mut *catalogue.state.lock().await, state).await;
        Ok(catalogue)
    }

    /// What is active now. A call takes one snapshot and keeps it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Every plugin and its kept generations.
    #[must_use]
    pub fn list(&self) -> Vec<PluginInfo> {
        self.shelf.list(&self.snapshot())
    }

    /// How many guest calls run now.
    #[must_use]
    pub fn running_calls(&self) -> usize {
        self.engines.running()
    }

    /// Waits until the last guest call and the last change have ended, or until the deadline.
    pub async fn shutdown(&self, deadline: Deadline) {
        let drained = async {
            let _no_change = self.state.lock().await;
            while self.running_calls() > 0 {
                tokio::time::sleep(DRAIN_INTERVAL).await;
            }
        };
        if tokio::time::timeout_at(deadline.instant(), drained).await.is_err() {
            tracing::warn!(running = self.running_calls(), "plugin calls were still running when the time to drain was over");
        }
    }

    /// Makes a change in a task of its own, which nobody's impatience can stop between the records and the snapshot. Whoever asked
    /// waits for it; a shutdown does too.
    async fn to_the_end<T, F>(&self, change: impl FnOnce(Arc<Self>) -> F) -> Result<T, PluginError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PluginError>> + Send + 'static,
    {
        let Some(this) = self.this.upgrade() else { return Err(PluginError::Setup("the catalogue is gone".to_owned())) };
        let ended = tokio::spawn(change(this)).await;
        ended.map_err(|error| PluginError::Setup(format!("a change of the catalogue ended early: {error}")))?
    }

    /// Who wins a name that several plugins offer: the operator's order, or the one on record where there is none.
    fn order<'a>(&'a self, state: &'a CatalogueState) -> &'a [PluginId] {
        if self.config.order.is_empty() { &state.order } else { &self.config.order }
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").field("revision", &self.snapshot().revision()).finish_non_exhaustive()
    }
}
