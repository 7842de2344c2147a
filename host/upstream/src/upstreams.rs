//! All upstreams: those of the configuration, those of the registry, and URLs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use breakwater_core::{CallContext, Failure, FailureKind, OutboundRequest, OutboundResponse};
use breakwater_resilience::State;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client;
use crate::config::{UpstreamConfig, UpstreamsConfig};
use crate::credentials::Presenter;
use crate::managed::ManagedEndpoint;
use crate::observer::UpstreamObserver;
use crate::registry::{Registry, RegistryChange, RegistryRecords, Selection, Service};
use crate::services::{ServiceCatalogue, ServiceSnapshot, ServiceStatus};
use crate::status::{CheckReport, UpstreamSource, UpstreamStatus};
use crate::upstream::{Parts, Upstream};
use crate::urls::Urls;

/// What an operator wants of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerCommand {
    /// Closed, with everything forgotten; also ends a forced state.
    Reset,
    /// Refuses every call until it is reset.
    Open,
    /// Lets every call pass until it is reset.
    Close,
}

/// Everything that leaves the host.
pub struct Upstreams {
    named: ArcSwap<BTreeMap<String, Arc<Upstream>>>,
    /// Held while the names change.
    changing: Mutex<()>,
    registry: Registry,
    urls: Urls,
    /// Shared by the upstreams that the configuration does not know, of which there may be many.
    registry_client: reqwest::Client,
    observer: Arc<dyn UpstreamObserver>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Upstreams {
    /// Reads the registry, secrets and certificates, and starts the background tasks (`registry-expiry`, and `upstream-health` of each
    /// upstream), which end when `stop` is cancelled.
    ///
    /// # Errors
    /// `upstream.config`, `upstream.credentials` (invalid request) when an upstream cannot be set up as it is configured; `registry.store`
    /// (unavailable) when the registry's records cannot be read.
    pub async fn start(
        config: UpstreamsConfig,
        records: Arc<dyn RegistryRecords>,
        observer: Arc<dyn UpstreamObserver>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Failure> {
        let mut named = BTreeMap::new();
        for (name, config) in config.upstreams {
            let upstream = configured(&name, config, Arc::clone(&observer), stop.child_token()).await?;
            named.insert(name, Arc::new(upstream));
        }
        let this = Arc::new(Self {
            named: ArcSwap::from_pointee(named),
            changing: Mutex::default(),
            registry: Registry::open(records).await?,
            urls: Urls::new(config.urls, Arc::clone(&observer))?,
            registry_client: client::of_upstream(&UpstreamConfig::default(), false).await?,
            observer,
            tasks: TaskTracker::new(),
            stop,
        });
        for upstream in this.named.load().values() {
            upstream.refresh(&this.registry);
            this.watch(Arc::clone(upstream));
        }
        for service in this.registry.list(&Selection::default()) {
            this.follow(&service.name);
        }
        let weak: Weak<Self> = Arc::downgrade(&this);
        this.registry.on_change(move |change, service| {
            if let Some(this) = weak.upgrade() {
                this.hear(change, service);
            }
        });
        let expiring = Arc::clone(&this);
        this.tasks.spawn(async move { expiring.registry.expire(expiring.stop.clone()).await });
        Ok(this)
    }

    fn watch(&self, upstream: Arc<Upstream>) {
        self.tasks.spawn(async move { upstream.watch_health().await });
    }

    /// Waits until every background task has ended. They do once the token given to [`Self::start`] is cancelled.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn hear(&self, change: RegistryChange, service: &Service) {
        self.follow(&service.name);
        self.observer.registry_changed(change, service);
    }

    /// Takes what the registry says of the services called `name`: into the upstreams that look for them, and into one of that name if the
    /// configuration has none.
    fn follow(&self, name: &str) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let named = self.named.load_full();
        for upstream in named.values().filter(|upstream| upstream.config().service.as_deref() == Some(name)) {
            upstream.refresh(&self.registry);
        }
        let has_services = self.registry.defined(name).is_some() || !self.registry.list(&Selection::named(name)).is_empty();
        match named.get(name) {
            None if has_services => {
                self.add(name, UpstreamSource::Registry);
            }
            Some(upstream) if !has_services && upstream.source() == UpstreamSource::Registry => {
                upstream.stop.cancel();
                let mut named = BTreeMap::clone(&named);
                named.remove(name);
                self.named.store(Arc::new(named));
            }
            _ => {}
        }
    }

    /// Takes the endpoints of the active services of a catalogue from now on: each into the upstream of the service's name, which comes and
    /// goes with it if the configuration has none. One catalogue is followed; a second one is not.
    pub fn follow_services(self: &Arc<Self>, catalogue: &ServiceCatalogue) {
        let this = Arc::downgrade(self);
        catalogue.on_change(move |services| {
            if let Some(this) = this.upgrade() {
                this.define(services);
            }
        });
    }

    fn define(&self, services: &ServiceSnapshot) {
        let definitions = services.services().map(|entry| &entry.definition).filter(|service| service.status == ServiceStatus::Active);
        let now: BTreeMap<_, _> = definitions.map(|service| (service.name.clone(), service.endpoint.clone())).collect();
        let before = self.registry.define(now.clone());
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        for name in names.into_iter().filter(|name| before.get(*name) != now.get(*name)) {
            self.follow(name);
            // What the breaker knows is about another place.
            if let (true, true, Ok(upstream)) = (before.contains_key(name), now.contains_key(name), self.upstream(name))
                && upstream.line().pipeline.breaker().state() != State::ForcedOpen
            {
                upstream.line().pipeline.breaker().reset();
            }
        }
    }

    /// Adds an upstream that the configuration does not know. `changing` is held.
    fn add(&self, name: &str, source: UpstreamSource) -> Arc<Upstream> {
        let upstream = Arc::new(self.discovered(name, source));
        upstream.refresh(&self.registry);
        self.watch(Arc::clone(&upstream));
        let mut named = BTreeMap::clone(&self.named.load());
        named.insert(name.to_owned(), Arc::clone(&upstream));
        self.named.store(Arc::new(named));
        upstream
    }

    /// Makes sure that there is an upstream of this name, to which endpoints will come that somebody in this process looks after. It stays,
    /// so that calls find it without endpoints rather than not at all.
    pub fn declare_managed(&self, name: &str) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // One that only the registry knew would go with its services.
        let is_kept = self.named.load().get(name).is_some_and(|known| known.source() != UpstreamSource::Registry);
        if !is_kept {
            if let Some(before) = self.named.load().get(name) {
                before.stop.cancel();
            }
            self.add(name, UpstreamSource::Sidecar);
        }
    }

    /// Takes an endpoint of an upstream that somebody in this process looks after, or what is new about it. Checks and heartbeats have no
    /// say about it: it gets calls while it is `accepting`.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub fn put_managed(&self, upstream: &str, endpoint: ManagedEndpoint) -> Result<(), Failure> {
        self.upstream(upstream)?.put_managed(endpoint, &self.registry);
        Ok(())
    }

    /// Forgets such an endpoint. Calls that run at it go on.
    pub fn remove_managed(&self, upstream: &str, id: &str) {
        if let Ok(upstream) = self.upstream(upstream) {
            upstream.remove_managed(id, &self.registry);
        }
    }

    /// How many attempts run at an endpoint, with the answers that are still being passed on; none at one that is not known.
    #[must_use]
    pub fn pending(&self, upstream: &str, endpoint: &str) -> u32 {
        self.upstream(upstream).map_or(0, |upstream| upstream.pending(endpoint))
    }

    fn discovered(&self, name: &str, source: UpstreamSource) -> Upstream {
        Upstream::new(Parts {
            name: name.to_owned(),
            config: if self.registry.defined(name).is_some() {
                UpstreamConfig::of_definition(name)
            } else {
                UpstreamConfig::of_service(name)
            },
            source,
            client: self.registry_client.clone(),
            credentials: None,
            observer: Arc::clone(&self.observer),
            stop: self.stop.child_token(),
        })
    }

    fn upstream(&self, name: &str) -> Result<Arc<Upstream>, Failure> {
        self.named.load().get(name).cloned().ok_or_else(|| {
            let name: String = name.chars().take(128).collect();
            Failure::new(FailureKind::NotFound, "upstream.unknown", format!("there is no upstream `{name}`"))
        })
    }

    /// Sends a request to a named upstream, as often as its policy, the budget and the deadline allow, and reads the answer.
    ///
    /// The request carries `x-correlation-id`, `traceparent` (of a span for each attempt), `x-request-deadline-ms` (how long the host will
    /// still wait for the attempt), the upstream's credentials, and `idempotency-key`: the given one, or one derived from the call's own for
    /// requests that are neither idempotent nor reads.
    ///
    /// # Errors
    /// - `upstream.unknown` (not found), `upstream.request-invalid` (invalid request), `upstream.circuit-open` (circuit open),
    ///   `upstream.overloaded`, `upstream.no-endpoint` (unavailable): nothing was sent
    /// - `upstream.connection` (unavailable), `upstream.timeout` (timeout): no whole answer came; the effect says whether it may have been done
    /// - `upstream.max-retries-exceeded`: of the kind of the last attempt; the detail holds its `last_code`, the number of `attempts`, and
    ///   what the last answer said
    /// - `upstream.status` (rejected; not found for 404, invalid request for 400 and 422): the detail holds `status`, at most 8 KiB of
    ///   `body`, and `error_code` if the body names one
    /// - `upstream.response-too-large` (limit): the answer is larger than allowed
    pub async fn send(&self, context: &CallContext, upstream: &str, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        self.upstream(upstream)?.send(context, request).await
    }

    /// Sends a request to a URL that a caller gave. `request.path` is not used: the URL has its own. `hosts` are the patterns that the caller
    /// was granted ([`crate::HostPattern`]); one that cannot be read grants nothing.
    ///
    /// Each host has retries, breaker and places of its own. Redirects are followed, each under the same guard. Credentials that the caller
    /// gives are sent, since the host has none for it, but not to another host after a redirect.
    ///
    /// # Errors
    /// - `upstream.url-invalid` (invalid request): no absolute URL
    /// - `upstream.url-denied` (denied): another scheme than http and https, a user name or password, a host that was not granted, or an
    ///   address that is not public and not allowed; also of a redirect
    /// - `upstream.redirects` (rejected): too many redirects
    /// - otherwise as [`Self::send`], without `upstream.unknown`
    pub async fn send_to_url(
        &self,
        context: &CallContext,
        url: &str,
        request: OutboundRequest,
        hosts: &[String],
    ) -> Result<OutboundResponse, Failure> {
        self.urls.send(context, url, request, hosts).await
    }

    /// Takes the right to repeat a call from an upstream's retry budget, for whoever repeats calls as a whole. An upstream that is not known
    /// has none that could be used up.
    #[must_use]
    pub fn take_retry(&self, name: &str) -> bool {
        self.upstream(name).is_ok_and(|upstream| upstream.line().pipeline.budget().try_take())
    }

    /// How every upstream is, by name.
    #[must_use]
    pub fn status(&self) -> Vec<UpstreamStatus> {
        self.named.load().values().map(|upstream| upstream.status()).collect()
    }

    /// How one upstream is.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub fn upstream_status(&self, name: &str) -> Result<UpstreamStatus, Failure> {
        Ok(self.upstream(name)?.status())
    }

    /// Moves an upstream's breaker and says how the upstream is then.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub fn breaker(&self, name: &str, command: BreakerCommand) -> Result<UpstreamStatus, Failure> {
        let upstream = self.upstream(name)?;
        let breaker = upstream.line().pipeline.breaker();
        match command {
            BreakerCommand::Reset => breaker.reset(),
            BreakerCommand::Open => breaker.force_open(),
            BreakerCommand::Close => breaker.force_closed(),
        }
        Ok(upstream.status())
    }

    /// Checks every endpoint of an upstream now; what that says counts as a check of the background task does.
    ///
    /// # Errors
    /// `upstream.unknown` (not found). That an endpoint is not well is in the report.
    pub async fn check(&self, name: &str) -> Result<CheckReport, Failure> {
        Ok(self.upstream(name)?.check().await)
    }

    /// Opens a connection to every endpoint of an upstream, by one check of it, so that the first call finds one.
    ///
    /// # Errors
    /// `upstream.unknown` (not found). That an endpoint could not be reached is in the report.
    pub async fn warm_up(&self, name: &str) -> Result<CheckReport, Failure> {
        self.check(name).await
    }

    /// Whether requests to this name have somewhere to go: it has endpoints, configured or registered.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.named.load().get(name).is_some_and(|upstream| upstream.has_endpoints())
    }

    /// Whether an endpoint of it is well, as its health checks and heartbeats say. An unknown upstream is not.
    #[must_use]
    pub fn is_healthy(&self, name: &str) -> bool {
        self.named.load().get(name).is_some_and(|upstream| upstream.is_healthy())
    }

    /// Whether the plugin may call it, as its settings say; unknown upstreams may be called by nobody. What the plugin was granted is
    /// another matter.
    #[must_use]
    pub fn may_be_called_by(&self, name: &str, plugin: &str) -> bool {
        self.named.load().get(name).is_some_and(|upstream| upstream.config().may_be_called_by(plugin))
    }

    /// The registry of services.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.named.load().keys().cloned().collect();
        f.debug_struct("Upstreams").field("named", &names).finish_non_exhaustive()
    }
}

async fn configured(
    name: &str,
    config: UpstreamConfig,
    observer: Arc<dyn UpstreamObserver>,
    stop: CancellationToken,
) -> Result<Upstream, Failure> {
    config.validate(name)?;
    let is_tls = config.endpoints.iter().any(|endpoint| endpoint.url.starts_with("https:"));
    let client = client::of_upstream(&config, is_tls).await?;
    let credentials = match config.credentials.clone() {
        Some(credentials) => {
            Some(Presenter::new(credentials).await.map_err(|error| Failure::from(error).from_origin(format!("upstream:{name}")))?)
        }
        None => None,
    };
    let source = UpstreamSource::Configuration;
    Ok(Upstream::new(Parts { name: name.to_owned(), config, source, client, credentials, observer, stop }))
}
