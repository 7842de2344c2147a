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

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// A metric of every model and how it is read.
type PerModel = (Metric, fn(&ModelSample) -> u64);

/// Where the numbers come from; given once by the composition root.
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
        let by_model: [PerModel; 7] = [
            (names::INFERENCE_RUNS, |model| model.runs),
            (names::INFERENCE_BATCHES, |model| model.batches),
            (names::INFERENCE_IMAGES, |model| model.images),
            (names::INFERENCE_REJECTED, |model| model.rejected),
            (names::INFERENCE_QUEUE, |model| model.queue_depth),
            (names::INFERENCE_CACHE_HITS, |model| model.cache_hits),
            (names::INFERENCE_CACHE_MISSES, |model| model.cache_misses),
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
        let breakers = (sources.breakers)();
        let breakers = breakers.into_iter().map(|sample| ([("breaker", sample.breaker), ("state", sample.state)], 1.0));
        sheet.rows(&names::BREAKER_STATE, breakers)?;
        let pool = (sources.cpu_pool)();
        sheet.value(&names::CPU_POOL_PERMITS, pool.permits as f64)?;
        sheet.value(&names::CPU_POOL_IN_USE, pool.in_use as f64)?;
        sheet.value(&names::CPU_POOL_QUEUED, pool.queued as f64)
    }
}

/// Writes rows of one metric at a time.
pub(super) struct Sheet<'a, 'e>(pub(super) &'a mut DescriptorEncoder<'e>);

impl Sheet<'_, '_> {
    fn metric(&mut self, metric: &Metric) -> Result<MetricEncoder<'_>, fmt::Error> {
        let kind = if metric.kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
        self.0.encode_descriptor(metric.name, metric.help, None, kind)
    }

    fn rows<const N: usize>(&mut self, metric: &Metric, rows: impl IntoIterator<Item = ([(&'static str, String); N], f64)>) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
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
