//! Where the numbers of a scrape come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_inference::Inference;
use breakwater_operations::CpuPermits;
use breakwater_plugins::{BreakerObserver, Catalogue, GenerationState, PluginInfo};
use breakwater_telemetry::{BreakerSample, Event, Metrics, ModelSample, PluginSample, PoolSample, Sources};

/// Writes the event of each breaker that opens or closes.
pub(super) fn breaker_observer(metrics: &Arc<Metrics>) -> BreakerObserver {
    let metrics = Arc::clone(metrics);
    BreakerObserver::new(move |plugin, change| {
        let breaker = format!("plugin:{plugin}");
        metrics.emit(&Event::BreakerChanged { breaker, from: change.from.to_string(), to: change.to.to_string() });
    })
}

pub(super) fn sources(inference: &Arc<Inference>, catalogue: &Arc<Catalogue>, cpu: &Arc<CpuPermits>) -> Sources {
    let (models, device, lost) = (Arc::clone(inference), Arc::clone(inference), Arc::clone(inference));
    let (plugins, breakers, cpu) = (Arc::clone(catalogue), Arc::clone(catalogue), Arc::clone(cpu));
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
    }
}

fn samples(inference: &Inference) -> Vec<ModelSample> {
    let sample = |(name, model): (&'static str, breakwater_inference::ModelStatistics)| ModelSample {
        model: name.to_owned(),
        runs: model.runs,
        batches: model.batches,
        images: model.images,
        rejected: model.rejected,
        queue_depth: model.queue_depth,
        cache_hits: model.cache_hits,
        cache_misses: model.cache_misses,
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
