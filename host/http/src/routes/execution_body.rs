//! Executions as requests and answers write them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::workflows::{Event, Execution, ExecutionStatus, Happened, Start, StepError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::workflows::EXECUTION_ID;
use crate::app::App;
use crate::caller;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::problem::{Refusal, shown};

/// The most entries of a context, and the longest name and value, in bytes of JSON.
const MAX_CONTEXT: usize = 64;
const MAX_CONTEXT_BYTES: usize = 1024;
/// Which entry of a context names the calls of an execution in the logs.
const REQUEST_ID: &str = "request_id";

/// What an execution is started with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct ExecuteRequest {
    /// What the first step gets.
    input_data: Value,
    /// What goes with every call of it, such as `project_id` and `request_id`: texts and numbers. Stored and returned.
    context: BTreeMap<String, Value>,
    /// Starting twice with one key and one input is starting once.
    idempotency_key: Option<String>,
    /// Whether to wait for the result; true when absent.
    wait: Option<bool>,
    /// How long to wait for the result, in milliseconds, before answering 202; as long as the service lets a call take when absent.
    wait_timeout_ms: Option<u64>,
}

impl Known for ExecuteRequest {
    const FIELDS: &'static [&'static str] = &["input_data", "context", "idempotency_key", "wait", "wait_timeout_ms"];
}

impl ExecuteRequest {
    /// How long to wait for the end, if at all.
    pub(crate) fn patience(&self, most: Duration) -> Option<Duration> {
        patience(self.wait.unwrap_or(true), self.wait_timeout_ms, most)
    }

    /// # Errors
    /// `request.field-invalid` when the context is too large, and as [`caller::one_key`].
    pub(crate) fn start(self, workflow: String, headers: &HeaderMap, incoming: &Incoming) -> Result<Start, Failure> {
        let mut context = self.context;
        check_context(&context)?;
        context.entry(REQUEST_ID.to_owned()).or_insert_with(|| incoming.correlation_id.to_string().into());
        let idempotency_key = caller::one_key(self.idempotency_key, headers)?;
        Ok(Start { workflow, input: self.input_data, context, idempotency_key, parent: None })
    }
}

/// How long to wait for the end of work that goes on by itself, if at all: never longer than `most`.
pub(crate) fn patience(is_waited_for: bool, timeout_ms: Option<u64>, most: Duration) -> Option<Duration> {
    is_waited_for.then(|| timeout_ms.map_or(most, Duration::from_millis).min(most))
}

/// A status as it is written.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn status(text: &str) -> Result<ExecutionStatus, Failure> {
    let found = ExecutionStatus::ALL.into_iter().find(|status| status.name() == text);
    found.ok_or_else(|| field_invalid("status", "is PENDING, RUNNING, COMPLETED, FAILED, CANCELLED or PAUSED"))
}

/// A context is for tracing: texts, numbers and truth values, within bounds.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn check_context(context: &BTreeMap<String, Value>) -> Result<(), Failure> {
    if context.len() > MAX_CONTEXT {
        return Err(field_invalid("context", &format!("has at most {MAX_CONTEXT} entries")));
    }
    for (name, value) in context {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(field_invalid("context", "holds texts, numbers and truth values only"));
        }
        if name.len() > MAX_CONTEXT_BYTES || value.to_string().len() > MAX_CONTEXT_BYTES {
            return Err(field_invalid("context", &format!("has names and values of at most {MAX_CONTEXT_BYTES} bytes")));
        }
    }
    Ok(())
}

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionBody {
    /// Names it.
    id: String,
    /// The workflow.
    workflow_id: String,
    /// Its name when the execution was started.
    workflow_name: String,
    /// The version that it runs.
    workflow_version: u32,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED` or `PAUSED`.
    #[schema(example = "COMPLETED")]
    status: &'static str,
    /// What it was started with.
    input: Value,
    /// Its result, once it is completed.
    output: Option<Value>,
    /// Why it failed.
    error: Option<ExecutionErrorBody>,
    /// What goes with every call of it.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    context: BTreeMap<String, Value>,
    /// The key that it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    /// The execution that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    /// Where it is: the paths of steps under way, as far as this process runs it.
    current_steps: Vec<String>,
    /// When it was accepted, in milliseconds since 1970.
    created_at_ms: u64,
    /// When its first step began.
    started_at_ms: Option<u64>,
    /// When it ended.
    completed_at_ms: Option<u64>,
}

/// Why an execution failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionError)]
pub(crate) struct ExecutionErrorBody {
    /// Stable; docs/errors.md lists every one.
    code: String,
    /// What was wrong.
    message: String,
    /// The step that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    /// Detail for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl From<StepError> for ExecutionErrorBody {
    fn from(error: StepError) -> Self {
        let details = error.detail.map(|detail| shown(&error.code, detail));
        Self { code: error.code, message: error.message, step: error.step, details }
    }
}

impl ExecutionBody {
    pub(crate) fn of(app: &App, execution: Execution) -> Self {
        let current_steps = app.workflows().executor().current_steps(&execution.id);
        Self {
            id: execution.id,
            workflow_id: execution.workflow_id,
            workflow_name: execution.workflow_name,
            workflow_version: execution.workflow_version,
            status: execution.status.name(),
            input: execution.input,
            output: execution.output,
            error: execution.error.map(Into::into),
            context: execution.context,
            idempotency_key: execution.idempotency_key,
            parent_id: execution.parent.map(|(id, _)| id),
            current_steps,
            created_at_ms: execution.created_at_ms,
            started_at_ms: execution.started_at_ms,
            completed_at_ms: execution.completed_at_ms,
        }
    }
}

/// Something that happened in an execution. Further fields depend on `type`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExecutionEvent)]
pub(crate) struct EventBody {
    /// Counts within the execution, from 1.
    seq: u64,
    /// When, in milliseconds since 1970.
    at_ms: u64,
    /// The step, such as `extract-text` or `each/17/resize`; empty for the execution itself.
    path: String,
    /// `started`, `attempt-failed`, `completed`, `failed`, `skipped`, `chosen`, `paused`, `resumed`, `retried`, `cancel-requested`, `adopted`.
    #[serde(rename = "type")]
    #[schema(example = "completed")]
    kind: String,
    /// What belongs to it: `attempt`, `due_at_ms`, `error`, `retry_at_ms`, `output`, `served_by`, `degraded`, `next`.
    #[serde(flatten)]
    what: serde_json::Map<String, Value>,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        let Event { seq, at_ms, path, mut what } = event;
        if let Happened::AttemptFailed { error, .. } | Happened::Failed { error } = &mut what {
            error.detail = error.detail.take().map(|detail| shown(&error.code, detail));
        }
        let (kind, what) = match serde_json::to_value(what) {
            Ok(Value::Object(mut fields)) => (fields.remove("type"), fields),
            _ => (None, serde_json::Map::new()),
        };
        let kind = kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        Self { seq, at_ms, path, kind, what }
    }
}

/// An execution that goes on.
pub(crate) fn started(app: &App, execution: Execution) -> Response {
    let id = execution.id.clone();
    let location = format!("/api/executions/{id}");
    of_execution(json::located(StatusCode::ACCEPTED, &location, &ExecutionBody::of(app, execution)), &id)
}

/// The result of an execution, why there is none, or that it goes on.
pub(crate) fn ended(app: &App, execution: Execution) -> Result<Response, Refusal> {
    let id = execution.id.clone();
    let response = match execution.status {
        ExecutionStatus::Completed => json::answer(&execution.output.unwrap_or_default()),
        ExecutionStatus::Failed | ExecutionStatus::Cancelled => Refusal(failure(execution)).into_response(),
        _ => return Ok(started(app, execution)),
    };
    Ok(of_execution(response, &id))
}

/// Why an execution has no result.
pub(crate) fn failure(execution: Execution) -> Failure {
    let Some(error) = execution.error else { return Failure::internal("an execution failed without a reason") };
    let failure = error.failure();
    let mut detail = match failure.detail.clone() {
        Some(Value::Object(detail)) => detail,
        Some(other) => [("detail".to_owned(), other)].into_iter().collect(),
        None => serde_json::Map::new(),
    };
    detail.insert("execution_id".to_owned(), json!(execution.id));
    detail.insert("step".to_owned(), json!(error.step));
    failure.with_detail(Value::Object(detail))
}

fn of_execution(mut response: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(EXECUTION_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_no_longer_than_the_service_allows() {
        let most = Duration::from_secs(30);
        let patience = |text: &str| json::read::<ExecuteRequest>(text.as_bytes()).unwrap().patience(most);
        assert_eq!(patience("{}"), Some(most));
        assert_eq!(patience(r#"{"wait":false}"#), None);
        assert_eq!(patience(r#"{"wait_timeout_ms":5}"#), Some(Duration::from_millis(5)));
        assert_eq!(patience(r#"{"wait_timeout_ms":99000}"#), Some(most));
    }

    #[test]
    fn a_status_is_written_in_capitals() {
        for known in ExecutionStatus::ALL {
            assert_eq!(status(known.name()).unwrap(), known);
        }
        assert_eq!(status("running").unwrap_err().code, "request.field-invalid");
    }

    #[test]
    fn a_context_is_bounded() {
        let context = |value: Value| serde_json::from_value::<BTreeMap<String, Value>>(value).unwrap();
        check_context(&context(json!({ "project_id": "456", "n": 1, "b": true, "none": null }))).unwrap();
        for wrong in [json!({ "a": [] }), json!({ "a": {} }), json!({ "a": "x".repeat(MAX_CONTEXT_BYTES) })] {
            assert_eq!(check_context(&context(wrong)).unwrap_err().code, "request.field-invalid");
        }
        let many: BTreeMap<String, Value> = (0..=MAX_CONTEXT).map(|i| (i.to_string(), json!(1))).collect();
        assert_eq!(check_context(&many).unwrap_err().code, "request.field-invalid");
    }

    #[test]
    fn an_event_is_told_with_what_belongs_to_it() {
        let event = Event {
            seq: 3,
            at_ms: 5,
            path: "a".into(),
            what: breakwater_operations::workflows::Happened::Started { attempt: 1, due_at_ms: None },
        };
        assert_eq!(
            serde_json::to_value(EventBody::from(event)).unwrap(),
            json!({ "seq": 3, "at_ms": 5, "path": "a", "type": "started", "attempt": 1 })
        );
    }
}
