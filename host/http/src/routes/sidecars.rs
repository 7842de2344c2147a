//! `/v1/sidecars`: how the local processes are that the host looks after, and steering them.

use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::sidecar_body::SidecarBody;
use super::sidecar_view;
use crate::app::App;
use crate::incoming::Incoming;
use crate::json;
use crate::management;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// Every local process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sidecars)]
pub(crate) struct SidecarsBody {
    /// By name.
    sidecars: Vec<SidecarBody>,
}

/// Every local process that is configured, and how it is. Errors are told whole to those who may steer it (from this machine, unless remote
/// management is switched on); others get type, message and time.
#[utoipa::path(
    get,
    path = "/v1/sidecars",
    tag = "sidecars",
    operation_id = "listSidecars",
    responses(
        (status = 200, description = "Every sidecar", body = SidecarsBody, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let seen = sidecar_view::for_caller(&app, &incoming, &headers);
    let sidecars = app.operations().sidecar_statuses().into_iter().map(|status| SidecarBody::from(seen(status)));
    Ok(json::answer(&SidecarsBody { sidecars: sidecars.collect() }))
}

/// One local process, and how it is. Errors are told as in the list.
#[utoipa::path(
    get,
    path = "/v1/sidecars/{name}",
    tag = "sidecars",
    operation_id = "getSidecar",
    params(("name" = String, Path, description = "The sidecar's name")),
    responses(
        (status = 200, description = "The sidecar", body = SidecarBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let seen = sidecar_view::for_caller(&app, &incoming, &headers);
    Ok(json::answer(&SidecarBody::from(seen(app.operations().sidecar_status(&name)?))))
}

/// Starts every instance that does not run, and answers once each is ready, has failed, or waits for another sidecar, as its state says. One
/// that gave up begins anew. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/sidecars/{name}/start",
    tag = "sidecars",
    operation_id = "startSidecar",
    params(("name" = String, Path, description = "The sidecar's name")),
    responses(
        (status = 200, description = "Every instance is ready, or waits for another sidecar", body = SidecarBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "An instance did not become ready; `details` says why", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&SidecarBody::from(app.operations().start_sidecar(&name).await?)))
}

/// Ends every instance after the calls that run at it, and answers once nothing of it runs. From this machine only, unless remote
/// management is switched on.
#[utoipa::path(
    post,
    path = "/v1/sidecars/{name}/stop",
    tag = "sidecars",
    operation_id = "stopSidecar",
    params(("name" = String, Path, description = "The sidecar's name")),
    responses(
        (status = 200, description = "Nothing of it runs", body = SidecarBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar, or it is refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn stop(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&SidecarBody::from(app.operations().stop_sidecar(&name).await?)))
}

/// Ends and starts every instance at once, and answers once each is ready or has failed. From this machine only, unless remote management
/// is switched on.
#[utoipa::path(
    post,
    path = "/v1/sidecars/{name}/restart",
    tag = "sidecars",
    operation_id = "restartSidecar",
    params(("name" = String, Path, description = "The sidecar's name")),
    responses(
        (status = 200, description = "Every instance is ready again", body = SidecarBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "An instance did not become ready; `details` says why", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn restart(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&SidecarBody::from(app.operations().restart_sidecar(&name).await?)))
}

/// Ends and starts one instance after the other, each after the calls that run at it, the next only once the one before is ready again.
/// From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/sidecars/{name}/rolling-restart",
    tag = "sidecars",
    operation_id = "rollingRestartSidecar",
    params(("name" = String, Path, description = "The sidecar's name")),
    responses(
        (status = 200, description = "Every instance is ready again", body = SidecarBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such sidecar, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "An instance did not become ready, and those after it go on as they were; `details` says why",
            body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn rolling_restart(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&SidecarBody::from(app.operations().rolling_restart_sidecar(&name).await?)))
}
