//! Numbers that other parts keep themselves and that are read when somebody scrapes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::names::{self, Kind, Metric};
use super::rows::MAX_ROWS;
use crate::event::CacheTier;

/// What one model did since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSample {
    /// Name of the model.
    pub model: String,
    /// Batches computed, retries of single images included.
    pub runs: u64,
    /// Batches taken from the queue.
    pub batches: u64,
    /// Images.
    pub images: u64,
    /// Calls refused because the queue was full.
    pub rejected: u64,
    /// Calls waiting now.
    pub queue_depth: u64,
    /// Calls answered by the cache.
    pub cache_hits: u64,
    /// Calls the cache could not answer.
    pub cache_misses: u64,
    /// Inputs that made the model fail by themselves.
    pub quarantined: u64,
}

/// The index of one space.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpaceSample {
    /// Whose vectors these are, such as `efficientnet-lite0-0123456789ab-1280`.
    pub space: String,
    /// How many there are.
    pub vectors: u64,
    /// Bytes of memory and storage.
    pub bytes: u64,
    /// Changes not seen yet.
    pub lag: u64,
    /// Mean recall and that of the worst tenth, 0..=1, once there is a sample.
    pub recall: Option<[f64; 2]>,
}

/// One plugin of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginSample {
    /// The plugin's id.
    pub plugin: String,
    /// How many generations are in which state.
    pub generations: BTreeMap<String, u64>,
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSample {
    /// Which breaker, such as `plugin:crop-people`.
    pub breaker: String,
    /// The state it is in, such as `half-open`.
    pub state: String,
}

/// The CPU pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolSample {
    /// Jobs at once at most.
    pub permits: u64,
    /// Jobs running.
    pub in_use: u64,
    /// Jobs waiting.
    pub queued: u64,
}

/// One upstream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpstreamSample {
    /// Its name.
    pub upstream: String,
    /// The state of its breaker, such as `half-open`.
    pub breaker: String,
    /// Retries and hedges left.
    pub budget_balance: f64,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls waiting for a place.
    pub queued: u64,
    /// Calls at once at most.
    pub limit: u64,
    /// Its endpoints.
    pub endpoints: Vec<EndpointSample>,
}

/// One endpoint of an upstream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointSample {
    /// Its id, such as `http://127.0.0.1:8000`; without credentials.
    pub endpoint: String,
    /// Whether its health checks pass.
    pub healthy: bool,
    /// Whether it is ejected.
    pub ejected: bool,
    /// Recent latency at the quantiles 0.5, 0.9 and 0.99, in seconds; nothing before the first answer.
    pub latency: Option<[f64; 3]>,
}

/// One instance of a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SidecarSample {
    /// The sidecar.
    pub sidecar: String,
    /// The instance, from 0.
    pub instance: u32,
    /// Whether it can be used.
    pub ready: bool,
    /// How long it has been ready, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Bytes of its process and its descendants.
    pub memory_bytes: Option<u64>,
    /// Starts after a failure, ever.
    pub restarts: u64,
}

/// One tier of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierSample {
    /// Which.
    pub tier: CacheTier,
    /// Whether it serves.
    pub up: bool,
    /// Bytes held, if it knows.
    pub bytes: Option<u64>,
    /// Entries held, if it knows.
    pub entries: Option<u64>,
}

/// Spans since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanSample {
    /// Taken by the collector.
    pub exported: u64,
    /// Refused by the collector, or not sent.
    pub failed: u64,
    /// Not kept because the queue was full, or the service was stopping.
    pub dropped: u64,
}

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// A metric of every sample of a kind and how it is read.
type Per<S, T> = (Metric, fn(&S) -> T);

/// Where the numbers come from; given once by the composition root. The default shows nothing.
pub struct Sources {
    /// Per model.
    pub models: Read<Vec<ModelSample>>,
    /// The device inference runs on: kind and name.
    pub device: Read<(String, String)>,
    /// How often a device was lost at run time.
    pub devices_lost: Read<u64>,
    /// Per plugin.
    pub plugins: Read<Vec<PluginSample>>,
    /// Per breaker.
    pub breakers: Read<Vec<BreakerSample>>,
    /// The CPU pool.
    pub cpu_pool: Read<PoolSample>,
    /// Per upstream.
    pub upstreams: Read<Vec<UpstreamSample>>,
    /// Per instance of a sidecar.
    pub sidecars: Read<Vec<SidecarSample>>,
    /// Per tier of the cache.
    pub cache: Read<Vec<TierSample>>,
    /// Per space that can be searched.
    pub spaces: Read<Vec<SpaceSample>>,
    /// Spans; [`crate::Tracer::sample`].
    pub spans: Read<SpanSample>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            models: Box::new(Vec::new),
            device: Box::new(Default::default),
            devices_lost: Box::new(|| 0),
            plugins: Box::new(Vec::new),
            breakers: Box::new(Vec::new),
            cpu_pool: Box::new(PoolSample::default),
            upstreams: Box::new(Vec::new),
            sidecars: Box::new(Vec::new),
            cache: Box::new(Vec::new),
            spaces: Box::new(Vec::new),
            spans: Box::new(SpanSample::default),
        }
    }
}

/// Reads the sources on each scrape. Before they are connected it shows nothing of them.
#[derive(Default)]
pub(super) struct SourceCollector(pub(super) OnceLock<Sources>);

impl fmt::Debug for SourceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceCollector").field("connected", &self.0.get().is_some()).finish()
    }
}

impl Collector for SourceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(sources) = self.0.get() else { return Ok(()) };
        let mut sheet = Sheet(&mut encoder);
        let models = (sources.models)();
        let by_model: [Per<ModelSample, u64>; 8] = [
            (names::INFERENCE_RUNS, |model| model.runs),
            (names::INFERENCE_BATCHES, |model| model.batches),
            (names::INFERENCE_IMAGES, |model| model.images),
            (names::INFERENCE_REJECTED, |model| model.rejected),
            (names::INFERENCE_QUEUE, |model| model.queue_depth),
            (names::INFERENCE_CACHE_HITS, |model| model.cache_hits),
            (names::INFERENCE_CACHE_MISSES, |model| model.cache_misses),
            (names::INFERENCE_QUARANTINED, |model| model.quarantined),
        ];
        for (metric, value) in by_model {
            sheet.rows(&metric, models.iter().map(|model| ([("model", model.model.clone())], value(model) as f64)))?;
        }
        let (kind, name) = (sources.device)();
        sheet.rows(&names::INFERENCE_DEVICE, [([("kind", kind), ("name", name)], 1.0)])?;
        sheet.value(&names::INFERENCE_DEVICE_LOSSES, (sources.devices_lost)() as f64)?;
        let plugins = (sources.plugins)();
        let generations = plugins.iter().flat_map(|plugin| {
            let row = |(state, count): (&String, &u64)| ([("plugin", plugin.plugin.clone()), ("state", state.clone())], *count as f64);
            plugin.generations.iter().map(row)
        });
        sheet.rows(&names::PLUGIN_GENERATIONS, generations)?;
        let upstreams = (sources.upstreams)();
        let of_upstreams = upstreams.iter().map(|sample| (format!("upstream:{}", sample.upstream), sample.breaker.clone()));
        let breakers = (sources.breakers)().into_iter().map(|sample| (sample.breaker, sample.state)).chain(of_upstreams);
        sheet.rows(&names::BREAKER_STATE, breakers.map(|(breaker, state)| ([("breaker", breaker), ("state", state)], 1.0)))?;
        upstream_rows(&mut sheet, &upstreams)?;
        sidecar_rows(&mut sheet, &(sources.sidecars)())?;
        tier_rows(&mut sheet, &(sources.cache)())?;
        space_rows(&mut sheet, &(sources.spaces)())?;
        let spans = (sources.spans)();
        let spans = [("exported", spans.exported), ("failed", spans.failed), ("dropped", spans.dropped)];
        sheet.rows(&names::TRACE_SPANS, spans.map(|(outcome, count)| ([("outcome", outcome.to_owned())], count as f64)))?;
        let pool = (sources.cpu_pool)();
        sheet.value(&names::CPU_POOL_PERMITS, pool.permits as f64)?;
        sheet.value(&names::CPU_POOL_IN_USE, pool.in_use as f64)?;
        sheet.value(&names::CPU_POOL_QUEUED, pool.queued as f64)
    }
}

fn upstream_rows(sheet: &mut Sheet<'_, '_>, upstreams: &[UpstreamSample]) -> fmt::Result {
    let by_upstream: [Per<UpstreamSample, f64>; 4] = [
        (names::UPSTREAM_BUDGET, |upstream| upstream.budget_balance),
        (names::UPSTREAM_IN_FLIGHT, |upstream| upstream.in_flight as f64),
        (names::UPSTREAM_QUEUED, |upstream| upstream.queued as f64),
        (names::UPSTREAM_LIMIT, |upstream| upstream.limit as f64),
    ];
    for (metric, value) in by_upstream {
        sheet.rows(&metric, upstreams.iter().map(|upstream| ([("upstream", upstream.upstream.clone())], value(upstream))))?;
    }
    let endpoints = || upstreams.iter().flat_map(|upstream| upstream.endpoints.iter().map(|endpoint| (&upstream.upstream, endpoint)));
    let by_endpoint: [Per<EndpointSample, bool>; 2] =
        [(names::UPSTREAM_ENDPOINT_HEALTHY, |endpoint| endpoint.healthy), (names::UPSTREAM_ENDPOINT_EJECTED, |endpoint| endpoint.ejected)];
    for (metric, holds) in by_endpoint {
        let row = |(upstream, endpoint): (&String, &EndpointSample)| {
            ([("upstream", upstream.clone()), ("endpoint", endpoint.endpoint.clone())], f64::from(u8::from(holds(endpoint))))
        };
        sheet.rows(&metric, endpoints().map(row))?;
    }
    let quantiles = endpoints().flat_map(|(upstream, endpoint)| {
        let quantiles = ["0.5", "0.9", "0.99"].into_iter().zip(endpoint.latency.into_iter().flatten());
        quantiles.map(move |(quantile, seconds)| {
            let quantile = ("quantile", quantile.to_owned());
            ([("upstream", upstream.clone()), ("endpoint", endpoint.endpoint.clone()), quantile], seconds)
        })
    });
    sheet.rows(&names::UPSTREAM_ENDPOINT_LATENCY, quantiles)
}

fn sidecar_rows(sheet: &mut Sheet<'_, '_>, instances: &[SidecarSample]) -> fmt::Result {
    let by_instance: [Per<SidecarSample, Option<f64>>; 4] = [
        (names::SIDECAR_READY, |instance| Some(f64::from(u8::from(instance.ready)))),
        (names::SIDECAR_UPTIME, |instance| instance.uptime_ms.map(|uptime| uptime as f64 / 1e3)),
        (names::SIDECAR_MEMORY, |instance| instance.memory_bytes.map(|bytes| bytes as f64)),
        (names::SIDECAR_RESTARTS, |instance| Some(instance.restarts as f64)),
    ];
    for (metric, value) in by_instance {
        let row = |sample: &SidecarSample| {
            let labels = [("sidecar", sample.sidecar.clone()), ("instance", sample.instance.to_string())];
            value(sample).map(|value| (labels, value))
        };
        sheet.rows(&metric, instances.iter().filter_map(row))?;
    }
    Ok(())
}

fn tier_rows(sheet: &mut Sheet<'_, '_>, tiers: &[TierSample]) -> fmt::Result {
    let by_tier: [Per<TierSample, Option<u64>>; 3] = [
        (names::CACHE_BYTES, |tier| tier.bytes),
        (names::CACHE_ENTRIES, |tier| tier.entries),
        (names::CACHE_TIER_UP, |tier| Some(u64::from(tier.up))),
    ];
    for (metric, value) in by_tier {
        let row = |tier: &TierSample| value(tier).map(|value| ([("tier", tier.tier.to_string())], value as f64));
        sheet.rows(&metric, tiers.iter().filter_map(row))?;
    }
    Ok(())
}

fn space_rows(sheet: &mut Sheet<'_, '_>, spaces: &[SpaceSample]) -> fmt::Result {
    let by_space: [Per<SpaceSample, u64>; 3] = [
        (names::SEARCH_VECTORS, |space| space.vectors),
        (names::SEARCH_BYTES, |space| space.bytes),
        (names::SEARCH_LAG, |space| space.lag),
    ];
    for (metric, value) in by_space {
        sheet.rows(&metric, spaces.iter().map(|space| ([("space", space.space.clone())], value(space) as f64)))?;
    }
    let recalls = spaces.iter().flat_map(|space| {
        let over = ["mean", "worst-decile"].into_iter().zip(space.recall.into_iter().flatten());
        over.map(|(over, recall)| ([("space", space.space.clone()), ("over", over.to_owned())], recall))
    });
    sheet.rows(&names::SEARCH_RECALL, recalls)
}

/// Writes rows of one metric at a time.
pub(super) struct Sheet<'a, 'e>(pub(super) &'a mut DescriptorEncoder<'e>);

impl Sheet<'_, '_> {
    fn metric(&mut self, metric: &Metric) -> Result<MetricEncoder<'_>, fmt::Error> {
        let kind = if metric.kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
        self.0.encode_descriptor(metric.name, metric.help, None, kind)
    }

    fn rows<const N: usize>(&mut self, metric: &Metric, rows: impl IntoIterator<Item = ([(&'static str, String); N], f64)>) -> fmt::Result {
        let mut rows = rows.into_iter().take(MAX_ROWS).peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.metric(metric)?;
        rows.try_for_each(|(labels, value)| write(metric, encoder.encode_family(&labels)?, value))
    }

    pub(super) fn value(&mut self, metric: &Metric, value: f64) -> fmt::Result {
        write(metric, self.metric(metric)?, value)
    }
}

fn write(metric: &Metric, encoder: MetricEncoder<'_>, value: f64) -> fmt::Result {
    match metric.kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(value).encode(encoder),
    }
}
