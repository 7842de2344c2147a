//! Settings of upstreams.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use breakwater_core::Failure;
use breakwater_resilience::{BulkheadConfig, PipelineConfig, RetryPolicies};
use ipnet::IpNet;

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::registry::Registration;
use crate::services::MAX_ACTION_TIMEOUT_MS;

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The base URL, such as `http://localhost:8000`: http or https, without user name, query or fragment.
    pub url: String,
    /// Its share of the calls; 1 to 1000.
    pub weight: u32,
}

impl EndpointConfig {
    /// An endpoint of weight 1.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), weight: 1 }
    }
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where TLS offers it, HTTP/1.1 otherwise.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without asking (prior knowledge).
    Http2,
}

/// How an upstream's health is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked for. An answer below 400 is well; so is one of 404, 405 or 501, which says that the service is there and has no such
    /// route.
    pub path: String,
    /// How often, while it is well. At least 10 ms.
    pub interval: Duration,
    /// How often, while it is not. At least 10 ms.
    pub unhealthy_interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After how many failed checks in a row an endpoint counts as not well; at least 1.
    pub unhealthy_after: u32,
    /// After how many good checks in a row it counts as well again; at least 1.
    pub healthy_after: u32,
    /// Whether any other answer below 500 is well too: a service of which nobody said that it has such a route may refuse it as it likes.
    pub any_refusal_is_well: bool,
}

impl Default for HealthConfig {
    /// `GET /health` every 60 s, every 5 s while unhealthy, 5 s for an answer; one check decides. The interval is that of the image
    /// processing client (`healthCheckInterval`).
    fn default() -> Self {
        Self {
            path: "/health".to_owned(),
            interval: Duration::from_secs(60),
            unhealthy_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            unhealthy_after: 1,
            healthy_after: 1,
            any_refusal_is_well: false,
        }
    }
}

/// Settings of one upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamConfig {
    /// Where it is. May be empty if `service` is set.
    pub endpoints: Vec<EndpointConfig>,
    /// A name in the registry whose services are endpoints too, as they come and go.
    pub service: Option<String>,
    /// The longest that opening a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// The longest that the first byte of an answer may take, connecting included; not set, only the attempt's timeout counts.
    pub first_byte_timeout: Option<Duration>,
    /// How long a connection stays open unused.
    pub idle_timeout: Duration,
    /// Which HTTP is spoken.
    pub http_version: HttpVersion,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The largest answer, in bytes. One that comes larger is cut off and is a failure.
    pub max_response_bytes: u64,
    /// The largest body that is sent again, in bytes; a larger one, or a stream, is sent once.
    pub max_replay_bytes: u64,
    /// Retries, budget, breaker, places, balancing. `pipeline.attempt_timeout` bounds each attempt, as the clients' `timeout` does;
    /// `pipeline.bulkhead.max_concurrent` is also the most connections at once and kept, `max_queue` how many calls may wait.
    pub pipeline: PipelineConfig,
    /// How its health is looked after; `None`: not at all, it counts as well.
    pub health: Option<HealthConfig>,
    /// What the host shows it.
    pub credentials: Option<Credentials>,
    /// The plugins that may call it; `None`: every plugin that was granted upstreams.
    pub plugins: Option<BTreeSet<String>>,
}

impl UpstreamConfig {
    /// The most connections at once, and calls waiting, when nothing is said (`maxConnections` of the image processing client).
    pub const DEFAULT_PLACES: BulkheadConfig = BulkheadConfig { max_concurrent: 10, max_queue: 100 };
    /// The largest answer when nothing is said: 10 MiB.
    pub const DEFAULT_MAX_RESPONSE: u64 = 10 * 1024 * 1024;
    /// The largest body that is sent again when nothing is said: 16 MiB, a large photograph.
    pub const DEFAULT_MAX_REPLAY: u64 = 16 * 1024 * 1024;
    /// The most endpoints of one upstream.
    pub const MAX_ENDPOINTS: usize = 1000;

    /// An upstream at these base URLs, each of weight 1.
    #[must_use]
    pub fn at<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self { endpoints: urls.into_iter().map(EndpointConfig::new).collect(), ..Self::default() }
    }

    /// The upstream of the services that register as `name`.
    #[must_use]
    pub fn of_service(name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..Self::default() }
    }

    /// The upstream of a service that was defined: retried by what an action does, as often as the service integration client does; an
    /// attempt may take as long as an action may. It need not know about health: whatever it answers, it is there. One that is away is
    /// asked again every second, since there is nobody else to ask meanwhile.
    #[must_use]
    pub fn of_definition(name: impl Into<String>) -> Self {
        let mut config = Self::of_service(name);
        config.pipeline.retry = RetryPolicies::service_integration();
        config.pipeline.attempt_timeout = Duration::from_millis(MAX_ACTION_TIMEOUT_MS);
        config.health = Some(HealthConfig {
            unhealthy_interval: Duration::from_secs(1),
            unhealthy_after: 2,
            any_refusal_is_well: true,
            ..HealthConfig::default()
        });
        config
    }

    /// Whether the plugin may call it.
    #[must_use]
    pub fn may_be_called_by(&self, plugin: &str) -> bool {
        self.plugins.as_ref().is_none_or(|plugins| plugins.contains(plugin))
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// `upstream.config` (invalid request) with the first one that does not.
    pub fn validate(&self, name: &str) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::invalid("upstream.config", format!("the upstream `{name}` cannot be set up: {what}")));
        if !crate::registry::is_name(name) {
            return wrong("a name is 1 to 128 lower-case letters, digits, `-`, `_` and `.`".to_owned());
        }
        if self.endpoints.is_empty() && self.service.is_none() {
            return wrong("it needs an endpoint or a `service` to look up in the registry".to_owned());
        }
        if self.endpoints.len() > Self::MAX_ENDPOINTS {
            return wrong(format!("it has at most {} endpoints", Self::MAX_ENDPOINTS));
        }
        for endpoint in &self.endpoints {
            if let Err(error) = Endpoint::new("", &endpoint.url) {
                return wrong(error.to_string());
            }
            if !(1..=Registration::MAX_WEIGHT).contains(&endpoint.weight) {
                return wrong(format!("a weight is from 1 to {}", Registration::MAX_WEIGHT));
            }
        }
        if self.endpoints.iter().map(|endpoint| &endpoint.url).collect::<BTreeSet<_>>().len() < self.endpoints.len() {
            return wrong("an endpoint is named twice".to_owned());
        }
        if self.pipeline.bulkhead.max_concurrent == 0 {
            return wrong("it needs at least one connection".to_owned());
        }
        let mut times = vec![self.connect_timeout, self.pipeline.attempt_timeout];
        times.extend(self.first_byte_timeout);
        times.extend(self.health.as_ref().map(|health| health.timeout));
        if times.iter().any(Duration::is_zero) {
            return wrong("a timeout is longer than nothing".to_owned());
        }
        if let Some(health) = &self.health {
            if let Err(error) = crate::endpoint::check_path(&health.path) {
                return wrong(error.to_string());
            }
            let shortest = health.interval.min(health.unhealthy_interval);
            if shortest < Duration::from_millis(10) || health.unhealthy_after == 0 || health.healthy_after == 0 {
                return wrong("health is checked every 10 ms at most, and at least one check decides".to_owned());
            }
        }
        if let Err(error) = self.pipeline.breaker.validate() {
            return wrong(error.to_string());
        }
        Ok(())
    }
}

impl Default for UpstreamConfig {
    /// No endpoint yet; 5 s to connect, 30 s for an attempt, 3 retries from 1 s on, 10 connections that stay open 90 s, 100 calls waiting,
    /// answers up to 10 MiB, `/health` every minute.
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            service: None,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: None,
            idle_timeout: Duration::from_secs(90),
            http_version: HttpVersion::Auto,
            ca_file: None,
            max_response_bytes: Self::DEFAULT_MAX_RESPONSE,
            max_replay_bytes: Self::DEFAULT_MAX_REPLAY,
            pipeline: PipelineConfig { bulkhead: Self::DEFAULT_PLACES, ..PipelineConfig::default() },
            health: Some(HealthConfig::default()),
            credentials: None,
            plugins: None,
        }
    }
}

/// How requests to URLs that callers give are made.
#[derive(Debug, Clone, PartialEq)]
pub struct UrlPolicy {
    /// Networks that may be reached although they are private, loopback, link-local or otherwise not public.
    pub allowed: Vec<IpNet>,
    /// How many redirects are followed; each is checked like the first URL.
    pub max_redirects: u32,
    /// Of how many hosts the breakers, budgets and connections are remembered; the one not called the longest is forgotten.
    pub max_hosts: usize,
    /// The longest that opening a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a connection stays open unused.
    pub idle_timeout: Duration,
    /// The largest answer, in bytes.
    pub max_response_bytes: u64,
    /// The largest body that is sent again, in bytes.
    pub max_replay_bytes: u64,
    /// Retries, budget, breaker and places of each host.
    pub pipeline: PipelineConfig,
}

impl Default for UrlPolicy {
    /// Public addresses only, 5 redirects, 256 hosts; otherwise as for upstreams, with bodies of at most 64 KiB sent again.
    fn default() -> Self {
        let upstream = UpstreamConfig::default();
        Self {
            allowed: Vec::new(),
            max_redirects: 5,
            max_hosts: 256,
            connect_timeout: upstream.connect_timeout,
            idle_timeout: upstream.idle_timeout,
            max_response_bytes: upstream.max_response_bytes,
            max_replay_bytes: 64 * 1024,
            pipeline: upstream.pipeline,
        }
    }
}

/// Settings of everything that leaves the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpstreamsConfig {
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// URLs that callers give.
    pub urls: UrlPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_image_processing_client() {
        let config = UpstreamConfig::default();
        assert_eq!(config.pipeline.attempt_timeout, Duration::from_secs(30), "timeout");
        assert_eq!(config.pipeline.retry.read.max_retries, 3, "maxRetries");
        assert_eq!(config.pipeline.retry.read.base, Duration::from_secs(1), "retryDelay");
        assert_eq!(config.pipeline.bulkhead.max_concurrent, 10, "maxConnections");
        assert_eq!(config.health.unwrap().interval, Duration::from_secs(60), "healthCheckInterval");
        assert!(UpstreamConfig::at(["http://localhost:8000"]).validate("image-service").is_ok());
    }

    #[test]
    fn what_makes_no_upstream_is_refused() {
        let good = || UpstreamConfig::at(["http://localhost:8000"]);
        let refused = |config: UpstreamConfig| config.validate("images").unwrap_err().code == "upstream.config";
        assert!(good().validate("images").is_ok());
        assert!(good().validate("Images").is_err() && good().validate("").is_err() && good().validate(&"a".repeat(129)).is_err());
        assert!(refused(UpstreamConfig::default()));
        assert!(UpstreamConfig::of_service("images").validate("images").is_ok());
        assert!(refused(UpstreamConfig::at(["http://me:secret@localhost"])));
        assert!(refused(UpstreamConfig::at(["http://a", "http://a"])));
        assert!(refused(UpstreamConfig::at((0..=UpstreamConfig::MAX_ENDPOINTS).map(|n| format!("http://h{n}")))));
        assert!(refused(UpstreamConfig { connect_timeout: Duration::ZERO, ..good() }));
        assert!(refused(UpstreamConfig { first_byte_timeout: Some(Duration::ZERO), ..good() }));
        let mut config = good();
        config.endpoints[0].weight = 0;
        assert!(refused(config));
        let mut config = good();
        config.pipeline.bulkhead.max_concurrent = 0;
        assert!(refused(config));
        let health = |change: fn(&mut HealthConfig)| {
            let mut health = HealthConfig::default();
            change(&mut health);
            UpstreamConfig { health: Some(health), ..good() }
        };
        assert!(refused(health(|health| health.path = "health".into())));
        assert!(refused(health(|health| health.interval = Duration::ZERO)));
        assert!(refused(health(|health| health.healthy_after = 0)));
    }

    #[test]
    fn an_upstream_may_be_kept_for_some_plugins() {
        assert!(UpstreamConfig::default().may_be_called_by("anyone"));
        let config = UpstreamConfig { plugins: Some(["adapter-image-service".to_owned()].into()), ..UpstreamConfig::default() };
        assert!(config.may_be_called_by("adapter-image-service") && !config.may_be_called_by("anyone"));
    }
}
