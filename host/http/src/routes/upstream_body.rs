//! How upstreams are, as answers write it.

use breakwater_operations::services::{
    CheckReport, EndpointCheck, EndpointStatus, LastErrorStatus, LatencyQuantiles, UpstreamSource, UpstreamStatus,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::each;

/// A service elsewhere at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upstream)]
pub(crate) struct UpstreamBody {
    /// Its name.
    pub(crate) name: String,
    /// Where it is known from: `configuration`, `registry` or `sidecar`.
    source: &'static str,
    /// In one word: `up`, `degraded`, `down`, or `isolated` by an operator.
    pub(crate) state: &'static str,
    /// Whether an endpoint is well, as health checks and heartbeats say.
    healthy: bool,
    /// The state of its breaker: `closed`, `open`, `half-open`, `forced-open` or `forced-closed`.
    pub(crate) breaker: &'static str,
    /// Calls that failed in a row.
    consecutive_failures: u32,
    /// Calls that run.
    in_flight: usize,
    /// Calls that wait for a place.
    queued: usize,
    /// Retries and hedges that could be made now.
    budget_balance: f64,
    /// The adaptive limit of calls at once, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    adaptive_limit: Option<u32>,
    /// How long its requests took lately, retries included; absent when there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyBody>,
    /// The newest failure of any endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastErrorBody>,
    /// By id.
    endpoints: Vec<EndpointBody>,
}

/// Quantiles of the last minute or two.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Latency)]
pub(crate) struct LatencyBody {
    /// How many answers they are of.
    count: u64,
    /// Half took no longer, in milliseconds.
    p50_ms: f64,
    /// Nine of ten took no longer, in milliseconds.
    p90_ms: f64,
    /// 99 of 100 took no longer, in milliseconds.
    p99_ms: f64,
}

/// The newest failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
pub(crate) struct LastErrorBody {
    /// Its stable code.
    code: String,
    /// What was wrong.
    message: String,
    /// How long ago, in milliseconds.
    ago_ms: u64,
}

/// An endpoint at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    /// Its base URL, or the id of its registration.
    id: String,
    /// Its share of the calls.
    weight: u32,
    /// What health checks and heartbeats say.
    healthy: bool,
    /// For how much longer it gets no calls because it failed too often, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ejected_for_ms: Option<u64>,
    /// Attempts that failed in a row.
    consecutive_failures: u32,
    /// Attempts that run.
    pending: u32,
    /// Half of its attempts were faster, in milliseconds; absent before its first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    /// Nine of ten attempts were faster, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p90_ms: Option<f64>,
    /// 99 of 100 attempts were faster, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
    /// Its newest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastErrorBody>,
}

/// What checking a service elsewhere found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamCheck)]
pub(crate) struct CheckBody {
    /// Its name.
    name: String,
    /// Whether an endpoint is well now.
    healthy: bool,
    /// By id.
    pub(crate) endpoints: Vec<EndpointCheckBody>,
}

/// What checking an endpoint found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointCheck)]
pub(crate) struct EndpointCheckBody {
    /// Its base URL, or the id of its registration.
    id: String,
    /// Whether its answer is that of a service that is well.
    pub(crate) ok: bool,
    /// The status that it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    response_ms: f64,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<UpstreamStatus> for UpstreamBody {
    fn from(status: UpstreamStatus) -> Self {
        Self {
            name: status.name,
            source: match status.source {
                UpstreamSource::Configuration => "configuration",
                UpstreamSource::Registry => "registry",
                UpstreamSource::Sidecar => "sidecar",
            },
            state: status.state.name(),
            healthy: status.healthy,
            breaker: status.breaker,
            consecutive_failures: status.consecutive_failures,
            in_flight: status.in_flight,
            queued: status.queued,
            budget_balance: status.budget_balance,
            adaptive_limit: status.adaptive_limit,
            latency: status.latency.map(LatencyBody::from),
            last_error: status.last_error.map(LastErrorBody::from),
            endpoints: each(status.endpoints),
        }
    }
}

impl From<LatencyQuantiles> for LatencyBody {
    fn from(LatencyQuantiles { count, p50_ms, p90_ms, p99_ms }: LatencyQuantiles) -> Self {
        Self { count, p50_ms, p90_ms, p99_ms }
    }
}

impl From<LastErrorStatus> for LastErrorBody {
    fn from(LastErrorStatus { code, message, ago_ms }: LastErrorStatus) -> Self {
        Self { code, message, ago_ms }
    }
}

impl From<EndpointStatus> for EndpointBody {
    fn from(status: EndpointStatus) -> Self {
        Self {
            id: status.id,
            weight: status.weight,
            healthy: status.healthy,
            ejected_for_ms: status.ejected_for_ms,
            consecutive_failures: status.consecutive_failures,
            pending: status.pending,
            p50_ms: status.p50_ms,
            p90_ms: status.p90_ms,
            p99_ms: status.p99_ms,
            last_error: status.last_error.map(LastErrorBody::from),
        }
    }
}

impl From<CheckReport> for CheckBody {
    fn from(CheckReport { name, healthy, endpoints }: CheckReport) -> Self {
        Self { name, healthy, endpoints: each(endpoints) }
    }
}

impl From<EndpointCheck> for EndpointCheckBody {
    fn from(EndpointCheck { id, ok, status, response_ms, error }: EndpointCheck) -> Self {
        Self { id, ok, status, response_ms, error }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use breakwater_operations::services::UpstreamState;

    use super::*;

    /// An upstream with one endpoint that failed lately.
    pub(crate) fn sample() -> UpstreamStatus {
        let error = LastErrorStatus { code: "upstream.timeout".into(), message: "too slow".into(), ago_ms: 40 };
        let endpoint = EndpointStatus {
            id: "http://10.0.0.5:8000".into(),
            weight: 2,
            healthy: true,
            ejected_for_ms: Some(900),
            consecutive_failures: 5,
            pending: 1,
            p50_ms: Some(1.5),
            p90_ms: None,
            p99_ms: None,
            last_error: Some(error.clone()),
        };
        UpstreamStatus {
            name: "image-service".into(),
            source: UpstreamSource::Configuration,
            state: UpstreamState::Degraded,
            healthy: true,
            breaker: "half-open",
            consecutive_failures: 3,
            in_flight: 2,
            queued: 1,
            budget_balance: 9.5,
            adaptive_limit: None,
            latency: Some(LatencyQuantiles { count: 7, p50_ms: 1.0, p90_ms: 2.0, p99_ms: 3.0 }),
            last_error: Some(error),
            endpoints: vec![endpoint],
        }
    }

    #[test]
    fn nothing_of_a_status_is_lost() {
        let status = sample();
        let expected = serde_json::to_value(&status).unwrap();
        assert_eq!(serde_json::to_value(UpstreamBody::from(status)).unwrap(), expected);
        let check = EndpointCheck { id: "a".into(), ok: false, status: Some(500), response_ms: 1.5, error: None };
        let report = CheckReport { name: "image-service".into(), healthy: false, endpoints: vec![check] };
        let expected = serde_json::to_value(&report).unwrap();
        assert_eq!(serde_json::to_value(CheckBody::from(report)).unwrap(), expected);
    }
}
