//! How upstreams are at the moment, as answers of the management API show it.

use std::time::Duration;

use breakwater_resilience::{EndpointStatus as PipelineEndpoint, PipelineStatus};
use serde::Serialize;
use tokio::time::Instant;

use crate::latency::LatencyQuantiles;

/// Where an upstream is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamSource {
    /// The configuration.
    Configuration,
    /// The registry alone.
    Registry,
    /// A sidecar of the configuration.
    Sidecar,
}

/// An upstream in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamState {
    /// Calls pass and every endpoint is well.
    Up,
    /// Calls pass, with an endpoint not well or ejected, or as probes only.
    Degraded,
    /// Calls do not pass: no endpoint is well, or the breaker is open.
    Down,
    /// An operator holds the breaker open.
    Isolated,
}

impl UpstreamState {
    /// As metrics and answers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Isolated => "isolated",
        }
    }
}

/// The newest failure of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastErrorStatus {
    /// Its code.
    pub code: String,
    /// Its message, which holds nothing of what the upstream answered.
    pub message: String,
    /// How long ago it was, in milliseconds.
    pub ago_ms: u64,
}

/// An endpoint at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointStatus {
    /// Its base URL, or the id of its registration.
    pub id: String,
    /// Its share of the calls.
    pub weight: u32,
    /// What health checks and heartbeats say.
    pub healthy: bool,
    /// For how much longer it gets no calls, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_for_ms: Option<u64>,
    /// Attempts that failed in a row.
    pub consecutive_failures: u32,
    /// Attempts that run.
    pub pending: u32,
    /// Half of its attempts were faster, in milliseconds. Nothing before its first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// Nine of ten attempts were faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<f64>,
    /// 99 of 100 attempts were faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Its newest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastErrorStatus>,
}

/// An upstream at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Where it is known from.
    pub source: UpstreamSource,
    /// In one word.
    pub state: UpstreamState,
    /// Whether an endpoint is well, as health checks and heartbeats say.
    pub healthy: bool,
    /// The state of its breaker, such as `closed`.
    pub breaker: &'static str,
    /// Calls that failed in a row.
    pub consecutive_failures: u32,
    /// Calls that run.
    pub in_flight: usize,
    /// Calls that wait for a place.
    pub queued: usize,
    /// Retries and hedges that could be made now.
    pub budget_balance: f64,
    /// The adaptive limit of calls at once, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_limit: Option<u32>,
    /// How long its requests took lately, retries included. Nothing when there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyQuantiles>,
    /// The newest failure of any endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastErrorStatus>,
    /// Its endpoints, by id.
    pub endpoints: Vec<EndpointStatus>,
}

/// What checking one endpoint found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointCheck {
    /// The endpoint.
    pub id: String,
    /// Whether its answer is that of a service that is well.
    pub ok: bool,
    /// The status that it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub response_ms: f64,
    /// Why there is no answer: a code and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What checking an upstream found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The upstream.
    pub name: String,
    /// Whether an endpoint is well now.
    pub healthy: bool,
    /// Each endpoint, by id.
    pub endpoints: Vec<EndpointCheck>,
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn last_error(endpoint: &PipelineEndpoint, now: Instant) -> Option<LastErrorStatus> {
    let error = endpoint.last_error.as_ref()?;
    let ago_ms = milliseconds(now.saturating_duration_since(error.at));
    Some(LastErrorStatus { code: error.code.clone(), message: error.message.clone(), ago_ms })
}

fn endpoint(endpoint: &PipelineEndpoint, now: Instant) -> EndpointStatus {
    let fraction = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    EndpointStatus {
        id: endpoint.id.clone(),
        weight: endpoint.weight,
        healthy: endpoint.healthy,
        ejected_for_ms: endpoint.ejected_until.map(|until| milliseconds(until.saturating_duration_since(now))),
        consecutive_failures: endpoint.consecutive_failures,
        pending: endpoint.pending,
        p50_ms: fraction(endpoint.p50),
        p90_ms: fraction(endpoint.p90),
        p99_ms: fraction(endpoint.p99),
        last_error: last_error(endpoint, now),
    }
}

fn state(pipeline: &PipelineStatus) -> UpstreamState {
    use breakwater_resilience::State;
    let is_well = |endpoint: &PipelineEndpoint| endpoint.healthy && endpoint.ejected_until.is_none();
    match pipeline.breaker {
        State::ForcedOpen => UpstreamState::Isolated,
        State::Open => UpstreamState::Down,
        _ if !pipeline.endpoints.iter().any(|endpoint| endpoint.healthy) => UpstreamState::Down,
        State::HalfOpen => UpstreamState::Degraded,
        State::Closed | State::ForcedClosed if pipeline.endpoints.iter().all(is_well) => UpstreamState::Up,
        State::Closed | State::ForcedClosed => UpstreamState::Degraded,
    }
}

impl UpstreamStatus {
    pub(crate) fn new(name: String, source: UpstreamSource, pipeline: &PipelineStatus, latency: Option<LatencyQuantiles>) -> Self {
        let now = Instant::now();
        Self {
            name,
            source,
            state: state(pipeline),
            healthy: pipeline.endpoints.iter().any(|endpoint| endpoint.healthy),
            breaker: pipeline.breaker.name(),
            consecutive_failures: pipeline.consecutive_failures,
            in_flight: pipeline.in_flight,
            queued: pipeline.queued,
            budget_balance: pipeline.budget_balance,
            adaptive_limit: pipeline.adaptive_limit,
            latency,
            last_error: pipeline.endpoints.iter().filter_map(|endpoint| last_error(endpoint, now)).min_by_key(|error| error.ago_ms),
            endpoints: pipeline.endpoints.iter().map(|status| endpoint(status, now)).collect(),
        }
    }
}
