//! `/api/executions`: how executions of workflows are, what happened in them, and what is wanted of them.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::workflows::{Event, ExecutionFilter, NewSignal, Wanted};
use serde_json::Value;

use super::execution_body::{EventBody, ExecutionBody, ended, status};
use crate::app::App;
use crate::body;
use crate::caller;
use crate::json::{self, BodyKind};
use crate::management::Allowed;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// The executions, the newest first.
#[utoipa::path(
    get,
    path = "/api/executions",
    tag = "workflows",
    operation_id = "listExecutions",
    params(
        ("workflow_id" = Option<String>, Query, description = "Only those of this workflow, by its id or name"),
        ("status" = Option<String>, Query, description = "Only those with this status"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the executions", body = PageBody<ExecutionBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["workflow_id", "status", page, per_page])?;
    let workflow = match query.text("workflow_id") {
        Some(id) => Some(app.workflows().id_of(id).await?),
        None => None,
    };
    page_of(&app, &query, workflow).await
}

/// A page of the executions of one workflow, or of all.
pub(crate) async fn page_of(app: &App, query: &Query, workflow_id: Option<String>) -> Result<Response, Refusal> {
    let page = Page::of(query)?;
    let filter = ExecutionFilter { workflow_id, status: query.text("status").map(status).transpose()? };
    let part = app.workflows().executor().list(&filter, page.range()).await?;
    Ok(json::answer(&page.of_mapped(part, |execution| ExecutionBody::of(app, execution))))
}

/// One execution.
#[utoipa::path(
    get,
    path = "/api/executions/{id}",
    tag = "workflows",
    operation_id = "getExecution",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "The execution", body = ExecutionBody, content_type = "application/json"),
        (status = "4XX", description = "There is none", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let execution = app.workflows().executor().get(&id).await?;
    Ok(json::answer(&ExecutionBody::of(&app, execution)))
}

/// The result of an execution, as starting it would have answered.
#[utoipa::path(
    get,
    path = "/api/executions/{id}/result",
    tag = "workflows",
    operation_id = "getExecutionResult",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "The result itself", body = Value, content_type = "application/json",
            headers(("x-execution-id" = String, description = "Names the execution"))),
        (status = "4XX", description = "There is none, it goes on, or a step was refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "A step failed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn result(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let execution = app.workflows().executor().get(&id).await?;
    if !execution.status.is_final() {
        let message = format!("the execution is {} and has no result yet", execution.status.name());
        let mut failure = Failure::invalid("execution.not-finished", message);
        failure.retryable = true;
        return Err(failure.with_detail(serde_json::json!({ "status": execution.status.name() })).into());
    }
    ended(&app, execution)
}

/// What happened in an execution, in order: every attempt at every step, every wait, every wish.
#[utoipa::path(
    get,
    path = "/api/executions/{id}/history",
    tag = "workflows",
    operation_id = "getExecutionHistory",
    params(
        ("id" = String, Path, description = "Names the execution"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the events", body = PageBody<EventBody>, content_type = "application/json"),
        (status = "4XX", description = "There is none", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn history(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let page = Page::of(&Query::of(&uri, &Page::PARAMETERS)?)?;
    // Events are numbered without gaps, from 1.
    let range = page.range();
    let part = app.workflows().executor().history(&id, range.skip, range.take).await?;
    Ok(json::answer(&page.of_part::<Event, EventBody>(part)))
}

/// Ends an execution: no further step begins, what is under way is not waited for, and what was done is undone where the definition says so.
/// From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/api/executions/{id}/cancel",
    tag = "workflows",
    operation_id = "cancelExecution",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "How it is now", body = ExecutionBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it has ended", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn cancel(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Cancel).await
}

/// Pauses an execution: what is under way ends, and nothing else begins. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/api/executions/{id}/pause",
    tag = "workflows",
    operation_id = "pauseExecution",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "How it is now", body = ExecutionBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it has ended", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn pause(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Pause).await
}

/// Lets a paused execution go on. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/api/executions/{id}/resume",
    tag = "workflows",
    operation_id = "resumeExecution",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "How it is now", body = ExecutionBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it is not paused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn resume(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Resume).await
}

/// Lets a failed execution go on from the step that failed; what was done stays done. From this machine only, unless remote management is
/// switched on.
#[utoipa::path(
    post,
    path = "/api/executions/{id}/retry",
    tag = "workflows",
    operation_id = "retryExecution",
    params(("id" = String, Path, description = "Names the execution")),
    responses(
        (status = 200, description = "How it is now", body = ExecutionBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it has not failed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn retry(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Retry).await
}

async fn command(State(app): State<App>, Path(id): Path<String>, wanted: Wanted) -> Result<Response, Refusal> {
    let execution = app.workflows().executor().command(&id, wanted).await?;
    Ok(json::answer(&ExecutionBody::of(&app, execution)))
}

/// Sends a signal to an execution. One that comes before a step waits for it is kept; each is taken once. One whose idempotency key has come
/// already counts no more, so that whoever was not answered may send it again.
#[utoipa::path(
    post,
    path = "/api/executions/{id}/signals/{name}",
    tag = "workflows",
    operation_id = "signalExecution",
    params(
        ("id" = String, Path, description = "Names the execution"),
        ("name" = String, Path, description = "The signal's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sending twice is sending once; 1 to 255 printable ASCII characters")
    ),
    request_body(content = Value, content_type = "application/json", description = "What it brings: any JSON, at most 256 KiB; nothing is `null`"),
    responses(
        (status = 202, description = "It is kept for the step that waits for it"),
        (status = "4XX", description = "There is no such execution, it has ended, or another signal had the key", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn signal(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = body::read(&headers, body, app.body_limits()).await?;
    let payload: Value = if bytes.is_empty() {
        Value::Null
    } else {
        BodyKind::require_json(&headers)?;
        let invalid = |error| Failure::invalid("request.json-invalid", format!("the body is not valid JSON: {error}"));
        serde_json::from_slice(&bytes).map_err(invalid)?
    };
    let idempotency_key = caller::idempotency_key(&headers)?.map(|key| key.to_string());
    app.workflows().executor().signal(&id, NewSignal { name, payload, idempotency_key }).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
