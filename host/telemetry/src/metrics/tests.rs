use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use breakwater_core::Digest;

use super::*;
use crate::event::PluginChange;

fn connected() -> Arc<Metrics> {
    let metrics = Metrics::new("1.2.3");
    metrics.connect(Sources {
        models: Box::new(|| vec![ModelSample { model: "yunet".into(), batches: 2, images: 7, ..ModelSample::default() }]),
        device: Box::new(|| ("cpu".into(), "flex".into())),
        devices_lost: Box::new(|| 1),
        plugins: Box::new(|| {
            let generations = BTreeMap::from([("active".to_owned(), 1), ("standby".to_owned(), 2)]);
            vec![PluginSample { plugin: "crop-people".into(), generations }]
        }),
        breakers: Box::new(|| vec![BreakerSample { breaker: "plugin:crop-people".into(), state: "closed".into() }]),
        cpu_pool: Box::new(|| PoolSample { permits: 2, in_use: 1, queued: 3 }),
        upstreams: Box::new(|| vec![upstream()]),
        sidecars: Box::new(|| {
            let ready = SidecarSample {
                sidecar: "flask".into(),
                instance: 0,
                ready: true,
                uptime_ms: Some(1500),
                memory_bytes: Some(4096),
                restarts: 2,
            };
            vec![ready, SidecarSample { sidecar: "flask".into(), instance: 1, ..SidecarSample::default() }]
        }),
        cache: Box::new(|| {
            let memory = TierSample { tier: CacheTier::Memory, up: true, bytes: Some(1024), entries: Some(3) };
            vec![memory, TierSample { tier: CacheTier::Redis, up: false, bytes: None, entries: None }]
        }),
        spaces: Box::new(|| {
            let space = SpaceSample { space: "a-512".into(), vectors: 9, bytes: 4096, lag: 2, recall: Some([0.99, 0.9]) };
            vec![space, SpaceSample { space: "b-1280".into(), ..SpaceSample::default() }]
        }),
        spans: Box::new(|| SpanSample { exported: 5, failed: 1, dropped: 2 }),
    });
    metrics
}

fn upstream() -> UpstreamSample {
    let endpoint = |port: u16, ejected: bool| EndpointSample {
        endpoint: format!("http://127.0.0.1:{port}"),
        healthy: !ejected,
        ejected,
        latency: (!ejected).then_some([0.01, 0.05, 0.2]),
    };
    UpstreamSample {
        upstream: "image-service".into(),
        breaker: "half-open".into(),
        budget_balance: 2.5,
        in_flight: 4,
        queued: 1,
        limit: 10,
        endpoints: vec![endpoint(8000, false), endpoint(8001, true)],
    }
}

fn exercise(metrics: &Metrics) {
    let took = Duration::from_millis(3);
    metrics.http_request("POST", "/v1/crop", 200, took);
    let plugin = ServedBy::Plugin { id: "crop-people".into(), version: "0.1.0".into(), digest: Digest::of(b"") };
    metrics.operation_answered("plan-crop", &plugin, false, took);
    metrics.operation_answered("plan-crop", &ServedBy::Host { name: "center".into() }, true, took);
    metrics.operation_failed("crop-image", FailureKind::Limit, took);
    metrics.stage(Stage::Decode, took);
    metrics.plugin_call("crop-people", Err(FailureKind::Timeout), took);
    metrics.provider_called("generate-resume", "adapter-talent", Err(FailureKind::Unavailable), took);
    metrics.single_flight_waited("generate-resume");
    metrics.search_answered("a", "exact", Some(0.93), took);
    metrics.search_answered("a", "exact", None, took);
    metrics.guest_used("crop-people", "0123456789ab", Duration::from_millis(1500), 2048);
    metrics.guest_used("crop-people", "0123456789ab", Duration::from_millis(500), 1024);
    metrics.upstream_attempt("image-service", AttemptOutcome::ServerError, took);
    metrics.upstream_retry("image-service");
    metrics.upstream_hedge("image-service", HedgeResult::Won);
    metrics.upstream_refused("image-service", Refusal::CircuitOpen);
    metrics.cache_lookup(CacheTier::Redis, CacheResult::Stale);
    for event in Event::samples() {
        metrics.emit(&event);
    }
    metrics.emit(&Event::Plugin { plugin: "crop-people".into(), change: PluginChange::RolledBack, detail: "abc".into() });
    metrics.emit(&Event::BreakerChanged { breaker: "plugin:crop-people".into(), from: "closed".into(), to: "open".into() });
}

#[test]
fn what_is_recorded_is_what_a_scrape_shows() {
    let metrics = connected();
    exercise(&metrics);
    let text = metrics.encode();
    for line in [
        r#"breakwater_build_info{version="1.2.3"} 1"#,
        r#"breakwater_http_requests_total{method="POST",route="/v1/crop",status="200"} 1"#,
        r#"breakwater_http_request_duration_seconds_bucket{le="0.005",route="/v1/crop"} 1"#,
        r#"breakwater_http_request_duration_seconds_bucket{le="0.0025",route="/v1/crop"} 0"#,
        r#"breakwater_operation_calls_total{operation="plan-crop",outcome="ok",served_by="plugin",degraded="false"} 1"#,
        r#"breakwater_operation_calls_total{operation="plan-crop",outcome="ok",served_by="host",degraded="true"} 1"#,
        r#"breakwater_operation_calls_total{operation="crop-image",outcome="limit",served_by="none",degraded="false"} 1"#,
        r#"breakwater_plugin_calls_total{plugin="crop-people",outcome="timeout"} 1"#,
        r#"breakwater_plugin_changes_total{plugin="crop-people",change="rolled-back"} 1"#,
        r#"breakwater_plugin_generations{plugin="crop-people",state="standby"} 2.0"#,
        r#"breakwater_breaker_changes_total{breaker="plugin:crop-people",to="open"} 1"#,
        r#"breakwater_breaker_state{breaker="plugin:crop-people",state="closed"} 1.0"#,
        r#"breakwater_inference_images_total{model="yunet"} 7.0"#,
        r#"breakwater_inference_device_losses_total 1.0"#,
        r#"breakwater_cpu_pool_queued 3.0"#,
        r#"breakwater_provider_calls_total{operation="generate-resume",provider="adapter-talent",outcome="unavailable"} 1"#,
        r#"breakwater_provider_call_duration_seconds_count{operation="generate-resume",provider="adapter-talent"} 1"#,
        r#"breakwater_single_flight_waits_total{operation="generate-resume"} 1"#,
        r#"breakwater_guest_cpu_seconds_total{plugin="crop-people",generation="0123456789ab"} 2.0"#,
        r#"breakwater_guest_memory_peak_bytes{plugin="crop-people",generation="0123456789ab"} 2048"#,
        r#"breakwater_upstream_attempts_total{upstream="image-service",outcome="server-error"} 1"#,
        r#"breakwater_upstream_attempt_duration_seconds_count{upstream="image-service"} 1"#,
        r#"breakwater_upstream_retries_total{upstream="image-service"} 1"#,
        r#"breakwater_upstream_hedges_total{upstream="image-service",result="won"} 1"#,
        r#"breakwater_upstream_refusals_total{upstream="image-service",reason="circuit-open"} 1"#,
        r#"breakwater_upstream_budget_balance{upstream="image-service"} 2.5"#,
        r#"breakwater_upstream_in_flight{upstream="image-service"} 4.0"#,
        r#"breakwater_upstream_queued{upstream="image-service"} 1.0"#,
        r#"breakwater_upstream_concurrency_limit{upstream="image-service"} 10.0"#,
        r#"breakwater_upstream_endpoint_healthy{upstream="image-service",endpoint="http://127.0.0.1:8001"} 0.0"#,
        r#"breakwater_upstream_endpoint_ejected{upstream="image-service",endpoint="http://127.0.0.1:8001"} 1.0"#,
        r#"breakwater_upstream_endpoint_latency_seconds{upstream="image-service",endpoint="http://127.0.0.1:8000",quantile="0.99"} 0.2"#,
        r#"breakwater_breaker_state{breaker="upstream:image-service",state="half-open"} 1.0"#,
        r#"breakwater_sidecar_ready{sidecar="flask",instance="0"} 1.0"#,
        r#"breakwater_sidecar_ready{sidecar="flask",instance="1"} 0.0"#,
        r#"breakwater_sidecar_uptime_seconds{sidecar="flask",instance="0"} 1.5"#,
        r#"breakwater_sidecar_memory_bytes{sidecar="flask",instance="0"} 4096.0"#,
        r#"breakwater_sidecar_restarts_total{sidecar="flask",instance="0"} 2.0"#,
        r#"breakwater_sidecar_changes_total{sidecar="some-sidecar",change="started"} 1"#,
        r#"breakwater_cache_lookups_total{tier="redis",result="stale"} 1"#,
        r#"breakwater_cache_bytes{tier="memory"} 1024.0"#,
        r#"breakwater_cache_tier_up{tier="redis"} 0.0"#,
        r#"breakwater_searches_total{model="a",method="exact"} 2"#,
        r#"breakwater_search_best_similarity_bucket{le="0.9",model="a"} 0"#,
        r#"breakwater_search_best_similarity_bucket{le="0.95",model="a"} 1"#,
        r#"breakwater_search_duration_seconds_count{model="a"} 2"#,
        r#"breakwater_search_vectors{space="b-1280"} 0.0"#,
        r#"breakwater_search_index_lag{space="a-512"} 2.0"#,
        r#"breakwater_search_recall{space="a-512",over="worst-decile"} 0.9"#,
        r#"breakwater_trace_spans_total{outcome="dropped"} 2.0"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\nis not in\n{text}");
    }
    for absent in ["breakwater_sidecar_uptime_seconds", "breakwater_sidecar_memory_bytes"] {
        let row = format!(r#"{absent}{{sidecar="flask",instance="1"}}"#);
        assert!(!text.contains(&row), "nothing is known of {row}\n{text}");
    }
}

#[test]
fn every_name_of_the_table_is_shown_and_nothing_else() {
    let metrics = connected();
    exercise(&metrics);
    let text = metrics.encode();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<(&str, &str)> = types.map(|line| line.split_once(' ').unwrap()).collect();
    let table: BTreeSet<(&str, &str)> = names::ALL.iter().map(|metric| (metric.name, metric.kind.name())).collect();
    assert_eq!(shown, table);
}

#[test]
fn before_the_sources_are_connected_a_scrape_works() {
    let text = Metrics::new("0").encode();
    assert!(text.contains("breakwater_build_info") && !text.contains("breakwater_cpu_pool"), "{text}");
}

#[test]
fn a_hostile_label_cannot_break_the_format() {
    let metrics = Metrics::new("0");
    metrics.plugin_call("a\"} 1\nevil 2", Ok(()), Duration::ZERO);
    assert!(!metrics.encode().lines().any(|line| line.starts_with("evil")));
}

/// `BREAKWATER_BLESS=1 cargo test -p breakwater-telemetry` writes the file anew.
#[test]
fn the_documentation_lists_every_metric() {
    let mut expected = format!(
        "# Metrics\n\n`GET /metrics` answers in the OpenMetrics text format. Every metric there is, with its labels; a row appears with its \
         first observation.\nLabel values come from closed sets (route templates, failure kinds, outcomes) and from what is configured or deployed (operations, \
         providers, plugins, upstreams, flags).\nShould the latter be too many, rows beyond {} of a metric, {} of a histogram, are counted together \
         under the name `{}`.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
        MAX_ROWS, MAX_HISTOGRAM_ROWS, OTHER
    );
    for metric in names::ALL {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        expected += &format!("| `{}` | {} | {} | {} |\n", metric.exposed(), metric.kind.name(), labels, metric.help);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("BREAKWATER_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, expected, "docs/metrics.md differs from the code; run with BREAKWATER_BLESS=1");
}
