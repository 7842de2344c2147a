//! Puts the parts together.

mod convert;
mod scrape;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use breakwater_core::Deadline;
use breakwater_inference::Inference;
use breakwater_operations::{CpuPermits, MediaRoot, ModelDetectors, Operations, OperationsConfig};
use breakwater_plugins::{Catalogue, CatalogueRecords, MemoryRecords};
use breakwater_settings::Settings;
use breakwater_store::SqliteStore;
use breakwater_telemetry::Metrics;

use crate::places::Surroundings;
pub(crate) use convert::{http_config, log_config, readiness_config};

/// The version in `--version`, logs and metrics.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is kept between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The catalogue of plugins and pictures under the media root: the service.
    Everything,
    /// Nothing but compiled plugins, which are named by content: the commands without a server, also beside a running service.
    OnlyCompiled,
}

/// The parts of a running host.
pub(crate) struct Host {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inference: Arc<Inference>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) operations: Arc<Operations>,
}

impl Host {
    /// Starts every part but the server.
    ///
    /// # Errors
    /// When a part cannot start; the message says which.
    pub(crate) async fn start(settings: &Settings, surroundings: &Surroundings, keep: Keep) -> Result<Self> {
        let data_dir = settings.data.dir.clone().unwrap_or_else(|| surroundings.data_dir());
        std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
        let metrics = Metrics::new(VERSION);
        let cpu = CpuPermits::start("cpu", convert::threads(settings.operations.cpu_threads), settings.operations.cpu_queue)
            .context("cannot start the CPU pool")?;
        let inference = Inference::start(convert::inference_config(settings)).context("cannot start inference")?;
        let records = records(&data_dir, keep).await?;
        let mut runtime = convert::runtime_config(settings, data_dir.join("compiled"), surroundings)?;
        runtime.breaker_observer = scrape::breaker_observer(&metrics);
        let detect = Arc::new(ModelDetectors::new(Arc::clone(&inference)));
        let catalogue =
            Catalogue::open(runtime, records, detect, Arc::clone(&cpu) as _).await.context("cannot start the plugin runtime")?;
        let media = match keep {
            Keep::Everything => Some(media_root(settings, &data_dir)?),
            Keep::OnlyCompiled => None,
        };
        let config = OperationsConfig { limits: convert::image_limits(settings), media };
        let operations = Operations::new(config, Arc::clone(&inference), Arc::clone(&catalogue), Arc::clone(&cpu), Arc::clone(&metrics));
        metrics.connect(scrape::sources(&inference, &catalogue, &cpu));
        Ok(Self { metrics, inference, catalogue, operations })
    }

    /// Waits for plugin calls and ends the parts; what has not ended within `patience` is left behind.
    pub(crate) async fn stop(self, patience: Duration) {
        let deadline = Deadline::after(patience);
        self.catalogue.shutdown(deadline).await;
        if deadline.bound("stopping inference", self.inference.shutdown()).await.is_err() {
            tracing::warn!("inference did not stop in time");
        }
    }
}

async fn records(data_dir: &Path, keep: Keep) -> Result<Arc<dyn CatalogueRecords>> {
    if keep == Keep::OnlyCompiled {
        return Ok(Arc::new(MemoryRecords::default()));
    }
    let file = data_dir.join("breakwater.sqlite");
    let store = SqliteStore::open(&file).await.with_context(|| format!("cannot open the records in {}", file.display()))?;
    Ok(Arc::new(store))
}

fn media_root(settings: &Settings, data_dir: &Path) -> Result<Arc<MediaRoot>> {
    let root: PathBuf = match &settings.media.root {
        Some(root) => root.clone(),
        None => {
            let root = data_dir.join("media");
            std::fs::create_dir_all(&root).with_context(|| format!("cannot make the media root {}", root.display()))?;
            root
        }
    };
    MediaRoot::open(&root, &settings.media.output_folder, settings.image.max_bytes.bytes()).context("cannot open the media root")
}
