//! Prometheus metrics.

pub mod names;
mod process;
mod rows;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breakwater_core::{FailureKind, ServedBy};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::event::{CacheTier, Event};
use crate::label::{Label as _, words};
use crate::tracer::Span;
use process::Process;
use rows::Rows;
pub use rows::{MAX_HISTOGRAM_ROWS, MAX_ROWS, OTHER};
use sources::SourceCollector;
pub use sources::{
    BreakerSample, EndpointSample, ModelSample, PluginSample, PoolSample, SidecarSample, Sources, SpaceSample, SpanSample, TierSample,
    UpstreamSample,
};

words! {
    /// A stage of image work.
    Stage {
        /// Bytes to pixels.
        Decode = "decode",
        /// Finding faces, people and objects, waiting for a batch included.
        Detect = "detect",
        /// Asking a strategy where to cut.
        Plan = "plan",
        /// Cutting and scaling.
        Resize = "resize",
        /// Pixels to bytes.
        Encode = "encode",
    }
}

words! {
    /// How one request to an upstream ended.
    AttemptOutcome {
        /// With an answer below 400.
        Ok = "ok",
        /// Without an answer: refused, reset, unreachable.
        Connection = "connection",
        /// Without an answer in time, or with 408.
        Timeout = "timeout",
        /// With 5xx, or an answer that cannot be used.
        ServerError = "server-error",
        /// With 429.
        Throttled = "throttled",
        /// With another 4xx.
        ClientError = "client-error",
        /// Nobody waits for it any more.
        Cancelled = "cancelled",
    }
}

words! {
    /// What became of a hedge.
    HedgeResult {
        /// It was sent.
        Sent = "sent",
        /// It answered before the request it stands beside.
        Won = "won",
    }
}

words! {
    /// Why nothing was sent.
    Refusal {
        /// The breaker is open.
        CircuitOpen = "circuit-open",
        /// All places are taken and the queue is full.
        QueueFull = "queue-full",
        /// The deadline came while the call waited for its turn.
        QueueDeadline = "queue-deadline",
        /// The other side refuses too much already.
        Overload = "overload",
        /// The adaptive limit is reached.
        Limit = "limit",
        /// There is no endpoint to send it to.
        NoEndpoint = "no-endpoint",
        /// A retry or hedge, and the budget of the upstream is exhausted.
        Budget = "budget",
        /// A retry or hedge, and the call's own allowance is used up.
        Ledger = "ledger",
        /// A hedge, and there are enough of them.
        HedgeCap = "hedge-cap",
    }
}

words! {
    /// What a tier of the cache answered.
    CacheResult {
        /// A fresh entry.
        Hit = "hit",
        /// An entry past its time.
        Stale = "stale",
        /// Nothing.
        Miss = "miss",
        /// It could not be asked.
        Error = "error",
    }
}

const BUILD_LABEL: &str = "version";

/// Seconds from 250 µs, a cached answer, to 30 s, the longest request.
const BUCKETS: [f64; 16] = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Cosines: below 0.3 pictures have nothing in common, above 0.9 they are copies.
const SIMILARITIES: [f64; 12] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

type Counters = Rows<Counter>;
type Histograms = Rows<Histogram>;

/// Every metric of the service. Cheap to record: one read lock and an atomic once a row exists.
///
/// Names in labels come from configuration and the catalogue. Should they be too many, the rows beyond [`MAX_ROWS`] of a family
/// ([`MAX_HISTOGRAM_ROWS`] of histograms) are counted together under the name [`OTHER`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sources: Arc<SourceCollector>,
    http_requests: Counters,
    http_duration: Histograms,
    operation_calls: Counters,
    operation_duration: Histograms,
    provider_calls: Counters,
    provider_duration: Histograms,
    single_flight_waits: Counters,
    stage_duration: Histograms,
    plugin_calls: Counters,
    plugin_duration: Histograms,
    guest_cpu: Rows<Counter<f64, AtomicU64>>,
    guest_memory: Rows<Gauge>,
    upstream_attempts: Counters,
    upstream_duration: Histograms,
    upstream_retries: Counters,
    upstream_hedges: Counters,
    upstream_refusals: Counters,
    cache_lookups: Counters,
    searches: Counters,
    search_duration: Histograms,
    search_similarity: Histograms,
    events: BTreeMap<&'static str, Counters>,
}

impl Metrics {
    /// The content type of [`Self::encode`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Metrics of a service that has just started.
    #[must_use]
    pub fn new(version: &'static str) -> Arc<Self> {
        let mut registry = Registry::default();
        registry.register(names::BUILD.name, names::BUILD.help, Info::new([(BUILD_LABEL, version)]));
        let sources = Arc::new(SourceCollector::default());
        registry.register_collector(Box::new(Arc::clone(&sources)));
        registry.register_collector(Box::new(Process::new()));
        let counters = |registry: &mut Registry, metric| Rows::new(registry, metric, Counter::default);
        let histograms = |registry: &mut Registry, metric| Rows::new(registry, metric, histogram);
        let mut events = BTreeMap::new();
        for metric in Event::METRICS {
            events.entry(metric.name).or_insert_with(|| counters(&mut registry, *metric));
        }
        Arc::new(Self {
            sources,
            http_requests: counters(&mut registry, names::HTTP_REQUESTS),
            http_duration: histograms(&mut registry, names::HTTP_DURATION),
            operation_calls: counters(&mut registry, names::OPERATION_CALLS),
            operation_duration: histograms(&mut registry, names::OPERATION_DURATION),
            provider_calls: counters(&mut registry, names::PROVIDER_CALLS),
            provider_duration: histograms(&mut registry, names::PROVIDER_DURATION),
            single_flight_waits: counters(&mut registry, names::SINGLE_FLIGHT_WAITS),
            stage_duration: histograms(&mut registry, names::STAGE_DURATION),
            plugin_calls: counters(&mut registry, names::PLUGIN_CALLS),
            plugin_duration: histograms(&mut registry, names::PLUGIN_DURATION),
            guest_cpu: Rows::new(&mut registry, names::GUEST_CPU, Counter::default),
            guest_memory: Rows::new(&mut registry, names::GUEST_MEMORY, Gauge::default),
            upstream_attempts: counters(&mut registry, names::UPSTREAM_ATTEMPTS),
            upstream_duration: histograms(&mut registry, names::UPSTREAM_DURATION),
            upstream_retries: counters(&mut registry, names::UPSTREAM_RETRIES),
            upstream_hedges: counters(&mut registry, names::UPSTREAM_HEDGES),
            upstream_refusals: counters(&mut registry, names::UPSTREAM_REFUSALS),
            cache_lookups: counters(&mut registry, names::CACHE_LOOKUPS),
            searches: counters(&mut registry, names::SEARCHES),
            search_duration: histograms(&mut registry, names::SEARCH_DURATION),
            search_similarity: Rows::new(&mut registry, names::SEARCH_SIMILARITY, || Histogram::new(SIMILARITIES)),
            events,
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
        let row = [method.into(), route.to_owned().into(), status.to_string().into()];
        self.http_requests.with(row, count);
        self.http_duration.with([route.to_owned().into()], observe(elapsed));
    }

    /// A call of an operation was answered.
    pub fn operation_answered(&self, operation: &str, served_by: &ServedBy, degraded: bool, elapsed: Duration) {
        let provider = match served_by {
            ServedBy::Host { .. } => "host",
            ServedBy::Plugin { .. } => "plugin",
            ServedBy::Model { .. } => "model",
            ServedBy::Service { .. } => "service",
            ServedBy::Cache { .. } => "cache",
        };
        self.operation(operation, "ok", provider, degraded, elapsed);
    }

    /// A call of an operation failed.
    pub fn operation_failed(&self, operation: &str, kind: FailureKind, elapsed: Duration) {
        self.operation(operation, kind.name(), "none", false, elapsed);
    }

    fn operation(&self, operation: &str, outcome: &'static str, served_by: &'static str, degraded: bool, elapsed: Duration) {
        let degraded = if degraded { "true" } else { "false" };
        self.operation_calls.with([operation.to_owned().into(), outcome.into(), served_by.into(), degraded.into()], count);
        self.operation_duration.with([operation.to_owned().into()], observe(elapsed));
    }

    /// A search was answered with the vectors of `model`: how the index did it, and the similarity of the best product if there is one.
    /// With an alias, what its two models do under the same load.
    pub fn search_answered(&self, model: &str, method: &'static str, best: Option<f32>, elapsed: Duration) {
        let model = model.to_owned();
        self.searches.with([model.clone().into(), method.into()], count);
        self.search_duration.with([model.clone().into()], observe(elapsed));
        if let Some(best) = best {
            self.search_similarity.with([model.into()], |row| row.observe(f64::from(best)));
        }
    }

    /// A provider of an operation's chain was called: `local`, a plugin's id, `fallbacks`, `static` and the like, never a version.
    pub fn provider_called(&self, operation: &str, provider: &str, result: Result<(), FailureKind>, elapsed: Duration) {
        let (operation, provider) = (operation.to_owned(), provider.to_owned());
        self.provider_calls.with([operation.clone().into(), provider.clone().into(), outcome(result).into()], count);
        self.provider_duration.with([operation.into(), provider.into()], observe(elapsed));
    }

    /// A call of an operation waited for the answer of an equal one instead of being made.
    pub fn single_flight_waited(&self, operation: &str) {
        self.single_flight_waits.with([operation.to_owned().into()], count);
    }

    /// A stage of image work took so long.
    pub fn stage(&self, stage: Stage, elapsed: Duration) {
        self.stage_duration.with([stage.label()], observe(elapsed));
    }

    /// A plugin was called; `result` is `Err` with the failure's kind if it did not answer.
    /// The row names the kind: a set that cannot grow, unlike codes, which guests choose.
    pub fn plugin_call(&self, plugin: &str, result: Result<(), FailureKind>, elapsed: Duration) {
        self.plugin_calls.with([plugin.to_owned().into(), outcome(result).into()], count);
        self.plugin_duration.with([plugin.to_owned().into()], observe(elapsed));
    }

    /// What one call of a plugin used: CPU time of its own code, and its largest linear memory in bytes. `generation` is the short digest.
    pub fn guest_used(&self, plugin: &str, generation: &str, cpu: Duration, memory_bytes: u64) {
        let row = || [plugin.to_owned().into(), generation.to_owned().into()];
        self.guest_cpu.with(row(), |seconds| {
            seconds.inc_by(cpu.as_secs_f64());
        });
        let bytes = i64::try_from(memory_bytes).unwrap_or(i64::MAX);
        self.guest_memory.with(row(), |most| {
            most.inner().fetch_max(bytes, Ordering::Relaxed);
        });
    }

    /// A request was sent to an upstream and ended so.
    pub fn upstream_attempt(&self, upstream: &str, outcome: AttemptOutcome, elapsed: Duration) {
        self.upstream_attempts.with([upstream.to_owned().into(), outcome.label()], count);
        self.upstream_duration.with([upstream.to_owned().into()], observe(elapsed));
    }

    /// A request to an upstream is sent again.
    pub fn upstream_retry(&self, upstream: &str) {
        self.upstream_retries.with([upstream.to_owned().into()], count);
    }

    /// A second request was sent beside a slow one, or such a request answered first.
    pub fn upstream_hedge(&self, upstream: &str, result: HedgeResult) {
        self.upstream_hedges.with([upstream.to_owned().into(), result.label()], count);
    }

    /// A call or a retry was refused before anything was sent.
    pub fn upstream_refused(&self, upstream: &str, reason: Refusal) {
        self.upstream_refusals.with([upstream.to_owned().into(), reason.label()], count);
    }

    /// A tier of the cache was asked.
    pub fn cache_lookup(&self, tier: CacheTier, result: CacheResult) {
        self.cache_lookups.with([tier.label(), result.label()], count);
    }

    /// Something happened that operators care about: writes its log line and counts it.
    pub fn emit(&self, event: &Event) {
        event.log();
        let (metric, row) = event.counted();
        if let Some(rows) = self.events.get(metric.name) {
            rows.with_values(row, count);
        }
    }

    /// As [`Self::emit`], for something that happens in a call: its span carries it too.
    pub fn emit_in(&self, event: &Event, span: &mut Span) {
        self.emit(event);
        span.event(event);
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

fn outcome(result: Result<(), FailureKind>) -> &'static str {
    result.map_or_else(FailureKind::name, |()| "ok")
}

fn count(row: &Counter) {
    row.inc();
}

fn observe(elapsed: Duration) -> impl FnOnce(&Histogram) {
    move |row| row.observe(elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests;
