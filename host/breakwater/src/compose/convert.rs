//! Settings as each part wants them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use breakwater_http::{CorsConfig, HttpConfig};
use breakwater_inference::InferenceConfig;
use breakwater_inference::model::Model;
use breakwater_operations::ReadinessConfig;
use breakwater_plugins::{
    Capability, CompileLimits, Compiler, Grants, GuestLimits, Names, PluginId, PoolConfig, ReachGrant, ReachGrants, RuntimeConfig,
};
use breakwater_resilience::{BreakerConfig, Trip};
use breakwater_settings::{ManagementFrom, Settings};
use breakwater_telemetry::{LogConfig, LogFormat};
use breakwater_vision::Limits;

use super::search;
use crate::places::Surroundings;

/// 0 threads means as many as there are cores.
pub(super) fn threads(configured: usize) -> usize {
    if configured == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { configured }
}

pub(crate) fn log_config(settings: &Settings) -> LogConfig {
    let format = match settings.telemetry.log_format {
        breakwater_settings::LogFormat::Text => LogFormat::Text,
        breakwater_settings::LogFormat::Json => LogFormat::Json,
    };
    LogConfig { format, filter: settings.telemetry.log_filter.clone() }
}

pub(crate) fn http_config(settings: &Settings) -> HttpConfig {
    let (server, cors) = (&settings.server, &settings.cors);
    HttpConfig {
        listen: server.listen.clone(),
        request_timeout: server.request_timeout,
        max_body_bytes: server.max_body.bytes(),
        max_package_bytes: server.max_package.bytes(),
        max_fields: server.max_fields,
        max_field_bytes: server.max_field.as_usize(),
        max_header_bytes: server.max_header.as_usize(),
        max_headers: server.max_headers,
        header_timeout: server.header_timeout,
        body_idle_timeout: server.body_idle_timeout,
        body_timeout: server.body_timeout,
        max_connections: server.max_connections,
        max_in_flight: server.max_in_flight,
        remote_management: server.management_from == ManagementFrom::Any,
        remote_registry: server.registry_from == ManagementFrom::Any,
        remote_products: server.products_from == ManagementFrom::Any,
        max_import_bytes: server.max_import.bytes(),
        drain_timeout: server.drain_timeout,
        cors: CorsConfig {
            allowed_origins: cors.allowed_origins.clone(),
            allowed_methods: cors.allowed_methods.clone(),
            allowed_headers: cors.allowed_headers.clone(),
            allow_credentials: cors.allow_credentials,
            max_age: cors.max_age,
        },
    }
}

pub(crate) fn readiness_config(settings: &Settings) -> ReadinessConfig {
    ReadinessConfig { interval: settings.operations.check_interval, timeout: settings.operations.check_timeout }
}

pub(super) fn image_limits(settings: &Settings) -> Limits {
    let image = &settings.image;
    Limits { max_bytes: image.max_bytes.bytes(), max_pixels: image.max_pixels, max_edge: image.max_edge, max_time: image.max_time }
}

pub(super) fn inference_config(settings: &Settings, data_dir: &Path) -> InferenceConfig {
    let (inference, embeddings) = (&settings.inference, &settings.embeddings);
    let is_built_in = embeddings.model == Model::EfficientNetLite0.name();
    InferenceConfig {
        device: search::preference(inference.device),
        adapter: inference.adapter.clone(),
        allow_software: inference.allow_software,
        max_batch: inference.max_batch,
        max_delay: inference.max_delay,
        queue: inference.queue,
        threads: threads(inference.threads),
        detection_cache_bytes: inference.detection_cache.bytes(),
        models_dir: inference.models_dir.clone(),
        models: search::models(settings, data_dir),
        default_embedder: (!is_built_in).then(|| embeddings.model.as_str().into()),
        embedder_batch: embeddings.max_batch,
        budget: inference.budget,
        max_wait: inference.max_wait,
        quarantine: embeddings.quarantine,
    }
}

pub(super) fn runtime_config(settings: &Settings, cache_dir: PathBuf, surroundings: &Surroundings) -> Result<RuntimeConfig> {
    let plugins = &settings.plugins;
    let program = surroundings.executable.clone().context("cannot find the running executable, which compiles plugins")?;
    let compiler = Compiler::Subprocess { program, args: vec![OsString::from("compile-component")] };
    let id = |text: &String| text.parse::<PluginId>().with_context(|| format!("plugins: {text:?}"));
    let single: Result<BTreeMap<_, _>> =
        plugins.grants.iter().map(|(name, granted)| Ok((id(name)?, granted.iter().copied().map(capability).collect()))).collect();
    Ok(RuntimeConfig {
        limits: GuestLimits {
            memory_bytes: plugins.memory.as_usize(),
            table_elements: plugins.table_elements,
            cpu: plugins.cpu_time,
            timeout: plugins.timeout,
            host_calls: plugins.host_calls,
            host_call_bytes: plugins.host_call_bytes.as_usize(),
            host_bytes: plugins.host_bytes.bytes(),
        },
        pool: PoolConfig {
            max_concurrent: plugins.max_concurrent,
            max_concurrent_per_generation: plugins.max_concurrent_per_generation,
            max_queue: plugins.queue,
            stack_bytes: plugins.stack.as_usize(),
            ..PoolConfig::default()
        },
        compile_limits: CompileLimits {
            component_bytes: plugins.max_component.as_usize(),
            memory_bytes: plugins.compile_memory.bytes(),
            timeout: plugins.compile_timeout,
        },
        grants: Grants { default: plugins.default_grants.iter().copied().map(capability).collect(), plugins: single? },
        order: plugins.order.iter().map(id).collect::<Result<_>>()?,
        kept_generations: plugins.keep_generations,
        breaker: BreakerConfig {
            trip: Trip::ConsecutiveFailures { threshold: plugins.breaker_failures },
            reset_timeout: plugins.breaker_reset,
            ..BreakerConfig::default()
        },
        reach: reach(settings),
        image_limits: image_limits(settings),
        ..RuntimeConfig::new(cache_dir, compiler)
    })
}

/// What the operator keeps for single plugins, with their ids.
type Kept<'a> = Vec<(&'a String, &'a Vec<String>)>;

/// A plugin may name any upstream and model its manifest asks for but those that the operator keeps for others.
fn reach(settings: &Settings) -> ReachGrants {
    let upstreams: Kept<'_> = settings.upstreams.iter().filter_map(|(name, upstream)| Some((name, upstream.plugins.as_ref()?))).collect();
    let models: Kept<'_> = settings.models.iter().filter_map(|(name, model)| Some((name, model.plugins.as_ref()?))).collect();
    if upstreams.is_empty() && models.is_empty() {
        return ReachGrants::default();
    }
    let others = |kept: &Kept<'_>, plugin: Option<&str>| {
        let others = kept.iter().filter(|(_, plugins)| plugin.is_none_or(|plugin| !plugins.iter().any(|named| named == plugin)));
        Names::Except(others.map(|(name, _)| (*name).clone()).collect())
    };
    let granted = |plugin: Option<&str>| ReachGrant {
        upstreams: others(&upstreams, plugin),
        models: others(&models, plugin),
        ..ReachGrant::default()
    };
    let named = upstreams.iter().chain(&models).flat_map(|(_, plugins)| plugins.iter());
    let plugins = named.filter_map(|plugin| Some((plugin.parse::<PluginId>().ok()?, granted(Some(plugin)))));
    ReachGrants { plugins: plugins.collect(), default: granted(None) }
}

fn capability(word: breakwater_settings::Capability) -> Capability {
    match word {
        breakwater_settings::Capability::Blobs => Capability::Blobs,
        breakwater_settings::Capability::Config => Capability::Config,
        breakwater_settings::Capability::Imaging => Capability::Imaging,
        breakwater_settings::Capability::Logging => Capability::Logging,
        breakwater_settings::Capability::Upstream => Capability::Upstream,
        breakwater_settings::Capability::FeatureFlags => Capability::FeatureFlags,
        breakwater_settings::Capability::Http => Capability::Http,
        breakwater_settings::Capability::Embedder => Capability::Embedder,
        breakwater_settings::Capability::Nn => Capability::Nn,
    }
}

#[cfg(test)]
mod tests {
    use breakwater_plugins::Reach;

    use super::*;

    fn defaults() -> Settings {
        Settings::load(None, []).unwrap()
    }

    /// Defaults are written twice, in the settings and in the part; they must not drift apart.
    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_parts() {
        let settings = defaults();
        assert_eq!(http_config(&settings), HttpConfig::default());
        assert_eq!(image_limits(&settings), Limits::default());
        assert_eq!(readiness_config(&settings), ReadinessConfig::default());
        assert_eq!(log_config(&settings), LogConfig::default());
        assert_eq!(format!("{:?}", inference_config(&settings, Path::new("/data"))), format!("{:?}", InferenceConfig::default()));
        let surroundings = Surroundings { executable: Some("/bin/breakwater".into()), ..Surroundings::default() };
        let runtime = runtime_config(&settings, "/cache".into(), &surroundings).unwrap();
        let compiler = Compiler::Subprocess { program: "/bin/breakwater".into(), args: vec!["compile-component".into()] };
        assert_eq!(format!("{runtime:?}"), format!("{:?}", RuntimeConfig::new("/cache".into(), compiler)));
    }

    #[test]
    fn models_and_upstreams_kept_for_a_plugin_are_for_no_other() {
        let text = "[upstreams.talent]\nplugins = [\"a\"]\n[models.clip]\nplugins = [\"b\"]\n";
        let grants = reach(&Settings::parse(std::path::Path::new("b.toml"), text, [], &[]).unwrap());
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let asked = Reach { upstreams: names(&["talent", "other"]), models: names(&["clip", "efficientnet-lite0"]), ..Reach::default() };
        for (id, upstreams, models) in [
            ("a", names(&["talent", "other"]), names(&["efficientnet-lite0"])),
            ("b", names(&["other"]), names(&["clip", "efficientnet-lite0"])),
            ("c", names(&["other"]), names(&["efficientnet-lite0"])),
        ] {
            let granted = grants.effective(&id.parse().unwrap(), &asked);
            assert_eq!((granted.upstreams, granted.models), (upstreams, models), "{id}");
        }
    }

    #[test]
    fn grants_and_order_name_plugins() {
        let text = "[plugins]\norder = [\"b\", \"a\"]\ndefault_grants = []\n[plugins.grants]\na = [\"imaging\"]\n";
        let settings = Settings::parse(std::path::Path::new("b.toml"), text, [], &[]).unwrap();
        let surroundings = Surroundings { executable: Some("/b".into()), ..Surroundings::default() };
        let runtime = runtime_config(&settings, "/cache".into(), &surroundings).unwrap();
        let (a, b): (PluginId, PluginId) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(runtime.grants.of(&a), &[Capability::Imaging].into());
        assert!(runtime.grants.of(&b).is_empty());
        assert_eq!(runtime.order, [b, a]);
    }
}
