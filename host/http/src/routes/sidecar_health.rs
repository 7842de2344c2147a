//! `GET /api/health/python`: a sidecar as clients of the process bridge know it, which is also how a request that was passed through is
//! told that nobody answers.

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::sidecars::{SidecarError, SidecarStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::sidecar_body::ProbeBody;
use super::sidecar_view;
use crate::app::App;
use crate::incoming::Incoming;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::each;

/// How the Python server is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PythonHealth)]
pub(crate) struct PythonHealthBody {
    /// Whether it can be used; the same as `isReady`.
    healthy: bool,
    #[serde(flatten)]
    status: BridgeStatus,
}

/// How a sidecar is, under the names of the process bridge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PythonStatus)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BridgeStatus {
    /// Whether an instance can be used.
    is_ready: bool,
    /// Whether an instance is about to be started again after a failure.
    is_restarting: bool,
    /// Starts after a failure, since it was last stable.
    restart_attempts: u32,
    /// The newest error, also if it is over.
    last_error: Option<BridgeError>,
    /// How long it has been ready, in milliseconds.
    uptime: Option<u64>,
    /// When it last passed a check, in milliseconds since 1970.
    last_health_check: Option<u64>,
}

/// Why a sidecar does not run as it should.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PythonError)]
pub(crate) struct BridgeError {
    /// Its kind, such as `DEPENDENCY_ERROR`.
    #[serde(rename = "type")]
    #[schema(example = "DEPENDENCY_ERROR")]
    kind: &'static str,
    /// What happened, in one sentence.
    message: String,
    /// When it happened, in milliseconds since 1970.
    at: u64,
    /// What to do about it, step by step. This and what follows is left out for those who may not steer it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    troubleshooting: Vec<String>,
    /// What was looked at, and what was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probes: Vec<ProbeBody>,
    /// The last lines of its standard error, at most 50.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stderr: Vec<String>,
}

impl From<SidecarError> for BridgeError {
    fn from(SidecarError { kind, message, troubleshooting, probes, stderr, at_ms }: SidecarError) -> Self {
        Self { kind: kind.name(), message, at: at_ms, troubleshooting, probes: each(probes), stderr }
    }
}

impl From<SidecarStatus> for BridgeStatus {
    fn from(status: SidecarStatus) -> Self {
        Self {
            is_ready: status.ready,
            is_restarting: status.restarting,
            restart_attempts: status.restart_attempts,
            last_error: status.last_error.map(BridgeError::from),
            uptime: status.uptime_ms,
            last_health_check: status.last_health_check_ms,
        }
    }
}

/// How the Python server is: the sidecar called `python`, else the first that is written in Python, else the only one that somebody else
/// runs. What its error says beyond type, message and time is told to those who may steer it.
#[utoipa::path(
    get,
    path = "/api/health/python",
    tag = "sidecars",
    operation_id = "pythonHealth",
    responses(
        (status = 200, description = "How it is, also if it is not well", body = PythonHealthBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn python(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let seen = sidecar_view::for_caller(&app, &incoming, &headers);
    Ok(json::answer(&health(seen(app.operations().python_status()?))))
}

fn health(status: SidecarStatus) -> PythonHealthBody {
    PythonHealthBody { healthy: status.ready, status: status.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sidecar_body::tests::{sample, stopped};
    use super::*;

    #[test]
    fn health_is_told_under_the_names_of_the_process_bridge() {
        assert_eq!(
            serde_json::to_value(health(sample())).unwrap(),
            json!({
                "healthy": true,
                "isReady": true,
                "isRestarting": true,
                "restartAttempts": 2,
                "lastError": {
                    "type": "DEPENDENCY_ERROR",
                    "message": "Python dependencies not installed: flask",
                    "at": 1_700_000_000_000_u64,
                    "troubleshooting": ["pip install -r requirements.txt"],
                    "probes": [{ "what": "import flask", "ok": false, "found": "No module named 'flask'" }],
                    "stderr": ["ModuleNotFoundError: No module named 'flask'"],
                },
                "uptime": 9000,
                "lastHealthCheck": 1_700_000_000_500_u64,
            })
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        assert_eq!(
            serde_json::to_value(health(stopped())).unwrap(),
            json!({
                "healthy": false,
                "isReady": false,
                "isRestarting": false,
                "restartAttempts": 0,
                "lastError": null,
                "uptime": null,
                "lastHealthCheck": null,
            })
        );
    }
}
