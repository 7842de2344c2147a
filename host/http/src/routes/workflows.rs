//! `/api/workflows`: definitions, their versions, and starting them.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use breakwater_core::Failure;
use breakwater_operations::workflows::Workflow;
use serde_json::Value;

use super::execution_body::{ExecuteRequest, ExecutionBody, ended, started};
use super::workflow_body::{DefinitionBody, ReportBody, WorkflowBody, change, status};
use crate::app::App;
use crate::body;
use crate::caller;
use crate::incoming::Incoming;
use crate::json;
use crate::management::{self, Allowed};
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;
use crate::wire::RemovedBody;

/// Names the execution that an answer is of.
pub(crate) const EXECUTION_ID: &str = "x-execution-id";

/// Stores a workflow. Steps may name services that are not registered yet: those are warnings, and errors with `strict=true`. The
/// workflow that was stored under the same idempotency key is the answer as it is now, so that whoever was not answered may ask again. From this
/// machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/api/workflows",
    tag = "workflows",
    operation_id = "createWorkflow",
    params(
        ("strict" = Option<bool>, Query, description = "Whether services that are not registered are errors; false when absent"),
        ("Idempotency-Key" = Option<String>, Header, description = "Storing twice is storing once; 1 to 255 printable ASCII characters")
    ),
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
    let key = caller::idempotency_key(&headers)?;
    let document = Value::Object(management::object(&app, &headers, body).await?);
    let stored = app.workflows().create(&document, strict, key.as_deref()).await?;
    let location = format!("/api/workflows/{}", stored.workflow.id);
    Ok(json::located(StatusCode::CREATED, &location, &WorkflowBody::from(stored)))
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
        (status = 200, description = "It is gone", body = RemovedBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be removed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(_: Allowed, State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(json::answer(&RemovedBody::of(app.workflows().remove(&id).await?)))
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
    let request: ExecuteRequest = json::read_optional(&headers, &body::read(&headers, body, app.body_limits()).await?)?;
    let patience = request.patience(app.config.request_timeout);
    let start = request.start(id, &headers, &incoming)?;
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

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

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
