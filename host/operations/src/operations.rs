//! What the operations share.

use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;
use breakwater_cache::{Cache, FlightConfig, SingleFlight};
use breakwater_core::{CallContext, Failure, Outcome, Payload, ServedBy};
use breakwater_flags::Flags;
use breakwater_inference::DeviceReport;
use breakwater_plugins::Catalogue;
use breakwater_resilience::CpuPermits;
use breakwater_search::ProductCatalogue;
use breakwater_sidecar::Sidecars;
use breakwater_telemetry::{Metrics, Tracer};
use breakwater_upstream::{ServiceCatalogue, ServiceSnapshot, Upstreams};
use breakwater_vision::Limits;

use crate::chains::Chains;
use crate::detectors::Detectors;
use crate::features::Embedder;
use crate::invoke::HostSnapshot;
use crate::media::MediaRoot;
use crate::search::SearchConfig;
use crate::search::shared::SearchState;
use crate::table::Table;

/// What the composition root decides.
#[derive(Debug, Clone, Default)]
pub struct OperationsConfig {
    /// Of pictures that come in and go out.
    pub limits: Limits,
    /// Where paths are looked up and results are written; none means that pictures cannot be named by path.
    pub media: Option<Arc<MediaRoot>>,
    /// Hosts from which pictures may be fetched that callers name by URL, as patterns of [`breakwater_upstream::HostPattern`]; none refuses
    /// all of them.
    pub image_hosts: Vec<String>,
    /// How search behaves when a call does not say.
    pub search: SearchConfig,
}

/// What the operations are made of. The composition root fills it in.
pub struct Parts {
    /// What finds things in pictures.
    pub detectors: Arc<dyn Detectors>,
    /// What gives the features of pictures.
    pub embedder: Arc<dyn Embedder>,
    /// The plugins.
    pub catalogue: Arc<Catalogue>,
    /// Where pictures are worked on.
    pub cpu: Arc<CpuPermits>,
    /// Services elsewhere.
    pub upstreams: Arc<Upstreams>,
    /// Services that were defined with their actions.
    pub services: Arc<ServiceCatalogue>,
    /// Local processes that are endpoints of them.
    pub sidecars: Arc<Sidecars>,
    /// Answers that are kept.
    pub cache: Arc<Cache>,
    /// Feature flags.
    pub flags: Arc<Flags>,
    /// Products and their indices.
    pub products: Arc<ProductCatalogue>,
    /// Counted into.
    pub metrics: Arc<Metrics>,
    /// Told of spans.
    pub tracer: Arc<Tracer>,
}

/// The calls of reads that many may wait for.
pub(crate) type Flights = SingleFlight<Result<Outcome<Payload>, Failure>>;

/// The use cases of the service. Calls are independent: one `Operations` serves all of them.
pub struct Operations {
    config: OperationsConfig,
    parts: Parts,
    chains: ArcSwap<Chains>,
    current: ArcSwap<Current>,
    flights: Flights,
    search: SearchState,
    this: Weak<Self>,
}

/// The snapshot that new calls capture, and what it was made of.
#[derive(Default)]
struct Current {
    snapshot: Arc<HostSnapshot>,
    services: Arc<ServiceSnapshot>,
    chains: Arc<Chains>,
}

impl Operations {
    /// Connects the parts.
    #[must_use]
    pub fn new(config: OperationsConfig, chains: Chains, parts: Parts) -> Arc<Self> {
        let chains = Arc::new(chains);
        let current = Current::of(parts.catalogue.snapshot(), parts.services.snapshot(), Arc::clone(&chains), None);
        Arc::new_cyclic(|this| Self {
            config,
            parts,
            chains: ArcSwap::new(chains),
            current: ArcSwap::from_pointee(current),
            flights: Flights::new(FlightConfig::default()),
            search: SearchState::default(),
            this: Weak::clone(this),
        })
    }

    /// Uses other chains for calls that begin from now on.
    pub fn set_chains(&self, chains: Chains) {
        self.chains.store(Arc::new(chains));
    }

    /// What a call that begins now captures. Made anew when the plugins, the services or the chains have changed.
    pub(crate) fn current(&self) -> Arc<HostSnapshot> {
        let (current, chains) = (self.current.load(), self.chains.load_full());
        let (plugins, services) = (self.parts.catalogue.snapshot(), self.parts.services.snapshot());
        let is_current = Arc::ptr_eq(&current.snapshot.plugins, &plugins)
            && Arc::ptr_eq(&current.services, &services)
            && Arc::ptr_eq(&current.chains, &chains);
        if is_current {
            return Arc::clone(&current.snapshot);
        }
        let made = Current::of(plugins, services, chains, Some(&current.snapshot.table));
        let snapshot = Arc::clone(&made.snapshot);
        self.current.store(Arc::new(made));
        snapshot
    }

    /// Whether a flag lets a caller have what it guards. A flag that does not exist guards nothing.
    pub(crate) fn is_switched_on(&self, flag: &str, context: &CallContext) -> bool {
        self.parts.flags.get(flag).is_none() || self.parts.flags.enabled(flag, &context.caller)
    }

    /// Where inference runs now, and why there.
    #[must_use]
    pub fn device(&self) -> DeviceReport {
        self.parts.detectors.device()
    }

    /// Limits of pictures.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.config.limits
    }

    pub(crate) fn media(&self) -> Option<&Arc<MediaRoot>> {
        self.config.media.as_ref()
    }

    pub(crate) fn detectors(&self) -> &Arc<dyn Detectors> {
        &self.parts.detectors
    }

    pub(crate) fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.parts.embedder
    }

    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        &self.parts.catalogue
    }

    pub(crate) fn cpu(&self) -> &CpuPermits {
        &self.parts.cpu
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    pub(crate) fn shared_metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    pub(crate) fn config(&self) -> &OperationsConfig {
        &self.config
    }

    pub(crate) fn image_hosts(&self) -> &[String] {
        &self.config.image_hosts
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn state(&self) -> &SearchState {
        &self.search
    }

    pub(crate) fn tracer(&self) -> &Arc<Tracer> {
        &self.parts.tracer
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.flights
    }

    pub(crate) fn this(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// The answers that are kept.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.parts.cache
    }

    /// The feature flags.
    #[must_use]
    pub fn flags(&self) -> &Flags {
        &self.parts.flags
    }

    /// The services elsewhere.
    #[must_use]
    pub fn upstreams(&self) -> &Upstreams {
        &self.parts.upstreams
    }

    /// The local processes that are endpoints of upstreams.
    #[must_use]
    pub fn sidecars(&self) -> &Arc<Sidecars> {
        &self.parts.sidecars
    }

    /// Counts a call of an operation by how it ended: who answered and whether degraded, or how it failed.
    pub(crate) fn count_call(&self, operation: &str, started: Instant, result: Result<(&ServedBy, bool), &Failure>) {
        match result {
            Ok((served_by, degraded)) => self.metrics().operation_answered(operation, served_by, degraded, started.elapsed()),
            Err(failure) => self.metrics().operation_failed(operation, failure.kind, started.elapsed()),
        }
    }
}

impl Current {
    fn of(plugins: Arc<breakwater_plugins::Snapshot>, services: Arc<ServiceSnapshot>, chains: Arc<Chains>, before: Option<&Table>) -> Self {
        let table = Table::build(&plugins, &services, &chains, before);
        Self { snapshot: Arc::new(HostSnapshot { plugins, table }), services, chains }
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").field("config", &self.config).finish_non_exhaustive()
    }
}
