//! Puts the parts together.

mod convert;
mod models;
mod observers;
mod outside;
mod scrape;
mod search;
mod sidecars;
mod upstreams;
mod workflows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use breakwater_cache::{Cache, Clock};
use breakwater_core::Deadline;
use breakwater_flags::{FlagRecords, Flags, MemoryFlagRecords};
use breakwater_inference::Inference;
use breakwater_operations::workflows::{OperationSteps, Workflows};
use breakwater_operations::{MediaRoot, ModelDetectors, ModelEmbedder, Operations, OperationsConfig, Parts, SchemaCompiler};
use breakwater_plugins::{Catalogue, CatalogueRecords, MemoryRecords, Ports};
use breakwater_resilience::CpuPermits;
use breakwater_search::{MemoryProductRecords, ProductCatalogue, ProductRecords};
use breakwater_settings::Settings;
use breakwater_sidecar::Sidecars;
use breakwater_store::SqliteStore;
use breakwater_telemetry::{Metrics, Tracer};
use breakwater_upstream::{MemoryRecords as MemoryRegistryRecords, RegistryRecords, ServiceCatalogue, Upstreams};
use tokio_util::sync::CancellationToken;

use crate::places::Surroundings;
pub(crate) use convert::{http_config, log_config, readiness_config};
pub(crate) use sidecars::{EXEC, REAP, sidecar_config, sidecar_configs};
use workflows::{Executors, WorkflowStores};

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

/// How often the flags and services are read again that another process may have changed.
const POLL: Duration = Duration::from_secs(2);

/// The parts of a running host.
pub(crate) struct Host {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tracer: Arc<Tracer>,
    pub(crate) inference: Arc<Inference>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) workflows: Arc<Workflows>,
    /// Run them.
    pub(crate) executors: Executors,
    sidecars: Arc<Sidecars>,
    /// What a scrape says of the indices.
    pub(crate) spaces: scrape::Spaces,
    /// Ends the tasks of upstreams, cache and flags.
    stop: CancellationToken,
    _index_folder: search::IndexFolder,
    _executor_lock: Option<breakwater_store::ExecutorLock>,
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
        let tracer = tracer(settings)?;
        let stop = CancellationToken::new();
        let cpu = CpuPermits::start("cpu", convert::threads(settings.operations.cpu_threads), settings.operations.cpu_queue)
            .context("cannot start the CPU pool")?;
        let inference =
            Inference::start(convert::inference_config(settings, &data_dir), Arc::clone(&cpu)).context("cannot start inference")?;
        let records = Records::open(settings, &data_dir, keep).await?;
        let upstreams = upstreams_of(settings, &records, &metrics, &tracer, &stop).await?;
        let services = ServiceCatalogue::open(Arc::clone(&records.shared.services), Arc::new(SchemaCompiler)).await;
        let services = services.map_err(outside::setup).context("cannot read the services")?;
        upstreams.follow_services(&services);
        let flags = Flags::open(records.flags, upstreams::flags(settings)).await.context("cannot read the feature flags")?;
        let observer = Arc::new(observers::CacheEvents(Arc::clone(&metrics)));
        let cache =
            Cache::start_observed(upstreams::cache_config(settings), observer, Clock::system()).await.context("cannot set up the cache")?;

        let mut runtime = convert::runtime_config(settings, data_dir.join("compiled"), surroundings)?;
        runtime.breaker_observer = observers::plugin_breakers(&metrics);
        runtime.rollback_observer = observers::rollbacks(&metrics);
        runtime.call_observer = observers::guest_calls(&metrics, &tracer);
        let detectors = Arc::new(ModelDetectors::new(Arc::clone(&inference)));
        let ports = Ports {
            detect: detectors.clone(),
            cpu: Arc::clone(&cpu) as _,
            outbound: Arc::new(outside::ThroughUpstreams(Arc::clone(&upstreams))),
            flags: Arc::new(outside::ReadFlags(Arc::clone(&flags))),
            embed: Arc::new(models::ThroughInference(Arc::clone(&inference))),
            infer: Arc::new(models::ThroughInference(Arc::clone(&inference))),
        };
        let catalogue = Catalogue::open(runtime, records.catalogue, ports).await.context("cannot start the plugin runtime")?;
        let index_folder = match keep {
            Keep::Everything => search::IndexFolder::take(&data_dir)?,
            Keep::OnlyCompiled => search::IndexFolder::temporary()?,
        };
        let indices = search::indices(settings, &index_folder, &cpu)?;
        let products = ProductCatalogue::open(records.products, indices, search::catalogue_config(settings)).await;
        let products = products.context("cannot read the products")?;
        let media = match keep {
            Keep::Everything => Some(media_root(settings, &data_dir)?),
            Keep::OnlyCompiled => None,
        };
        let sidecars = sidecars::start(settings, keep, &upstreams, &metrics, &stop).await?;
        let spaces = scrape::Spaces::default();
        metrics.connect(scrape::sources(&scrape::Kept {
            inference: &inference,
            catalogue: &catalogue,
            cpu: &cpu,
            upstreams: &upstreams,
            sidecars: &sidecars,
            cache: &cache,
            tracer: &tracer,
            spaces: &spaces,
        }));
        let (polled, polled_services) = (Arc::clone(&flags), Arc::clone(&services));
        let (stopping, stopping_services) = (stop.clone(), stop.clone());
        tokio::spawn(async move { stopping.run_until_cancelled(polled.poll(POLL)).await });
        tokio::spawn(async move { stopping_services.run_until_cancelled(polled_services.poll(POLL)).await });
        let config = OperationsConfig {
            limits: convert::image_limits(settings),
            media,
            image_hosts: settings.urls.image_hosts.clone(),
            search: search::search_config(settings),
        };
        let parts = Parts {
            detectors,
            embedder: Arc::new(ModelEmbedder::new(Arc::clone(&inference))),
            catalogue: Arc::clone(&catalogue),
            cpu,
            upstreams,
            services,
            sidecars: Arc::clone(&sidecars),
            cache,
            flags,
            products,
            metrics: Arc::clone(&metrics),
            tracer: Arc::clone(&tracer),
        };
        let operations = Operations::new(config, upstreams::chains(settings), parts);
        let steps = Arc::new(OperationSteps(Arc::clone(&operations)));
        let executors = Executors::prepare(settings, keep, Arc::clone(&records.shared.workflows), steps).await?;
        let workflows = Workflows::new(Arc::clone(&operations), records.shared.workflows, executors.executor());
        Ok(Self {
            metrics,
            tracer,
            inference,
            catalogue,
            operations,
            workflows,
            executors,
            sidecars,
            spaces,
            stop,
            _index_folder: index_folder,
            _executor_lock: records.shared.lock,
        })
    }

    /// Waits for plugin calls and ends the parts; what has not ended within `patience` is left behind.
    pub(crate) async fn stop(self, patience: Duration) {
        // First: its steps call everything else.
        self.executors.shutdown(Deadline::after(patience)).await;
        let deadline = Deadline::after(patience);
        self.catalogue.shutdown(deadline).await;
        self.operations.stop_search(deadline).await;
        // Each has the time that its settings allow. One that takes longer is ended by its reaper once the host is gone.
        if tokio::time::timeout(self.sidecars.end_patience(), self.sidecars.shutdown()).await.is_err() {
            tracing::warn!("not every sidecar ended in time");
        }
        let deadline = Deadline::after(patience);
        self.stop.cancel();
        if deadline.bound("stopping inference", self.inference.shutdown()).await.is_err() {
            tracing::warn!("inference did not stop in time");
        }
        if let Err(error) = self.tracer.shutdown(deadline.remaining()).await {
            tracing::warn!(%error, "not every span was exported");
        }
    }
}

fn tracer(settings: &Settings) -> Result<Arc<Tracer>> {
    let Some(config) = upstreams::otlp_config(settings) else { return Ok(Tracer::disabled()) };
    let transport = Arc::new(outside::CollectorClient::default());
    Tracer::start(&config, transport, tokio::runtime::Handle::current()).context("cannot set up the export of spans")
}

async fn upstreams_of(
    settings: &Settings,
    records: &Records,
    metrics: &Arc<Metrics>,
    tracer: &Arc<Tracer>,
    stop: &CancellationToken,
) -> Result<Arc<Upstreams>> {
    let observer = observers::UpstreamEvents { metrics: Arc::clone(metrics), tracer: Arc::clone(tracer) };
    let config = upstreams::upstreams_config(settings);
    let started = Upstreams::start(config, Arc::clone(&records.registry), Arc::new(observer), stop.clone()).await;
    started.map_err(outside::setup).context("cannot set up the upstreams")
}

/// What is kept between runs, or for this one.
struct Records {
    catalogue: Arc<dyn CatalogueRecords>,
    registry: Arc<dyn RegistryRecords>,
    flags: Arc<dyn FlagRecords>,
    products: Arc<dyn ProductRecords>,
    /// What several processes may share.
    shared: WorkflowStores,
}

impl Records {
    async fn open(settings: &Settings, data_dir: &Path, keep: Keep) -> Result<Self> {
        if keep == Keep::OnlyCompiled {
            return Ok(Self {
                catalogue: Arc::new(MemoryRecords::default()),
                registry: Arc::new(MemoryRegistryRecords::default()),
                flags: Arc::new(MemoryFlagRecords::default()),
                products: Arc::new(MemoryProductRecords::default()),
                shared: WorkflowStores::in_memory(),
            });
        }
        let file = data_dir.join("breakwater.sqlite");
        let store = SqliteStore::open(&file).await.with_context(|| format!("cannot open the records in {}", file.display()))?;
        let store = Arc::new(store);
        Ok(Self {
            catalogue: store.clone(),
            registry: store.clone(),
            shared: WorkflowStores::open(settings, &store).await?,
            flags: store.clone(),
            products: store,
        })
    }
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
