//! `POST /v1/warm-up`.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::Failure;
use breakwater_operations::services::WarmUp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::upstream_body::{CheckBody, EndpointCheckBody};
use crate::app::App;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::management;
use crate::problem::{Problem, Refusal};
use crate::wire::{each, milliseconds};

/// The most upstreams that one request may name.
const MAX_NAMES: usize = 1000;

/// What to connect to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WarmUpRequest {
    /// Names of upstreams, at most 1000; every upstream when absent.
    upstreams: Option<Vec<String>>,
}

impl Known for WarmUpRequest {
    const FIELDS: &'static [&'static str] = &["upstreams"];
}

impl WarmUpRequest {
    fn check(&self) -> Result<(), Failure> {
        if self.upstreams.as_ref().is_some_and(|names| names.len() > MAX_NAMES) {
            return Err(field_invalid("upstreams", &format!("has at most {MAX_NAMES} entries")));
        }
        Ok(())
    }
}

/// How connecting went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WarmUp)]
pub(crate) struct WarmUpBody {
    /// Whether every endpoint of every upstream answered as it should.
    ok: bool,
    /// In the order of the request, or by name.
    upstreams: Vec<WarmedUpBody>,
}

/// How connecting to one upstream went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WarmedUp)]
pub(crate) struct WarmedUpBody {
    /// Its name.
    name: String,
    /// Whether every endpoint answered as it should.
    ok: bool,
    /// What each endpoint answered.
    endpoints: Vec<EndpointCheckBody>,
    /// Stable code of why none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Why none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// How long it took, in milliseconds.
    elapsed_ms: f64,
}

impl From<WarmUp> for WarmedUpBody {
    fn from(WarmUp { upstream, result, elapsed }: WarmUp) -> Self {
        let elapsed_ms = milliseconds(elapsed);
        match result {
            Ok(report) => {
                let CheckBody { endpoints, .. } = report.into();
                let ok = endpoints.iter().all(|endpoint| endpoint.ok);
                Self { name: upstream, ok, endpoints, code: None, message: None, elapsed_ms }
            }
            Err(Failure { code, message, .. }) => {
                let (code, message) = (Some(code.into_owned()), Some(message));
                Self { name: upstream, ok: false, endpoints: Vec::new(), code, message, elapsed_ms }
            }
        }
    }
}

/// Opens connections to services elsewhere, so that the first calls find them. From this machine only, unless remote management is
/// switched on.
#[utoipa::path(
    post,
    path = "/v1/warm-up",
    tag = "upstreams",
    operation_id = "warmUp",
    request_body(content = Option<WarmUpRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "How it went with each", body = WarmUpBody, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn warm_up(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let request: WarmUpRequest = management::read_optional(&app, &headers, body).await?;
    request.check()?;
    let upstreams: Vec<WarmedUpBody> = each(app.operations().warm_up(request.upstreams).await);
    Ok(json::answer(&WarmUpBody { ok: upstreams.iter().all(|upstream| upstream.ok), upstreams }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::FailureKind;
    use breakwater_operations::services::{CheckReport, EndpointCheck};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_names_at_most_a_thousand() {
        let request = |count: usize| WarmUpRequest { upstreams: Some(vec!["x".to_owned(); count]) };
        assert!(request(MAX_NAMES).check().is_ok() && WarmUpRequest::default().check().is_ok());
        assert_eq!(request(MAX_NAMES + 1).check().unwrap_err().code, "request.field-invalid");
    }

    #[test]
    fn each_upstream_has_its_own_result() {
        let check = |ok| EndpointCheck { id: "a".into(), ok, status: Some(200), response_ms: 1.0, error: None };
        let elapsed = Duration::from_millis(2);
        let warm = |checks: Vec<EndpointCheck>| WarmUp {
            upstream: "x".into(),
            result: Ok(CheckReport { name: "x".into(), healthy: true, endpoints: checks }),
            elapsed,
        };
        assert!(WarmedUpBody::from(warm(vec![check(true), check(true)])).ok);
        assert!(!WarmedUpBody::from(warm(vec![check(true), check(false)])).ok);
        let unknown = Failure::new(FailureKind::NotFound, "upstream.unknown", "there is none");
        let body = WarmedUpBody::from(WarmUp { upstream: "x".into(), result: Err(unknown), elapsed });
        assert_eq!(
            serde_json::to_value(&body).unwrap(),
            json!({ "name": "x", "ok": false, "endpoints": [], "code": "upstream.unknown", "message": "there is none", "elapsed_ms": 2.0 })
        );
    }
}
