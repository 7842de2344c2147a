//! `/api/services`: services that somebody defines, with their actions.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use breakwater_operations::actions::{ServiceDraft, ServicePatch};

use super::service_body::{ServiceBody, ServiceChangeBody, ServiceRequestBody};
use crate::app::App;
use crate::caller;
use crate::incoming::Incoming;
use crate::json;
use crate::management;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;
use crate::wire::RemovedBody;

/// The services that were defined, the oldest first.
#[utoipa::path(
    get,
    path = "/api/services",
    tag = "integration",
    operation_id = "listDefinedServices",
    params(
        ("status" = Option<String>, Query, description = "Only services of this status: `ACTIVE`, `INACTIVE` or `ARCHIVED`"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the services", body = PageBody<ServiceBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["status", page, per_page])?;
    let page = Page::of(&query)?;
    let services = app.operations().defined_services(query.parsed("status")?);
    Ok(json::answer(&page.cut::<_, ServiceBody>(services)))
}

/// Defines a service. Its actions are operations called `service.action` from then on. The service that was defined under the same idempotency
/// key is the answer as it is now, so that whoever was not answered may ask again. From this machine only, unless remote management or remote
/// registration is switched on.
#[utoipa::path(
    post,
    path = "/api/services",
    tag = "integration",
    operation_id = "defineService",
    params(("Idempotency-Key" = Option<String>, Header, description = "Defining twice is defining once; 1 to 255 printable ASCII characters")),
    request_body(content = ServiceRequestBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It is there", body = ServiceBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the service"))),
        (status = "4XX", description = "The definition is wrong or refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    let key = caller::idempotency_key(&headers)?;
    let draft: ServiceDraft = management::read(&app, &headers, body).await?;
    let service = app.operations().define_service(draft, key).await?;
    let location = format!("/api/services/{}", service.definition.id);
    Ok(json::located(StatusCode::CREATED, &location, &ServiceBody::from(service)))
}

/// One service.
#[utoipa::path(
    get,
    path = "/api/services/{id}",
    tag = "integration",
    operation_id = "getDefinedService",
    params(("id" = String, Path, description = "The service's id or name")),
    responses(
        (status = 200, description = "The service", body = ServiceBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such service", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&ServiceBody::from(app.operations().defined_service(&id)?)))
}

/// Changes what is given of a service; the rest stays. From where it may be defined.
#[utoipa::path(
    put,
    path = "/api/services/{id}",
    tag = "integration",
    operation_id = "updateDefinedService",
    params(("id" = String, Path, description = "The service's id or name")),
    request_body(content = ServiceChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The service", body = ServiceBody, content_type = "application/json"),
        (status = "4XX", description = "The change is wrong or refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn update(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    let patch: ServicePatch = management::read(&app, &headers, body).await?;
    Ok(json::answer(&ServiceBody::from(app.operations().change_service(&id, patch).await?)))
}

/// The same as `PUT`: what is given changes, the rest stays.
#[utoipa::path(
    patch,
    path = "/api/services/{id}",
    tag = "integration",
    operation_id = "patchDefinedService",
    params(("id" = String, Path, description = "The service's id or name")),
    request_body(content = ServiceChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The service", body = ServiceBody, content_type = "application/json"),
        (status = "4XX", description = "The change is wrong or refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn patch(
    app: State<App>,
    incoming: Extension<Incoming>,
    id: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    update(app, incoming, id, headers, body).await
}

/// Takes a service out. Calls that run go on. From where it may be defined.
#[utoipa::path(
    delete,
    path = "/api/services/{id}",
    tag = "integration",
    operation_id = "removeDefinedService",
    params(("id" = String, Path, description = "The service's id or name")),
    responses(
        (status = 200, description = "It is gone", body = RemovedBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such service, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be removed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    let gone = app.operations().remove_service(&id).await?;
    Ok(json::answer(&RemovedBody::of(&gone.definition.id)))
}
