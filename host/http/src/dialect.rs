//! Failures as the clients of single routes know them. Every other route answers `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::FailureKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::json;
use crate::problem::Problem;
use crate::routes::{embeddings, process_image};

/// Where the Open Inference Protocol begins.
const INFERENCE_PROTOCOL: &str = "/v2";

/// A failure as the Open Inference Protocol writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InferenceError {
    /// What was wrong and what to do.
    pub(crate) error: String,
    /// Stable; docs/errors.md lists every one.
    pub(crate) code: String,
}

/// A failure as clients of OpenAI look for it, beside the members of a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsError {
    #[serde(flatten)]
    problem: Problem,
    /// The same once more, where those clients look.
    error: OpenAiError,
}

/// What clients of OpenAI show.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    /// What was wrong and what to do.
    message: String,
    /// `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Which part of the request is wrong, when that is known.
    param: Option<String>,
    /// Stable; docs/errors.md lists every one.
    code: String,
}

/// The answer of a route to a failure.
pub(crate) fn answer(route: &str, problem: Problem, kind: FailureKind) -> Response {
    let own = match route {
        process_image::PATH => return process_image::refusal(&problem, kind),
        embeddings::PATH => return with_type(&problem, &EmbeddingsError::of(problem.clone()), "application/problem+json"),
        route => route.strip_prefix(INFERENCE_PROTOCOL),
    };
    match own {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let body = InferenceError { error: problem.detail.clone(), code: problem.code.clone() };
            with_type(&problem, &body, "application/json")
        }
        _ => problem.into_response(),
    }
}

impl EmbeddingsError {
    fn of(problem: Problem) -> Self {
        let kind = if problem.status < 500 { "invalid_request_error" } else { "server_error" };
        let param = problem.violations.first().map(|violation| violation.pointer.trim_start_matches('/').replace('/', "."));
        let error = OpenAiError { message: problem.detail.clone(), kind, param, code: problem.code.clone() };
        Self { problem, error }
    }
}

fn with_type(problem: &Problem, body: &impl Serialize, content_type: &'static str) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, json::answer(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(wait) = problem.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
    }
    response
}

#[cfg(test)]
mod tests {
    use breakwater_core::Failure;
    use serde_json::{Value, json};

    use super::*;
    use crate::form::field_invalid;

    async fn answered(route: &str, failure: &Failure) -> (u16, String, Value) {
        let problem = Problem::of(failure, &"call-1".parse().unwrap());
        let (parts, body) = answer(route, problem, failure.kind).into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let content_type = parts.headers["content-type"].to_str().unwrap().to_owned();
        (parts.status.as_u16(), content_type, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn the_inference_protocol_has_an_error_and_nothing_of_a_defect() {
        for route in ["/v2", "/v2/models/{model}/infer"] {
            let (status, content_type, body) = answered(route, &Failure::invalid("tensor.malformed", "no")).await;
            assert_eq!((status, content_type.as_str()), (400, "application/json"));
            assert_eq!(body, json!({ "error": "no", "code": "tensor.malformed" }));
        }
        let (status, _, body) = answered("/v2/health/ready", &Failure::internal("secret")).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("secret"));
        assert_eq!(answered("/v2x", &Failure::invalid("a.b", "no")).await.2["code"], "a.b");
        assert_eq!(answered("/v2x", &Failure::invalid("a.b", "no")).await.1, "application/problem+json");
    }

    #[tokio::test]
    async fn clients_of_openai_find_the_error_where_they_look() {
        let (status, content_type, body) = answered(embeddings::PATH, &field_invalid("input/0", "is empty")).await;
        assert_eq!((status, content_type.as_str(), &body["code"]), (400, "application/problem+json", &json!("request.field-invalid")));
        assert_eq!(
            body["error"],
            json!({ "message": "input/0: is empty", "type": "invalid_request_error", "param": "input.0", "code": "request.field-invalid" })
        );
        let full = Failure::limit("embedder.overloaded", "full");
        assert_eq!(answered(embeddings::PATH, &full).await.2["error"]["type"], "server_error");
    }
}
