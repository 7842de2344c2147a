//! `GET /v1/status`: the whole service in one document, for people and dashboards.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::GenerationState;
use breakwater_operations::services::{CacheStatus, RedisStatus, UpstreamStatus};
use breakwater_operations::{GenerationInfo, PluginInfo};
use serde::Serialize;
use utoipa::ToSchema;

use super::health::DeviceBody;
use super::sidecar_body::SidecarSummaryBody;
use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::each;

/// The service at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct StatusBody {
    /// Version of the build.
    version: &'static str,
    /// Seconds since the start.
    uptime_seconds: u64,
    /// Whether the last background check worked and is fresh; `GET /readyz` says more.
    ready: bool,
    /// Where inference runs.
    device: DeviceBody,
    /// How many operations there are.
    operations: usize,
    /// How many flags there are.
    flags: usize,
    /// How many services are registered.
    services: usize,
    /// The services elsewhere, by name; `GET /v1/upstreams` says more.
    upstreams: Vec<UpstreamSummaryBody>,
    /// The local processes that are looked after, by name; `GET /v1/sidecars` says more.
    sidecars: Vec<SidecarSummaryBody>,
    /// The plugins, by id; `GET /v1/plugins` says more.
    plugins: Vec<PluginSummaryBody>,
    /// Answers that are kept.
    cache: CacheBody,
}

/// A service elsewhere in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamSummary)]
pub(crate) struct UpstreamSummaryBody {
    /// Its name.
    name: String,
    /// In one word: `up`, `degraded`, `down`, or `isolated` by an operator.
    state: &'static str,
    /// The state of its breaker.
    breaker: &'static str,
    /// How many endpoints it has.
    endpoints: usize,
    /// How many of them are well.
    healthy_endpoints: usize,
    /// Calls that run.
    in_flight: usize,
    /// Calls that wait for a place.
    queued: usize,
    /// Calls that failed in a row.
    consecutive_failures: u32,
    /// Nine of ten requests took no longer lately, in milliseconds.
    p90_ms: Option<f64>,
    /// Stable code of the newest failure.
    last_error: Option<String>,
}

/// A plugin in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginSummary)]
pub(crate) struct PluginSummaryBody {
    /// Its id.
    id: String,
    /// Version of the generation that serves.
    version: Option<String>,
    /// `active` when one serves, otherwise the state of the newest generation.
    #[schema(value_type = Option<String>)]
    state: Option<GenerationState>,
    /// The state of its breaker.
    breaker: Option<&'static str>,
    /// Calls since this process started.
    calls: u64,
    /// How many failed.
    failures: u64,
    /// How many generations are kept.
    generations: usize,
}

/// Answers that are kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cache)]
pub(crate) struct CacheBody {
    /// The tier of this process.
    memory: MemoryTierBody,
    /// The tier that processes share; absent when none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<RedisTierBody>,
    /// Lookups since the start that found an entry, stale ones included.
    hits: u64,
    /// Lookups since the start that found nothing.
    misses: u64,
    /// Answers since the start that were kept.
    kept: u64,
    /// Answers since the start that were too large or too old to keep.
    refused: u64,
}

/// The tier of this process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoryTier)]
pub(crate) struct MemoryTierBody {
    /// Entries, roughly.
    entries: u64,
    /// What they take, in bytes, roughly.
    bytes: u64,
    /// The most they may take, in bytes.
    capacity_bytes: u64,
}

/// The tier that processes share.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedisTier)]
pub(crate) struct RedisTierBody {
    /// Whether it is asked at all.
    available: bool,
    /// Since when, in milliseconds since 1970.
    since_ms: u64,
    /// Failures in a row.
    consecutive_failures: u32,
    /// The last fault, also if it is long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fault: Option<&'static str>,
    /// Removals it has not been told of yet.
    pending_removals: usize,
}

impl From<UpstreamStatus> for UpstreamSummaryBody {
    fn from(status: UpstreamStatus) -> Self {
        Self {
            endpoints: status.endpoints.len(),
            healthy_endpoints: status.endpoints.iter().filter(|endpoint| endpoint.healthy).count(),
            in_flight: status.in_flight,
            queued: status.queued,
            consecutive_failures: status.consecutive_failures,
            p90_ms: status.latency.map(|latency| latency.p90_ms),
            last_error: status.last_error.as_ref().map(|error| error.code.clone()),
            state: status.state.name(),
            breaker: status.breaker,
            name: status.name,
        }
    }
}

impl From<PluginInfo> for PluginSummaryBody {
    fn from(info: PluginInfo) -> Self {
        let active = info.active.and_then(|digest| info.generations.iter().find(|generation| generation.digest == digest));
        let shown: Option<&GenerationInfo> = active.or(info.generations.last());
        Self {
            id: info.id.to_string(),
            version: active.map(|generation| generation.version.clone()),
            state: shown.map(|generation| generation.state),
            breaker: active.and_then(|generation| generation.breaker),
            calls: info.generations.iter().map(|generation| generation.calls).sum(),
            failures: info.generations.iter().map(|generation| generation.failures).sum(),
            generations: info.generations.len(),
        }
    }
}

impl From<CacheStatus> for CacheBody {
    fn from(CacheStatus { memory, redis, hits, misses, kept, refused }: CacheStatus) -> Self {
        let memory = MemoryTierBody { entries: memory.entries, bytes: memory.bytes, capacity_bytes: memory.capacity_bytes };
        Self { memory, redis: redis.map(RedisTierBody::from), hits, misses, kept, refused }
    }
}

impl From<RedisStatus> for RedisTierBody {
    fn from(RedisStatus { available, since_ms, consecutive_failures, last_fault, pending_removals }: RedisStatus) -> Self {
        Self { available, since_ms, consecutive_failures, last_fault: last_fault.map(|fault| fault.name()), pending_removals }
    }
}

/// The whole service in one document: what it runs on, its services elsewhere, sidecars, plugins and cache.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "operation",
    operation_id = "status",
    responses(
        (status = 200, description = "The service at this moment", body = StatusBody, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let operations = app.operations();
    Ok(json::answer(&StatusBody {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        ready: app.state.readiness.state().is_ok(),
        device: operations.device().into(),
        operations: operations.operation_count(),
        flags: operations.list_flags().len(),
        services: operations.service_count(),
        upstreams: each(operations.upstream_statuses()),
        sidecars: each(operations.sidecar_statuses()),
        plugins: each(operations.plugins()),
        cache: operations.cache_status().into(),
    }))
}

#[cfg(test)]
mod tests {
    use breakwater_operations::services::{MemoryStatus, RedisFault};
    use serde_json::json;

    use super::super::upstream_body::tests::sample;
    use super::*;

    #[test]
    fn an_upstream_is_summed_up() {
        assert_eq!(
            serde_json::to_value(UpstreamSummaryBody::from(sample())).unwrap(),
            json!({
                "name": "image-service",
                "state": "degraded",
                "breaker": "half-open",
                "endpoints": 1,
                "healthy_endpoints": 1,
                "in_flight": 2,
                "queued": 1,
                "consecutive_failures": 3,
                "p90_ms": 2.0,
                "last_error": "upstream.timeout",
            })
        );
    }

    #[test]
    fn a_tier_that_is_away_says_so() {
        let redis = RedisStatus {
            available: false,
            since_ms: 5,
            consecutive_failures: 4,
            last_fault: Some(RedisFault::Connection),
            pending_removals: 1,
        };
        let memory = MemoryStatus { entries: 2, bytes: 300, capacity_bytes: 1000 };
        let status = CacheStatus { memory, redis: Some(redis), hits: 1, misses: 2, kept: 3, refused: 4 };
        assert_eq!(
            serde_json::to_value(CacheBody::from(status)).unwrap(),
            json!({
                "memory": { "entries": 2, "bytes": 300, "capacity_bytes": 1000 },
                "redis": { "available": false, "since_ms": 5, "consecutive_failures": 4, "last_fault": "connection", "pending_removals": 1 },
                "hits": 1,
                "misses": 2,
                "kept": 3,
                "refused": 4,
            })
        );
    }
}
