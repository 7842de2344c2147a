//! Prometheus metrics.

pub mod names;
mod process;
mod sources;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{FailureKind, ServedBy};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric as Registrable, Registry};

use crate::event::Event;
use names::Metric;
use process::Process;
use sources::SourceCollector;
pub use sources::{BreakerSample, ModelSample, PluginSample, PoolSample, Sources};

/// A stage of image work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Bytes to pixels.
    Decode,
    /// Finding faces, people and objects, waiting for a batch included.
    Detect,
    /// Asking a strategy where to cut.
    Plan,
    /// Cutting and scaling.
    Resize,
    /// Pixels to bytes.
    Encode,
}

impl Stage {
    /// As the label writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Detect => "detect",
            Self::Plan => "plan",
            Self::Resize => "resize",
            Self::Encode => "encode",
        }
    }
}

/// The label values of one row, beside the names that [`names`] gives them.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

fn labels<const N: usize>(metric: &Metric, values: [Cow<'static, str>; N]) -> Labels<N> {
    debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
    let mut names = metric.labels.iter();
    values.map(|value| (names.next().copied().unwrap_or_default(), value))
}

type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms = Family<Labels<1>, Histogram>;

/// Seconds from 250 µs, a cached answer, to 30 s, the longest request.
const BUCKETS: [f64; 16] = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

fn histograms() -> Histograms {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

/// Every metric of the service. Cheap to record: one read lock and an atomic once a row exists.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sources: Arc<SourceCollector>,
    http_requests: Counters<3>,
    http_duration: Histograms,
    operation_calls: Counters<4>,
    operation_duration: Histograms,
    stage_duration: Histograms,
    plugin_calls: Counters<2>,
    plugin_duration: Histograms,
    plugin_changes: Counters<2>,
    breaker_changes: Counters<2>,
}

impl Metrics {
    /// The content type of [`Self::encode`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Metrics of a service that has just started.
    #[must_use]
    pub fn new(version: &'static str) -> Arc<Self> {
        let mut registry = Registry::default();
        registry.register(names::BUILD.name, names::BUILD.help, Info::new(labels(&names::BUILD, [version.into()])));
        let sources = Arc::new(SourceCollector::default());
        registry.register_collector(Box::new(Arc::clone(&sources)));
        registry.register_collector(Box::new(Process::new()));
        Arc::new(Self {
            sources,
            http_requests: registered(&mut registry, &names::HTTP_REQUESTS, Family::default()),
            http_duration: registered(&mut registry, &names::HTTP_DURATION, histograms()),
            operation_calls: registered(&mut registry, &names::OPERATION_CALLS, Family::default()),
            operation_duration: registered(&mut registry, &names::OPERATION_DURATION, histograms()),
            stage_duration: registered(&mut registry, &names::STAGE_DURATION, histograms()),
            plugin_calls: registered(&mut registry, &names::PLUGIN_CALLS, Family::default()),
            plugin_duration: registered(&mut registry, &names::PLUGIN_DURATION, histograms()),
            plugin_changes: registered(&mut registry, &names::PLUGIN_CHANGES, Family::default()),
            breaker_changes: registered(&mut registry, &names::BREAKER_CHANGES, Family::default()),
            registry,
        })
    }

    /// Says where the numbers come from that other parts keep. Only the first call counts.
    pub fn connect(&self, sources: Sources) {
        if self.sources.0.set(sources).is_err() {
            tracing::warn!("metric sources were connected twice; the first stay");
        }
    }

    /// An HTTP request was answered. `route` is the route's template, never the path.
    pub fn http_request(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let row = labels(&names::HTTP_REQUESTS, [method.into(), route.to_owned().into(), status.to_string().into()]);
        self.http_requests.get_or_create(&row).inc();
        observe(&self.http_duration, &names::HTTP_DURATION, route.to_owned(), elapsed);
    }

    /// A call of an operation was answered.
    pub fn operation_answered(&self, operation: &'static str, served_by: &ServedBy, degraded: bool, elapsed: Duration) {
        let provider = match served_by {
            ServedBy::Host { .. } => "host",
            ServedBy::Plugin { .. } => "plugin",
            ServedBy::Model { .. } => "model",
            ServedBy::Cache { .. } => "cache",
        };
        self.operation(operation, "ok", provider, degraded, elapsed);
    }

    /// A call of an operation failed.
    pub fn operation_failed(&self, operation: &'static str, kind: FailureKind, elapsed: Duration) {
        self.operation(operation, kind.name(), "none", false, elapsed);
    }

    fn operation(&self, operation: &'static str, outcome: &'static str, served_by: &'static str, degraded: bool, elapsed: Duration) {
        let degraded = if degraded { "true" } else { "false" };
        let row = labels(&names::OPERATION_CALLS, [operation.into(), outcome.into(), served_by.into(), degraded.into()]);
        self.operation_calls.get_or_create(&row).inc();
        observe(&self.operation_duration, &names::OPERATION_DURATION, operation, elapsed);
    }

    /// A stage of image work took so long.
    pub fn stage(&self, stage: Stage, elapsed: Duration) {
        observe(&self.stage_duration, &names::STAGE_DURATION, stage.name(), elapsed);
    }

    /// A plugin was called; `result` is `Err` with the failure's kind if it did not answer.
    /// The row names the kind: a set that cannot grow, unlike codes, which guests choose.
    pub fn plugin_call(&self, plugin: &str, result: Result<(), FailureKind>, elapsed: Duration) {
        let outcome = result.map_or_else(FailureKind::name, |()| "ok");
        let row = labels(&names::PLUGIN_CALLS, [plugin.to_owned().into(), outcome.into()]);
        self.plugin_calls.get_or_create(&row).inc();
        observe(&self.plugin_duration, &names::PLUGIN_DURATION, plugin.to_owned(), elapsed);
    }

    /// Something happened that operators care about: writes its log line and counts it.
    pub fn emit(&self, event: &Event) {
        event.log();
        match event {
            Event::Plugin { plugin, change, .. } => {
                let row = labels(&names::PLUGIN_CHANGES, [plugin.clone().into(), change.name().into()]);
                self.plugin_changes.get_or_create(&row).inc();
            }
            Event::BreakerChanged { breaker, to, .. } => {
                let row = labels(&names::BREAKER_CHANGES, [breaker.clone().into(), to.clone().into()]);
                self.breaker_changes.get_or_create(&row).inc();
            }
        }
    }

    /// All of it in the OpenMetrics text format, which Prometheus reads; served as [`Self::CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; only a collector can, and none of ours does.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }
}

fn registered<M: Registrable + Clone>(registry: &mut Registry, metric: &Metric, value: M) -> M {
    registry.register(metric.name, metric.help, value.clone());
    value
}

fn observe(family: &Histograms, metric: &Metric, label: impl Into<Cow<'static, str>>, elapsed: Duration) {
    family.get_or_create(&labels(metric, [label.into()])).observe(elapsed.as_secs_f64());
}

#[cfg(test)]
mod tests;
