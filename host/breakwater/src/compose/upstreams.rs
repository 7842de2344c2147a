//! Settings of what leaves the host, as `upstream`, `cache`, `flags` and `operations` want them.

use std::collections::BTreeMap;

use breakwater_cache::{CacheConfig, RedisConfig};
use breakwater_flags::Flag;
use breakwater_operations::{Caching, ChainConfig, Chains};
use breakwater_resilience::{
    AdaptiveConfig, BalanceKind, BreakerConfig, BudgetConfig, BulkheadConfig, EjectionConfig, HedgeConfig, Jitter, PipelineConfig,
    RetryPolicies, RetryPolicy, SlowCalls, Trip,
};
use breakwater_settings::{Balance, BreakerTrip, Chain, HttpVersion as Http, Jitter as RetryJitter, Settings, Upstream};
use breakwater_telemetry::OtlpConfig;
use breakwater_upstream::{
    Credentials, EndpointConfig, HealthConfig, HttpVersion, SecretSource, UpstreamConfig, UpstreamsConfig, UrlPolicy,
};

pub(super) fn upstreams_config(settings: &Settings) -> UpstreamsConfig {
    let upstreams = settings.upstreams.iter().map(|(name, upstream)| (name.clone(), upstream_config(name, upstream)));
    let urls =
        UrlPolicy { allowed: settings.urls.allow_addresses.clone(), max_redirects: settings.urls.max_redirects, ..UrlPolicy::default() };
    UpstreamsConfig { upstreams: upstreams.collect(), urls }
}

fn upstream_config(name: &str, upstream: &Upstream) -> UpstreamConfig {
    let endpoint = |(index, url): (usize, &breakwater_settings::BaseUrl)| EndpointConfig {
        url: url.as_str().to_owned(),
        weight: upstream.weights.get(index).copied().unwrap_or(1),
    };
    let health = upstream.health_path.as_ref().map(|path| HealthConfig {
        path: path.clone(),
        interval: upstream.health_interval,
        unhealthy_interval: upstream.health_unhealthy_interval,
        timeout: upstream.health_timeout,
        ..HealthConfig::default()
    });
    UpstreamConfig {
        endpoints: upstream.endpoints.iter().enumerate().map(endpoint).collect(),
        service: Some(upstream.service.clone().unwrap_or_else(|| name.to_owned())),
        connect_timeout: upstream.connect_timeout,
        first_byte_timeout: upstream.first_byte_timeout,
        idle_timeout: upstream.keep_alive,
        http_version: match upstream.http {
            Http::Auto => HttpVersion::Auto,
            Http::Http1 => HttpVersion::Http1,
            Http::Http2 => HttpVersion::Http2,
        },
        ca_file: upstream.tls_ca.clone(),
        max_response_bytes: upstream.max_response.bytes(),
        pipeline: pipeline(upstream),
        health,
        credentials: credentials(upstream),
        plugins: upstream.plugins.as_ref().map(|plugins| plugins.iter().cloned().collect()),
        ..UpstreamConfig::default()
    }
}

fn pipeline(upstream: &Upstream) -> PipelineConfig {
    let places = upstream.max_connections as usize;
    PipelineConfig {
        retry: retries(upstream),
        budget: BudgetConfig { ratio: upstream.retry_ratio, floor_per_second: upstream.retry_floor, burst: upstream.retry_burst },
        breaker: breaker(upstream),
        bulkhead: BulkheadConfig { max_concurrent: places, max_queue: upstream.queue as usize },
        attempt_timeout: upstream.timeout,
        balance: match upstream.balance {
            Balance::WeightedRoundRobin => BalanceKind::WeightedRoundRobin,
            Balance::P2cEwma => BalanceKind::P2cPeakEwma,
            Balance::LeastPending => BalanceKind::LeastPending,
        },
        ejection: EjectionConfig {
            consecutive_failures: upstream.ejection_failures,
            base: upstream.ejection_time,
            max_ejected_percent: percent(upstream.max_ejected_percentage),
            ..EjectionConfig::default()
        },
        hedge: upstream.hedge.then(|| HedgeConfig { max_extra_percent: percent(upstream.hedge_percentage), ..HedgeConfig::default() }),
        adaptive: upstream.adaptive_limit.then(|| AdaptiveConfig { max: upstream.max_connections, ..AdaptiveConfig::default() }),
        shed: None,
    }
}

fn percent(number: u32) -> u8 {
    u8::try_from(number.min(100)).unwrap_or(100)
}

fn retries(upstream: &Upstream) -> RetryPolicies {
    let policy = |retries: Option<u32>, delay: Option<std::time::Duration>, longest: Option<std::time::Duration>| RetryPolicy {
        max_retries: retries.unwrap_or(upstream.retries),
        base: delay.unwrap_or(upstream.retry_delay),
        max_delay: longest.unwrap_or(upstream.max_retry_delay),
        jitter: match upstream.retry_jitter {
            RetryJitter::Full => Jitter::Full,
            RetryJitter::None => Jitter::None,
        },
        max_retry_after: upstream.max_retry_after,
    };
    RetryPolicies {
        create: policy(upstream.create_retries, upstream.create_retry_delay, upstream.create_max_retry_delay),
        update: policy(upstream.update_retries, upstream.update_retry_delay, upstream.update_max_retry_delay),
        delete: policy(upstream.delete_retries, upstream.delete_retry_delay, upstream.delete_max_retry_delay),
        read: policy(upstream.read_retries, upstream.read_retry_delay, upstream.read_max_retry_delay),
    }
}

fn breaker(upstream: &Upstream) -> BreakerConfig {
    let slow = upstream.breaker_slow_call.map(|slower_than| SlowCalls {
        percentage: f64::from(upstream.breaker_slow_percentage),
        window: upstream.breaker_window,
        buckets: upstream.breaker_buckets,
        volume_threshold: upstream.breaker_volume,
        slower_than,
    });
    let trip = match upstream.breaker {
        BreakerTrip::ConsecutiveFailures => Trip::ConsecutiveFailures { threshold: upstream.breaker_failures },
        BreakerTrip::ErrorRate => Trip::ErrorRate {
            percentage: f64::from(upstream.breaker_error_percentage),
            window: upstream.breaker_window,
            buckets: upstream.breaker_buckets,
            volume_threshold: upstream.breaker_volume,
        },
    };
    BreakerConfig { trip, slow, reset_timeout: upstream.breaker_reset, probes: upstream.breaker_probes }
}

/// The first that is set; the settings refuse more than one.
fn credentials(upstream: &Upstream) -> Option<Credentials> {
    let source = |variable: &Option<String>, file: &Option<std::path::PathBuf>| {
        let variable = variable.clone().map(SecretSource::Environment);
        variable.or_else(|| file.clone().map(SecretSource::File))
    };
    let header = upstream.api_key_header.clone();
    let api_key = source(&upstream.api_key_env, &upstream.api_key_file).map(|secret| Credentials::ApiKey { header, secret });
    let bearer = || source(&upstream.bearer_env, &upstream.bearer_file).map(|secret| Credentials::Bearer { secret });
    let username = upstream.basic_user.clone().unwrap_or_default();
    let basic = || source(&upstream.basic_env, &upstream.basic_file).map(|secret| Credentials::Basic { username, secret });
    api_key.or_else(bearer).or_else(basic)
}

pub(crate) fn chains(settings: &Settings) -> Chains {
    settings.chains.iter().map(|(name, chain)| (name.clone(), chain_config(chain))).collect()
}

fn chain_config(chain: &Chain) -> ChainConfig {
    ChainConfig {
        providers: chain.providers.clone(),
        timeout: chain.timeout,
        provider_timeout: chain.provider_timeout,
        enabled: chain.enabled,
        flag: chain.flag.clone(),
        caching: Caching {
            ttl: chain.cache_ttl.filter(|ttl| !ttl.is_zero()),
            stale_while_revalidate: chain.stale_while_revalidate,
            stale_if_error: chain.stale_if_error,
        },
        static_answer: chain.static_answer.as_ref().map(|answer| answer.value()),
    }
}

pub(super) fn flags(settings: &Settings) -> BTreeMap<String, Flag> {
    let flag = |flag: &breakwater_settings::FeatureFlag| Flag {
        enabled: flag.enabled,
        rollout: percent(flag.rollout),
        description: flag.description.clone(),
        ..Flag::on()
    };
    settings.flags.iter().map(|(name, declared)| (name.clone(), flag(declared))).collect()
}

pub(super) fn cache_config(settings: &Settings) -> CacheConfig {
    let cache = &settings.cache;
    let redis = cache.redis_url.as_ref().map(|url| RedisConfig {
        prefix: cache.redis_prefix.clone(),
        timeout: cache.redis_timeout,
        ..RedisConfig::new(url.reveal())
    });
    CacheConfig { memory_bytes: cache.memory.bytes(), max_entry_bytes: cache.max_entry.as_usize(), redis }
}

pub(super) fn otlp_config(settings: &Settings) -> Option<OtlpConfig> {
    let telemetry = &settings.telemetry;
    let endpoint = telemetry.otlp_endpoint.as_ref()?.as_str();
    Some(OtlpConfig {
        sample_ratio: telemetry.otlp_sample_ratio,
        timeout: telemetry.otlp_timeout,
        service_name: telemetry.service_name.clone(),
        service_version: super::VERSION.to_owned(),
        ..OtlpConfig::new(endpoint)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn parsed(text: &str) -> Settings {
        Settings::parse(Path::new("b.toml"), text, [], &[]).unwrap()
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_parts() {
        let settings = parsed("[upstreams.image-service]\nendpoints = [\"http://localhost:8000\"]\n");
        let config = upstreams_config(&settings);
        let expected = UpstreamConfig { service: Some("image-service".to_owned()), ..UpstreamConfig::at(["http://localhost:8000"]) };
        assert_eq!(config.upstreams.get("image-service"), Some(&expected));
        assert_eq!(config.urls, UrlPolicy::default());
        assert_eq!(chains(&parsed("[chains.detect-objects]\n")).get("detect-objects"), Some(&ChainConfig::default()));
        assert_eq!(cache_config(&settings), CacheConfig::default());
        assert_eq!(otlp_config(&settings), None);
    }

    #[test]
    fn what_is_set_arrives() {
        let settings = parsed(
            "[upstreams.a]\nendpoints = [\"http://x\", \"http://y\"]\nweights = [3, 1]\nretry_jitter = \"none\"\nretries = 1\n\
             create_retries = 0\nbreaker = \"error-rate\"\nbearer_env = \"TOKEN\"\nhealth_path = \"/ready\"\nhedge = true\n\
             [chains.b]\nproviders = [\"local\", \"static\"]\nstatic_answer = '{\"a\":1}'\ncache_ttl = \"0s\"\nflag = \"f\"\n\
             [flags.f]\nenabled = true\nrollout = 25\n",
        );
        let config = upstreams_config(&settings);
        let a = config.upstreams.get("a").unwrap();
        assert_eq!(a.endpoints.iter().map(|endpoint| endpoint.weight).collect::<Vec<_>>(), [3, 1]);
        assert_eq!((a.pipeline.retry.read.max_retries, a.pipeline.retry.create.max_retries), (1, 0));
        assert_eq!(a.pipeline.retry.read.jitter, Jitter::None);
        assert_eq!(a.pipeline.breaker.trip, Trip::ERROR_RATE);
        assert!(a.pipeline.hedge.is_some());
        assert_eq!(a.credentials, Some(Credentials::Bearer { secret: SecretSource::Environment("TOKEN".into()) }));
        let b = &chains(&settings)["b"];
        assert_eq!((b.caching.ttl, b.flag.as_deref(), &b.static_answer), (None, Some("f"), &Some(serde_json::json!({ "a": 1 }))));
        assert_eq!(flags(&settings)["f"].rollout, 25);
        assert_eq!(a.health.as_ref().unwrap().interval, Duration::from_secs(60));
    }
}
