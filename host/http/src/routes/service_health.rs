//! `GET /api/services/{id}/health`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::actions::DefinedServiceHealth;
use serde::Serialize;
use utoipa::ToSchema;

use super::upstream_body::LastErrorBody;
use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// How a service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceHealth)]
pub(crate) struct ServiceHealthBody {
    /// The service.
    service_id: String,
    /// What it is called by.
    service_name: String,
    /// `healthy`: calls pass; `unhealthy`: it cannot be reached, or its breaker is open; `unknown`: it is not active, and nobody looks.
    status: &'static str,
    /// `ACTIVE`, `INACTIVE` or `ARCHIVED`.
    service_status: &'static str,
    /// Its base URL.
    endpoint: String,
    /// The state of its breaker, such as `closed`; absent for one that is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'static str>,
    /// The newest failure of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastErrorBody>,
    /// How long it took to answer just now, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_ms: Option<f64>,
    /// Why it did not answer just now: a code and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<DefinedServiceHealth> for ServiceHealthBody {
    fn from(health: DefinedServiceHealth) -> Self {
        let DefinedServiceHealth { service_id, service_name, service_status, endpoint, word, breaker, last_error, check } = health;
        Self {
            service_id,
            service_name,
            status: word.name(),
            service_status: service_status.name(),
            endpoint,
            breaker,
            last_error: last_error.map(LastErrorBody::from),
            response_ms: check.as_ref().map(|check| check.response_ms),
            error: check.and_then(|check| check.error),
        }
    }
}

/// Asks a service whether it is there, and says how it is. One that is not active is not asked.
#[utoipa::path(
    get,
    path = "/api/services/{id}/health",
    tag = "integration",
    operation_id = "checkDefinedService",
    params(("id" = String, Path, description = "The service's id or name")),
    responses(
        (status = 200, description = "How it is; also when it is not well", body = ServiceHealthBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such service", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn health(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&ServiceHealthBody::from(app.operations().check_service(&id).await?)))
}
