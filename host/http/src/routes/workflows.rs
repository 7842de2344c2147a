//! `/api/workflows`: definitions, their versions, and starting them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::workflows::Workflow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::execution_body::{ExecuteRequest, ExecutionBody, ended, started};
use super::workflow_body::{DefinitionBody, ReportBody, WorkflowBody, change, status};
use crate::app::App;
use crate::body;
use crate::incoming::Incoming;
use crate::json;
use crate::management;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// Names the execution that an answer is of.
pub(crate) const EXECUTION_ID: &str = "x-execution-id";
/// The key of an effect, as a header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Its id.
    pub(crate) id: String,
    /// Always true.
    pub(crate) deleted: bool,
}

/// Stores a workflow. Steps may name services that are not registered yet: those are warnings, and errors with `strict=true`. From this
/// machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/api/workflows",
    tag = "workflows",
    operation_id = "createWorkflow",
    params(("strict" = Option<bool>, Query, description = "Whether services that are not registered are errors; false when absent")),
    request_body(content = DefinitionBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It is stored", body = WorkflowBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the workflow"))),
        (status = "4XX", description = "It does not make sense, each problem with its place, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let strict = strict(&uri)?;
    let document = Value::Object(management::object(&app, &headers, body).await?);
    let stored = app.workflows().create(&document, strict).await?;
    let location = format!("/api/workflows/{}", stored.workflow.id);
    Ok(located(StatusCode::CREATED, &location, &WorkflowBody::from(stored)))
}

/// Says what is wrong with a definition, without storing it.
#[utoipa::path(
    post,
    path = "/api/workflows/validate",
    tag = "workflows",
    operation_id = "validateWorkflow",
    params(("strict" = Option<bool>, Query, description = "Whether services that are not registered are errors; false when absent")),
    request_body(content = DefinitionBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What was found", body = ReportBody, content_type = "application/json"),
        (status = "4XX", description = "The body is no JSON object", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn validate(State(app): State<App>, headers: HeaderMap, uri: Uri, body: Body) -> Result<Response, Refusal> {
    let strict = strict(&uri)?;
    let document = Value::Object(management::object(&app, &headers, body).await?);
    Ok(json::answer(&ReportBody::from(app.workflows().validate(&document, strict).await?)))
}

/// The workflows, the newest first.
#[utoipa::path(
    get,
    path = "/api/workflows",
    tag = "workflows",
    operation_id = "listWorkflows",
    params(
        ("status" = Option<String>, Query, description = "Only `ACTIVE`, `INACTIVE` or `ARCHIVED` ones"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the workflows", body = PageBody<WorkflowBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["status", page, per_page])?;
    let page = Page::of(&query)?;
    let status = query.text("status").map(status).transpose()?;
    let part = app.workflows().list(status, page.range()).await?;
    Ok(json::answer(&page.of_part::<Workflow, WorkflowBody>(part)))
}

/// One workflow, by its id or its name.
#[utoipa::path(
    get,
    path = "/api/workflows/{id}",
    tag = "workflows",
    operation_id = "getWorkflow",
    params(
        ("id" = String, Path, description = "The workflow's id or name"),
        ("version" = Option<u32>, Query, description = "An earlier version; the latest when absent")
    ),
    responses(
        (status = 200, description = "The workflow", body = WorkflowBody, content_type = "application/json"),
        (status = "4XX", description = "There is none", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let version = Query::of(&uri, &["version"])?.parsed("version")?;
    Ok(json::answer(&WorkflowBody::from(app.workflows().get(&id, version).await?)))
}

/// Changes a workflow: the given fields replace what was there, and the result is its next version. Executions that run keep theirs. From
/// this machine only, unless remote management is switched on.
#[utoipa::path(
    put,
    path = "/api/workflows/{id}",
    tag = "workflows",
    operation_id = "updateWorkflow",
    params(
        ("id" = String, Path, description = "The workflow's id or name"),
        ("strict" = Option<bool>, Query, description = "Whether services that are not registered are errors; false when absent")
    ),
    request_body(content = DefinitionBody, content_type = "application/json", description = "The fields that change"),
    responses(
        (status = 200, description = "The new version", body = WorkflowBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, it would not make sense, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn update(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let strict = strict(&uri)?;
    let change = change(management::object(&app, &headers, body).await?)?;
    Ok(json::answer(&WorkflowBody::from(app.workflows().update(&id, change, strict).await?)))
}

/// The same as `PUT`.
#[utoipa::path(
    patch,
    path = "/api/workflows/{id}",
    tag = "workflows",
    operation_id = "patchWorkflow",
    params(
        ("id" = String, Path, description = "The workflow's id or name"),
        ("strict" = Option<bool>, Query, description = "Whether services that are not registered are errors; false when absent")
    ),
    request_body(content = DefinitionBody, content_type = "application/json", description = "The fields that change"),
    responses(
        (status = 200, description = "The new version", body = WorkflowBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, it would not make sense, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn patch(
    app: State<App>,
    incoming: Extension<Incoming>,
    id: Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Refusal> {
    update(app, incoming, id, headers, uri, body).await
}

/// Forgets a workflow. Executions that run go on. From this machine only, unless remote management is switched on.
#[utoipa::path(
    delete,
    path = "/api/workflows/{id}",
    tag = "workflows",
    operation_id = "deleteWorkflow",
    params(("id" = String, Path, description = "The workflow's id or name")),
    responses(
        (status = 200, description = "It is gone", body = Deleted, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be removed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let id = app.workflows().remove(&id).await?;
    Ok(json::answer(&Deleted { id, deleted: true }))
}

/// Starts a workflow and, unless told otherwise, waits for its result, which is the answer itself. What was accepted survives a crash of the
/// service.
#[utoipa::path(
    post,
    path = "/api/workflows/{id}/execute",
    tag = "workflows",
    operation_id = "executeWorkflow",
    params(
        ("id" = String, Path, description = "The workflow's id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same as `idempotency_key`")
    ),
    request_body(content = ExecuteRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The result: what the last step put out, or what the definition says", body = Value, content_type = "application/json",
            headers(("x-execution-id" = String, description = "Names the execution"))),
        (status = 202, description = "It is under way", body = ExecutionBody, content_type = "application/json",
            headers(("x-execution-id" = String, description = "Names the execution"), ("location" = String, description = "Path of the execution"))),
        (status = "4XX", description = "It cannot be started, or a step was refused; then `details` name execution and step", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "A step failed: `details` name execution and step", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn execute(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let key = headers.get(IDEMPOTENCY_KEY).map(HeaderValue::to_str).transpose();
    let key = key.map_err(|_| Failure::invalid("execution.key-invalid", "an idempotency key is printable ASCII"))?;
    let bytes = body::read(&headers, body, app.body_limits()).await?;
    let request: ExecuteRequest = if bytes.is_empty() { ExecuteRequest::default() } else { json::read(&bytes)? };
    let patience = request.patience(app.config.request_timeout);
    let start = request.start(id, key, &incoming)?;
    let accepted = app.workflows().start(start).await?.execution;
    let Some(patience) = patience else { return Ok(started(&app, accepted)) };
    let execution = app.workflows().executor().wait(&accepted.id, patience).await?;
    ended(&app, execution)
}

/// The executions of a workflow, the newest first.
#[utoipa::path(
    get,
    path = "/api/workflows/{id}/executions",
    tag = "workflows",
    operation_id = "listExecutionsOfWorkflow",
    params(
        ("id" = String, Path, description = "The workflow's id or name"),
        ("status" = Option<String>, Query, description = "Only those with this status"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the executions", body = PageBody<ExecutionBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn executions(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["status", page, per_page])?;
    let workflow = app.workflows().get(&id, None).await?;
    super::executions::page_of(&app, &query, Some(workflow.id)).await
}

fn strict(uri: &Uri) -> Result<bool, Failure> {
    Ok(Query::of(uri, &["strict"])?.parsed("strict")?.unwrap_or(false))
}

/// An answer with its path.
pub(crate) fn located(status: StatusCode, location: &str, body: &impl Serialize) -> Response {
    let mut response = (status, json::answer(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

impl ExecuteRequest {
    /// How long to wait for the end, if at all.
    fn patience(&self, most: Duration) -> Option<Duration> {
        let wanted = self.wait_timeout_ms.map_or(most, Duration::from_millis).min(most);
        self.wait.unwrap_or(true).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

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
    fn a_definition_is_described_with_the_fields_that_it_has() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let described = document["components"]["schemas"]["WorkflowDefinition"]["properties"].as_object().unwrap();
        let known: Map<String, Value> = described.clone().into_iter().filter(|(name, _)| name != "status").collect();
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        for name in ["name", "description", "steps", "input_schema", "output", "timeout_ms", "metadata"] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(names.len(), 7);
    }
}
