//! `POST /api/services/{id}/actions/{action}/execute`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::{CallContext, Failure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::invoke_answer;
use crate::app::App;
use crate::body;
use crate::caller;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// A call of an action.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecuteActionRequest {
    /// As the action's `input_schema` says; an empty object when absent.
    #[schema(value_type = Option<Object>)]
    input_data: Option<Value>,
    /// Passed on with the call and never interpreted, such as `project_id`, which the service gets as the header `x-project-id`. Texts,
    /// numbers and truth values; at most 32.
    context: Option<Map<String, Value>>,
}

impl Known for ExecuteActionRequest {
    const FIELDS: &'static [&'static str] = &["input_data", "context"];
}

/// Calls an action of a service. The body of the answer is what the service answered; `X-Breakwater-*` headers say where it came from.
#[utoipa::path(
    post,
    path = "/api/services/{id}/actions/{action}/execute",
    tag = "integration",
    operation_id = "executeAction",
    params(
        ("id" = String, Path, description = "The service's id or name"),
        ("action" = String, Path, description = "The action's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for every try at one effect; 1 to 255 printable ASCII characters")
    ),
    request_body(content = ExecuteActionRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "What the service answered, as the action's `output_schema` says", body = Value, content_type = "application/json",
            headers(
                ("x-breakwater-served-by" = String, description = "Who answered, such as `service:text-extraction`"),
                ("x-breakwater-degraded" = bool, description = "Whether the answer is degraded"),
                ("x-breakwater-degraded-reason" = String, description = "Who failed before, and the codes"),
                ("x-breakwater-level" = String, description = "The level of a degraded answer"),
                ("x-breakwater-attempts" = u32, description = "How many providers were asked"),
                ("x-breakwater-upstream-attempts" = u32, description = "How many requests were sent to services elsewhere"),
                ("x-breakwater-cached-age-ms" = u64, description = "How old an answer from the cache is")
            )),
        (status = "4XX", description = "The request is wrong, or there is no such action", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer, or answered wrongly", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn execute(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    // What could not be answered anyway is refused before the body is sent.
    app.operations().defined_service(&id)?;
    let request: ExecuteActionRequest = json::read_optional(&headers, &body::read(&headers, body, app.body_limits()).await?)?;
    let context = CallContext {
        labels: caller::labels(labels(request.context)?)?,
        idempotency_key: caller::idempotency_key(&headers)?,
        ..incoming.context(app.config.request_timeout)
    };
    let input = request.input_data.unwrap_or_else(|| json!({}));
    let outcome = app.operations().execute_action(&context, &id, &action, input).await?;
    Ok(invoke_answer::output(outcome, &context))
}

/// A context as labels: numbers and truth values as JSON writes them; what is `null` is not given.
fn labels(context: Option<Map<String, Value>>) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let Some(context) = context else { return Ok(None) };
    let label = |(name, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(Ok((name, text))),
        Value::Number(_) | Value::Bool(_) => Some(Ok((name, value.to_string()))),
        Value::Array(_) | Value::Object(_) => {
            let name: String = name.chars().take(64).collect();
            Some(Err(field_invalid(&format!("context/{name}"), "is a text, a number or a truth value")))
        }
    };
    context.into_iter().filter_map(label).collect::<Result<_, Failure>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_becomes_labels() {
        let context = |value: Value| labels(Some(value.as_object().unwrap().clone()));
        let expected = [("n", "7"), ("on", "true"), ("project_id", "789")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(context(json!({ "project_id": "789", "n": 7, "on": true, "none": null })).unwrap(), Some(expected.into()));
        assert_eq!(labels(None).unwrap(), None);
        let failure = context(json!({ "a": { "b": 1 } })).unwrap_err();
        assert_eq!((&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]), ("request.field-invalid", &json!("/context/a")));
    }

    #[test]
    fn an_input_is_any_json() {
        let read = |text: &str| json::read::<ExecuteActionRequest>(text.as_bytes());
        assert_eq!(read(r#"{"input_data":[1]}"#).unwrap().input_data, Some(json!([1])));
        assert!(read("{}").unwrap().input_data.is_none());
        assert_eq!(read(r#"{"input":1}"#).unwrap_err().code, "request.unknown-field");
    }
}
