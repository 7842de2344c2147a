//! One named upstream: its line, its endpoints as they come and go, and their health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{CallContext, Failure, OutboundRequest, OutboundResponse};
use breakwater_resilience::{EndpointSpec, Pipeline, PipelineConfig};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::UpstreamConfig;
use crate::credentials::Presenter;
use crate::endpoint::Endpoint;
use crate::health::{self, Verdict};
use crate::latency::Latency;
use crate::line::Line;
use crate::managed::ManagedEndpoint;
use crate::observer::UpstreamObserver;
use crate::registry::{Registry, Selection};
use crate::relay::Relay;
use crate::status::{CheckReport, EndpointCheck, UpstreamSource, UpstreamStatus};

/// Endpoints that are checked at once.
const CHECKS_AT_ONCE: usize = 16;
/// How long warming up waits for an answer when no health check is configured.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of an endpoint.
struct Known {
    endpoint: Arc<Endpoint>,
    weight: u32,
    /// What its heartbeats, or whoever manages it, say; one from the configuration sends none.
    says_well: bool,
    /// Somebody in this process looks after it: checks of ours decide nothing.
    is_managed: bool,
    verdict: Verdict,
}

impl Known {
    fn is_well(&self) -> bool {
        self.says_well && self.verdict.is_well()
    }
}

pub(crate) struct Upstream {
    config: UpstreamConfig,
    source: UpstreamSource,
    line: Line,
    latency: Latency,
    endpoints: Mutex<BTreeMap<String, Known>>,
    /// Endpoints that somebody in this process looks after, by id.
    managed: Mutex<BTreeMap<String, ManagedEndpoint>>,
    /// Told when there is an endpoint that was never checked.
    arrived: Notify,
    /// Ends its background task.
    pub(crate) stop: CancellationToken,
}

/// What an upstream is made of.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) config: UpstreamConfig,
    pub(crate) source: UpstreamSource,
    pub(crate) client: reqwest::Client,
    pub(crate) credentials: Option<Presenter>,
    pub(crate) observer: Arc<dyn UpstreamObserver>,
    pub(crate) stop: CancellationToken,
}

impl Upstream {
    /// An upstream without endpoints; [`Self::refresh`] finds them.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { name, config, source, client, credentials, observer, stop } = parts;
        let relay = Relay { upstream: name.clone(), observer: Arc::clone(&observer) };
        let line = Line {
            name,
            is_url: false,
            client,
            pipeline: Pipeline::new(config.pipeline, Arc::new(relay)),
            places: Arc::new(places(&config.pipeline)),
            first_byte_timeout: config.first_byte_timeout,
            max_response_bytes: config.max_response_bytes,
            max_replay_bytes: config.max_replay_bytes,
            credentials,
            observer,
        };
        Self {
            config,
            source,
            line,
            latency: Latency::default(),
            endpoints: Mutex::default(),
            managed: Mutex::default(),
            arrived: Notify::new(),
            stop,
        }
    }

    pub(crate) fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    pub(crate) fn source(&self) -> UpstreamSource {
        self.source
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // Every change is complete before anything can panic.
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the endpoints that the configuration and the registry name now. What is known about those that stay is kept.
    pub(crate) fn refresh(&self, registry: &Registry) {
        let mut known = self.known();
        let before = std::mem::take(&mut *known);
        let keep = |weight, says_well, is_managed, endpoint: Endpoint| {
            let known = before.get(&endpoint.id);
            let verdict = known.map_or_else(Verdict::default, |known| known.verdict);
            let endpoint = known.map_or_else(|| endpoint.clone(), |known| endpoint.clone().following(&known.endpoint));
            (endpoint.id.clone(), Known { endpoint: Arc::new(endpoint), weight, says_well, is_managed, verdict })
        };
        let defined = self.config.service.as_ref().and_then(|name| registry.defined(name));
        if let Some(url) = defined {
            known.extend(Endpoint::new(&url, &url).map(|found| keep(1, true, false, found)));
        }
        for endpoint in &self.config.endpoints {
            // What is no base URL was refused when the settings were read.
            known.extend(Endpoint::new(&endpoint.url, &endpoint.url).map(|found| keep(endpoint.weight, true, false, found)));
        }
        let services = self.config.service.as_ref().map(|name| registry.list(&Selection::named(name))).unwrap_or_default();
        for service in services {
            let statistics = registry.statistics(&service.id).unwrap_or_default();
            let found = Endpoint::new(&service.id, &service.url).map(|found| found.counted(statistics));
            known.extend(found.map(|found| keep(service.weight, service.healthy, false, found)));
        }
        for (id, managed) in &*self.managed() {
            known.extend(Endpoint::new(id, &managed.url).map(|found| keep(managed.weight, managed.accepting, true, found)));
        }
        let spec =
            |(id, known): (&String, &Known)| EndpointSpec { id: id.clone(), weight: known.weight, endpoint: Arc::clone(&known.endpoint) };
        self.line.pipeline.set_endpoints(known.iter().map(spec).collect());
        for (id, known) in &*known {
            self.line.pipeline.set_healthy(id, known.is_well());
        }
        if known.keys().any(|id| !before.contains_key(id)) {
            self.arrived.notify_one();
        }
        // Whoever manages one says himself what happens to it.
        let turned = |(id, known): (&String, &Known)| {
            (!known.is_managed && before.get(id)?.is_well() != known.is_well()).then(|| (id.clone(), known.is_well()))
        };
        let turned: Vec<_> = known.iter().filter_map(turned).collect();
        drop(known);
        for (id, is_well) in turned {
            self.tell_health(&id, is_well, None);
        }
    }

    fn managed(&self) -> MutexGuard<'_, BTreeMap<String, ManagedEndpoint>> {
        self.managed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an endpoint that somebody in this process looks after, or what is new about it.
    pub(crate) fn put_managed(&self, endpoint: ManagedEndpoint, registry: &Registry) {
        self.managed().insert(endpoint.id.clone(), endpoint);
        self.refresh(registry);
    }

    /// Forgets such an endpoint.
    pub(crate) fn remove_managed(&self, id: &str, registry: &Registry) {
        if self.managed().remove(id).is_some() {
            self.refresh(registry);
        }
    }

    /// Attempts that run at an endpoint, and answers of it that are still being passed on.
    pub(crate) fn pending(&self, id: &str) -> u32 {
        let streaming = self.known().get(id).map_or(0, |known| known.endpoint.streaming());
        let status = self.line.pipeline.status();
        streaming + status.endpoints.iter().find(|endpoint| endpoint.id == id).map_or(0, |endpoint| endpoint.pending)
    }

    /// Whether there is anywhere to send a request to.
    pub(crate) fn has_endpoints(&self) -> bool {
        !self.known().is_empty()
    }

    /// Whether an endpoint is well.
    pub(crate) fn is_healthy(&self) -> bool {
        self.known().values().any(Known::is_well)
    }

    pub(crate) async fn send(&self, context: &CallContext, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let started = Instant::now();
        let result = self.line.send(context, request).await;
        self.latency.record(started.elapsed());
        result
    }

    pub(crate) fn status(&self) -> UpstreamStatus {
        UpstreamStatus::new(self.line.name.clone(), self.source, &self.line.pipeline.status(), self.latency.quantiles())
    }

    /// Checks every endpoint once and takes what that says.
    pub(crate) async fn check(&self) -> CheckReport {
        self.check_those(|_| true).await
    }

    async fn check_those(&self, wanted: impl Fn(&Known) -> bool) -> CheckReport {
        let (path, within, any_refusal) = match &self.config.health {
            Some(health) => (health.path.as_str(), health.timeout, health.any_refusal_is_well),
            None => ("/", WARM_UP_TIMEOUT, false),
        };
        let endpoints: Vec<_> = self.known().values().filter(|known| wanted(known)).map(|known| Arc::clone(&known.endpoint)).collect();
        let checks = stream::iter(endpoints).map(async |endpoint| health::check(&self.line, &endpoint, path, within, any_refusal).await);
        let endpoints: Vec<EndpointCheck> = checks.buffered(CHECKS_AT_ONCE).collect().await;
        for check in &endpoints {
            self.observe(check);
        }
        CheckReport { name: self.line.name.clone(), healthy: self.is_healthy(), endpoints }
    }

    /// Takes what a check of an endpoint found, unless it is gone meanwhile or checks do not decide.
    fn observe(&self, check: &EndpointCheck) {
        let Some(config) = &self.config.health else { return };
        let mut known = self.known();
        let Some(endpoint) = known.get_mut(&check.id) else { return };
        if endpoint.is_managed {
            return;
        }
        let before = endpoint.is_well();
        endpoint.verdict.observe(check.ok, config);
        let now = endpoint.is_well();
        drop(known);
        if before != now {
            self.line.pipeline.set_healthy(&check.id, now);
            self.tell_health(&check.id, now, Some(check));
        }
    }

    /// `check` is what turned it; nothing when it was a heartbeat.
    fn tell_health(&self, id: &str, is_well: bool, check: Option<&EndpointCheck>) {
        let upstream = self.line.name.as_str();
        let (status, error) = (check.and_then(|check| check.status), check.and_then(|check| check.error.as_deref()));
        tracing::debug!(target: "upstream", upstream, endpoint = id, is_well, status, error, "the health of an endpoint changed");
        self.line.observer.health_changed(upstream, id, is_well);
    }

    /// Checks the endpoints again and again, as the background task `upstream-health`, until the upstream stops: often while one is not
    /// well, so that it comes back soon, and at once when there is a new one. A check that fails is a result; nothing ends the task early.
    pub(crate) async fn watch_health(&self) {
        let Some(health) = &self.config.health else { return };
        loop {
            let report = tokio::select! {
                () = self.stop.cancelled() => return,
                report = self.check_those(|known| !known.is_managed) => report,
            };
            let all_well = report.endpoints.iter().all(|check| check.ok);
            let wait = if all_well { health.interval } else { health.unhealthy_interval };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.arrived.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Places for attempts and for answers that are being read.
pub(crate) fn places(pipeline: &PipelineConfig) -> Semaphore {
    Semaphore::new(pipeline.bulkhead.max_concurrent.min(Semaphore::MAX_PERMITS))
}
