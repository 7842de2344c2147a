//! Where the numbers of a scrape come from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakwater_cache::Cache;
use breakwater_inference::Inference;
use breakwater_operations::Operations;
use breakwater_operations::search::SpaceStatus;
use breakwater_plugins::{Catalogue, GenerationState, PluginInfo};
use breakwater_resilience::CpuPermits;
use breakwater_sidecar::{SidecarStatus, Sidecars, State};
use breakwater_telemetry::{
    BreakerSample, CacheTier, EndpointSample, ModelSample, PluginSample, PoolSample, SidecarSample, Sources, SpaceSample, TierSample,
    Tracer, UpstreamSample,
};
use breakwater_upstream::{EndpointStatus, UpstreamStatus, Upstreams};
use tokio_util::sync::CancellationToken;

/// How often the indices are asked.
const ASK_SPACES: Duration = Duration::from_secs(5);

/// The parts that keep numbers.
pub(super) struct Kept<'a> {
    pub(super) inference: &'a Arc<Inference>,
    pub(super) catalogue: &'a Arc<Catalogue>,
    pub(super) cpu: &'a Arc<CpuPermits>,
    pub(super) upstreams: &'a Arc<Upstreams>,
    pub(super) sidecars: &'a Arc<Sidecars>,
    pub(super) cache: &'a Arc<Cache>,
    pub(super) tracer: &'a Arc<Tracer>,
    pub(super) spaces: &'a Spaces,
}

pub(super) fn sources(kept: &Kept<'_>) -> Sources {
    let Kept { inference, catalogue, cpu, upstreams, sidecars, cache, tracer, spaces } = *kept;
    let (models, device, lost) = (Arc::clone(inference), Arc::clone(inference), Arc::clone(inference));
    let (plugins, breakers, cpu) = (Arc::clone(catalogue), Arc::clone(catalogue), Arc::clone(cpu));
    let (upstreams, sidecars) = (Arc::clone(upstreams), Arc::clone(sidecars));
    let (cache, tracer) = (Arc::clone(cache), Arc::clone(tracer));
    Sources {
        models: Box::new(move || samples(&models)),
        device: Box::new(move || {
            let report = device.device();
            (report.kind.to_string(), report.name)
        }),
        devices_lost: Box::new(move || lost.statistics().devices_lost),
        plugins: Box::new(move || plugins.list().iter().map(plugin).collect()),
        breakers: Box::new(move || breakers.list().iter().filter_map(breaker).collect()),
        cpu_pool: Box::new(move || {
            let pool = cpu.statistics();
            PoolSample { permits: pool.threads as u64, in_use: pool.running as u64, queued: pool.queued as u64 }
        }),
        upstreams: Box::new(move || upstreams.status().iter().map(upstream).collect()),
        sidecars: Box::new(move || sidecars.list().iter().flat_map(instances).collect()),
        cache: Box::new(move || tiers(&cache)),
        spans: Box::new(move || tracer.sample()),
        spaces: spaces.reader(),
    }
}

/// How indices were when they were last asked: a scrape must not wait for a database.
#[derive(Clone, Default)]
pub(crate) struct Spaces(Arc<Mutex<Vec<SpaceSample>>>);

impl Spaces {
    fn reader(&self) -> Box<dyn Fn() -> Vec<SpaceSample> + Send + Sync> {
        let Self(spaces) = self.clone();
        Box::new(move || spaces.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Asks again and again. Ends with `stop`; a status that cannot be had leaves the last one.
    pub(crate) async fn watch(self, operations: Arc<Operations>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(ASK_SPACES)).await.is_some() {
            let Some(status) = stop.run_until_cancelled(operations.search_status()).await else { return };
            match status {
                Ok(status) => {
                    *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status.spaces.into_iter().map(space).collect();
                }
                Err(failure) => tracing::debug!(failure = failure.chain(), "the state of the indices is not known"),
            }
        }
    }
}

fn space(status: SpaceStatus) -> SpaceSample {
    SpaceSample {
        space: status.space,
        vectors: status.indexed.unwrap_or(0),
        bytes: status.bytes,
        lag: status.pending,
        recall: status.recall.map(|recall| [recall.mean, recall.worst_decile]),
    }
}

fn samples(inference: &Inference) -> Vec<ModelSample> {
    let sample = |(name, model): (Arc<str>, breakwater_inference::ModelStatistics)| ModelSample {
        model: name.to_string(),
        runs: model.runs,
        batches: model.batches,
        images: model.images,
        rejected: model.rejected,
        queue_depth: model.queue_depth,
        cache_hits: model.cache_hits,
        cache_misses: model.cache_misses,
        quarantined: model.quarantined,
    };
    inference.statistics().models.into_iter().map(sample).collect()
}

fn state(state: GenerationState) -> &'static str {
    match state {
        GenerationState::Active => "active",
        GenerationState::Draining => "draining",
        GenerationState::Standby => "standby",
        GenerationState::Unavailable => "unavailable",
    }
}

fn plugin(info: &PluginInfo) -> PluginSample {
    let mut generations = BTreeMap::new();
    for generation in &info.generations {
        *generations.entry(state(generation.state).to_owned()).or_default() += 1;
    }
    PluginSample { plugin: info.id.to_string(), generations }
}

/// The breaker of the generation that serves.
fn breaker(info: &PluginInfo) -> Option<BreakerSample> {
    let active = info.generations.iter().find(|generation| Some(generation.digest) == info.active)?;
    Some(BreakerSample { breaker: format!("plugin:{}", info.id), state: active.breaker?.to_owned() })
}

fn upstream(upstream: &UpstreamStatus) -> UpstreamSample {
    let seconds = |millis: f64| millis / 1e3;
    let endpoint = |endpoint: &EndpointStatus| EndpointSample {
        endpoint: endpoint.id.clone(),
        healthy: endpoint.healthy,
        ejected: endpoint.ejected_for_ms.is_some(),
        latency: endpoint.p50_ms.zip(endpoint.p90_ms).zip(endpoint.p99_ms).map(|((p50, p90), p99)| [p50, p90, p99].map(seconds)),
    };
    UpstreamSample {
        upstream: upstream.name.clone(),
        breaker: upstream.breaker.to_owned(),
        budget_balance: upstream.budget_balance,
        in_flight: upstream.in_flight as u64,
        queued: upstream.queued as u64,
        limit: upstream.adaptive_limit.map_or(0, u64::from),
        endpoints: upstream.endpoints.iter().map(endpoint).collect(),
    }
}

fn instances(sidecar: &SidecarStatus) -> Vec<SidecarSample> {
    let sample = |instance: &breakwater_sidecar::InstanceStatus| SidecarSample {
        sidecar: sidecar.name.clone(),
        instance: instance.instance,
        ready: instance.state == State::Ready,
        uptime_ms: instance.uptime_ms,
        memory_bytes: instance.memory_bytes,
        restarts: instance.restarts,
    };
    sidecar.instances.iter().map(sample).collect()
}

fn tiers(cache: &Cache) -> Vec<TierSample> {
    let status = cache.status();
    let memory = TierSample { tier: CacheTier::Memory, up: true, bytes: Some(status.memory.bytes), entries: Some(status.memory.entries) };
    let redis = status.redis.map(|redis| TierSample { tier: CacheTier::Redis, up: redis.available, bytes: None, entries: None });
    std::iter::once(memory).chain(redis).collect()
}
