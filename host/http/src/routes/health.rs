//! `GET /healthz`, `GET /readyz`, `GET /metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_operations::{CheckReport, DeviceKind, DeviceReport, NotReady};
use breakwater_telemetry::Metrics;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::json;
use crate::wire::milliseconds;

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// Always `ok`.
    status: &'static str,
    /// Version of the build.
    version: &'static str,
    /// Seconds since the start.
    uptime_seconds: u64,
}

/// Whether the service can do its work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(crate) struct ReadyBody {
    /// Whether the last check worked and is fresh.
    ready: bool,
    /// Why not: `starting`, `failed`, `stale` or `draining`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Where inference runs.
    device: DeviceBody,
    /// How long ago the last check ended, in milliseconds.
    age_ms: Option<u64>,
    /// The last check.
    checks: Vec<CheckBody>,
}

/// Where inference runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct DeviceBody {
    /// `gpu` or `cpu`.
    kind: &'static str,
    /// Name of the device.
    name: String,
    /// Why this one.
    reason: String,
}

impl From<DeviceReport> for DeviceBody {
    fn from(device: DeviceReport) -> Self {
        let kind = match device.kind {
            DeviceKind::Gpu => "gpu",
            DeviceKind::Cpu => "cpu",
        };
        Self { kind, name: device.name, reason: device.reason }
    }
}

/// One part of a check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckBody {
    /// `decode`, `inference` or `plugins`.
    name: &'static str,
    /// Whether it worked.
    ok: bool,
    /// How long it took.
    milliseconds: f64,
    /// Stable code of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Whether the process lives. Asks nobody.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operation",
    operation_id = "health",
    responses((status = 200, description = "The process lives", body = HealthBody, content_type = "application/json"))
)]
pub(crate) async fn healthz(State(app): State<App>) -> Response {
    json::answer(&HealthBody { status: "ok", version: env!("CARGO_PKG_VERSION"), uptime_seconds: app.started.elapsed().as_secs() })
}

/// Whether the service can do its work: the last result of a background check that decodes a picture, runs a golden inference and
/// asks a plugin.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    operation_id = "readiness",
    responses(
        (status = 200, description = "Ready", body = ReadyBody, content_type = "application/json"),
        (status = 503, description = "Not ready", body = ReadyBody, content_type = "application/json")
    )
)]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let (state, last) = (app.state.readiness.state(), app.state.readiness.last());
    let body = ready_body(state, last.as_deref(), app.operations().device());
    let status = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json::answer(&body)).into_response()
}

fn ready_body(state: Result<(), NotReady>, last: Option<&CheckReport>, device: DeviceReport) -> ReadyBody {
    let reason = state.err().map(|reason| match reason {
        NotReady::Starting => "starting",
        NotReady::Failed => "failed",
        NotReady::Stale => "stale",
        NotReady::Draining => "draining",
    });
    let checks = last.map(|report| report.results.iter());
    let checks = checks.into_iter().flatten().map(|result| CheckBody {
        name: result.name,
        ok: result.failure.is_none(),
        milliseconds: milliseconds(result.took),
        code: result.failure.as_ref().map(|failure| failure.code.clone().into_owned()),
    });
    ReadyBody {
        ready: reason.is_none(),
        reason,
        device: device.into(),
        age_ms: last.map(|report| u64::try_from(report.at.elapsed().as_millis()).unwrap_or(u64::MAX)),
        checks: checks.collect(),
    }
}

/// Metrics in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    operation_id = "metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text"))
)]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], app.state.metrics.encode())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use breakwater_core::Failure;
    use breakwater_operations::CheckResult;

    use super::*;

    #[test]
    fn what_failed_is_named_by_its_code_and_nothing_more() {
        let failure = Failure::internal("/secret").caused_by(std::io::Error::other("x"));
        let took = Duration::from_micros(1500);
        let results =
            vec![CheckResult { name: "inference", took, failure: None }, CheckResult { name: "plugins", took, failure: Some(failure) }];
        let device = DeviceReport { kind: DeviceKind::Cpu, name: "flex".into(), reason: "no adapter".into() };
        let body = ready_body(Err(NotReady::Failed), Some(&CheckReport { at: Instant::now(), results }), device);
        let json = serde_json::to_value(&body).unwrap();
        assert_eq!((json["ready"].as_bool(), json["reason"].as_str()), (Some(false), Some("failed")));
        assert_eq!((json["checks"][0]["milliseconds"].as_f64(), json["checks"][1]["code"].as_str()), (Some(1.5), Some("internal")));
        assert_eq!(json["device"]["reason"], "no adapter");
        assert!(!json.to_string().contains("secret"));
    }

    #[test]
    fn before_the_first_check_there_is_nothing_to_show() {
        let device = DeviceReport { kind: DeviceKind::Gpu, name: "a".into(), reason: "b".into() };
        let json = serde_json::to_value(ready_body(Err(NotReady::Starting), None, device)).unwrap();
        assert_eq!((json["reason"].as_str(), json["age_ms"].is_null()), (Some("starting"), true));
    }
}
