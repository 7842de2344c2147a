//! From a failure to a response: the one place that knows which status a failure has.
//!
//! A handler returns its failure as a [`Refusal`]. The middleware that knows the correlation id turns it into
//! `application/problem+json` (RFC 9457) with [`Problem::of`]. The message of a defect and every cause stay in the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::{CorrelationId, Failure, FailureKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Statuses of single codes; every other code has the status of its kind. A code ending in `.overloaded` is 503.
const BY_CODE: &[(&str, StatusCode)] = &[
    ("http.method-not-allowed", StatusCode::METHOD_NOT_ALLOWED),
    ("http.not-acceptable", StatusCode::NOT_ACCEPTABLE),
    ("http.unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("http.body-too-large", StatusCode::PAYLOAD_TOO_LARGE),
    ("http.body-timeout", StatusCode::REQUEST_TIMEOUT),
    ("image.too-many-bytes", StatusCode::PAYLOAD_TOO_LARGE),
    ("image.unsupported", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("plugin.generation-in-use", StatusCode::CONFLICT),
    ("plugin.strategy-taken", StatusCode::CONFLICT),
    ("call.outcome-unknown", StatusCode::BAD_GATEWAY),
    ("flag.conflict", StatusCode::CONFLICT),
    ("flag.declared", StatusCode::CONFLICT),
    ("embedder.in-use", StatusCode::CONFLICT),
    ("import.running", StatusCode::CONFLICT),
    ("import.source-changed", StatusCode::CONFLICT),
    ("sidecar.interrupted", StatusCode::CONFLICT),
    ("service.name-taken", StatusCode::CONFLICT),
    ("service.conflict", StatusCode::CONFLICT),
    ("service.inactive", StatusCode::CONFLICT),
    ("workflow.name-taken", StatusCode::CONFLICT),
    ("workflow.conflict", StatusCode::CONFLICT),
    ("workflow.inactive", StatusCode::CONFLICT),
    ("workflow.not-executable", StatusCode::CONFLICT),
    ("execution.key-reused", StatusCode::CONFLICT),
    ("execution.state", StatusCode::CONFLICT),
    ("execution.not-finished", StatusCode::CONFLICT),
    ("execution.cancelled", StatusCode::CONFLICT),
    ("batch.not-finished", StatusCode::CONFLICT),
    ("batch.nothing-failed", StatusCode::CONFLICT),
];

/// How the codes begin that are about a service elsewhere.
const SERVICE_AREA: &str = "upstream.";

/// The status a failure is answered with.
#[must_use]
pub fn status_of(failure: &Failure) -> StatusCode {
    if let Some((_, status)) = BY_CODE.iter().find(|(code, _)| *code == failure.code) {
        return *status;
    }
    if failure.code.ends_with(".overloaded") {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match failure.kind {
        FailureKind::InvalidRequest => StatusCode::BAD_REQUEST,
        FailureKind::NotFound => StatusCode::NOT_FOUND,
        FailureKind::Denied => StatusCode::FORBIDDEN,
        FailureKind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        FailureKind::Unavailable | FailureKind::CircuitOpen | FailureKind::BudgetExhausted => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Rejected => StatusCode::BAD_GATEWAY,
        FailureKind::Internal | FailureKind::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is wrong at one place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// Where: a JSON Pointer, or `/` and the name of a multipart field.
    pub pointer: String,
    /// What.
    pub message: String,
    /// What kind, where kinds are told apart: docs/workflows.md lists those of a definition. Stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:breakwater:error:` and the code.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// What kind of failure it is, such as `invalid-request`.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what to do.
    pub detail: String,
    /// Stable; docs/errors.md lists every one.
    pub code: String,
    /// Names this call in every log.
    pub correlation_id: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// How long to wait before that, when known, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What is wrong where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// Further detail for machines, such as the limit that was crossed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// For failures of a service elsewhere: the HTTP status again, under the name that clients of such a service know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// For failures of a service elsewhere: the code again, under the name that clients of such a service know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

impl Problem {
    /// What the client of this call is told about a failure.
    #[must_use]
    pub fn of(failure: &Failure, correlation_id: &CorrelationId) -> Self {
        let (violations, details) = split(failure.detail.clone());
        let is_of_service = failure.code.starts_with(SERVICE_AREA);
        let details = details.map(|details| shown(&failure.code, details));
        let status = status_of(failure).as_u16();
        let internal = failure.kind == FailureKind::Internal;
        let detail = if internal {
            "something went wrong inside the service; the log has the reason under the correlation id".to_owned()
        } else {
            failure.message.clone()
        };
        Self {
            problem_type: format!("urn:breakwater:error:{}", failure.code),
            title: failure.kind.name().to_owned(),
            status,
            detail,
            code: failure.code.clone().into_owned(),
            correlation_id: correlation_id.to_string(),
            retryable: failure.retryable,
            retry_after_ms: failure.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            violations: if internal { Vec::new() } else { violations },
            details: if internal { None } else { details },
            status_code: is_of_service.then_some(status),
            error_code: is_of_service.then(|| failure.code.clone().into_owned()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is made of strings, numbers and JSON: it always serialises.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
        }
        response
    }
}

/// A handler's failure on its way to the middleware that answers it.
#[derive(Debug, Clone)]
pub struct Refusal(pub Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status_of(&self.0).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Takes `violations` out of a failure's detail.
fn split(detail: Option<Value>) -> (Vec<Violation>, Option<Value>) {
    let Some(Value::Object(mut fields)) = detail else {
        return (Vec::new(), detail);
    };
    let violation = |entry: &Value| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Violation { pointer: text("pointer")?, message: text("message")?, code: text("code") })
    };
    let listed = fields.remove("violations");
    let violations = listed.as_ref().and_then(Value::as_array).map(|list| list.iter().filter_map(violation).collect());
    (violations.unwrap_or_default(), (!fields.is_empty()).then_some(Value::Object(fields)))
}

/// The detail of a failure as callers see it. What a service elsewhere answered is for the adapter that called it; it may hold anything. Its
/// status stays.
pub(crate) fn shown(code: &str, detail: Value) -> Value {
    // A step that was tried several times tells the failure of its last attempt.
    let of_last = detail.get("last_code").and_then(Value::as_str);
    let is_of_service = code.starts_with(SERVICE_AREA) || of_last.is_some_and(|code| code.starts_with(SERVICE_AREA));
    if is_of_service { without_bodies(detail) } else { detail }
}

fn without_bodies(mut detail: Value) -> Value {
    match &mut detail {
        Value::Object(fields) => {
            fields.remove("body");
            for value in fields.values_mut() {
                *value = without_bodies(value.take());
            }
        }
        Value::Array(values) => {
            for value in values {
                *value = without_bodies(value.take());
            }
        }
        _ => {}
    }
    detail
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use serde_json::json;

    fn id() -> CorrelationId {
        "call-1".parse().unwrap()
    }

    #[test]
    fn every_kind_has_its_status_and_single_codes_have_their_own() {
        use FailureKind::*;
        for (kind, status) in [
            (InvalidRequest, 400),
            (NotFound, 404),
            (Denied, 403),
            (Unavailable, 503),
            (Timeout, 504),
            (CircuitOpen, 503),
            (BudgetExhausted, 503),
            (Rejected, 502),
            (Limit, 422),
            (Internal, 500),
            (Other, 500),
        ] {
            assert_eq!(status_of(&Failure::new(kind, "some.code", "")).as_u16(), status, "{kind:?}");
        }
        for (code, status) in
            [("cpu.overloaded", 503), ("image.too-many-bytes", 413), ("http.not-acceptable", 406), ("image.too-many-pixels", 422)]
                .into_iter()
                .chain([
                    ("call.outcome-unknown", 502),
                    ("flag.conflict", 409),
                    ("flag.declared", 409),
                    ("embedder.in-use", 409),
                    ("import.running", 409),
                    ("service.inactive", 409),
                    ("service.name-taken", 409),
                    ("upstream.overloaded", 503),
                ])
        {
            assert_eq!(status_of(&Failure::limit(code, "")).as_u16(), status, "{code}");
        }
    }

    #[test]
    fn a_defect_shows_nothing_of_itself() {
        let failure =
            Failure::internal("select * from secrets").with_detail(json!({ "path": "/etc" })).caused_by(std::io::Error::other("disk"));
        let text = serde_json::to_string(&Problem::of(&failure, &id())).unwrap();
        assert!(!text.contains("select") && !text.contains("etc") && !text.contains("disk"), "{text}");
        assert!(text.contains("\"correlation_id\":\"call-1\""));
    }

    #[test]
    fn violations_stand_beside_the_other_details() {
        let detail = json!({ "violations": [{ "pointer": "/width", "message": "is too large" }], "max": 5 });
        let problem = Problem::of(&Failure::invalid("crop.size-invalid", "no").with_detail(detail), &id());
        assert_eq!(problem.violations, [Violation { pointer: "/width".into(), message: "is too large".into(), code: None }]);
        assert_eq!(problem.details, Some(json!({ "max": 5 })));
        assert_eq!(problem.problem_type, "urn:breakwater:error:crop.size-invalid");
    }

    #[test]
    fn a_service_elsewhere_is_told_by_its_code_and_status_but_never_by_what_it_answered() {
        use FailureKind::*;
        for (kind, code, status) in [
            (Unavailable, "upstream.connection", 503),
            (Timeout, "upstream.timeout", 504),
            (CircuitOpen, "upstream.circuit-open", 503),
            (Rejected, "upstream.status", 502),
            (NotFound, "upstream.status", 404),
            (InvalidRequest, "upstream.status", 400),
        ] {
            let detail = json!({ "status": 418, "body": "secret", "last": { "body": "secret", "list": [{ "body": "secret" }] } });
            let problem = Problem::of(&Failure::new(kind, code, "the service failed").with_detail(detail), &id());
            assert_eq!((problem.status, problem.status_code, problem.error_code.as_deref()), (status, Some(status), Some(code)));
            assert_eq!(problem.details, Some(json!({ "status": 418, "last": { "list": [{}] } })));
        }
        let other = Problem::of(&Failure::invalid("crop.size-invalid", "no").with_detail(json!({ "body": 1 })), &id());
        assert_eq!((other.status_code, other.error_code, other.details), (None, None, Some(json!({ "body": 1 }))));
    }

    #[test]
    fn a_wait_is_told_in_a_header_of_whole_seconds_and_in_milliseconds() {
        let failure = Failure::limit("cpu.overloaded", "full").retry_after(Duration::from_millis(1500));
        let problem = Problem::of(&failure, &id());
        assert_eq!((problem.retry_after_ms, problem.retryable), (Some(1500), true));
        let response = problem.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
