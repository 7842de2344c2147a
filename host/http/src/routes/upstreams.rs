//! `/v1/upstreams`: how the services elsewhere are, and their breakers.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::services::BreakerCommand;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::upstream_body::{CheckBody, UpstreamBody};
use crate::app::App;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::management;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::each;

/// Every service elsewhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upstreams)]
pub(crate) struct UpstreamsBody {
    /// By name.
    upstreams: Vec<UpstreamBody>,
}

/// What to do with a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakerAction {
    /// Close it and forget what it counted; also ends `open` and `close`.
    Reset,
    /// Refuse every call until it is reset.
    Open,
    /// Let every call pass until it is reset.
    Close,
}

/// What to do with a breaker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerRequest {
    /// `reset`, `open` or `close`.
    action: BreakerAction,
}

impl Known for BreakerRequest {
    const FIELDS: &'static [&'static str] = &["action"];
}

/// Every service elsewhere that is configured or registered, and how it is.
#[utoipa::path(
    get,
    path = "/v1/upstreams",
    tag = "upstreams",
    operation_id = "listUpstreams",
    responses(
        (status = 200, description = "Every upstream", body = UpstreamsBody, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&UpstreamsBody { upstreams: each(app.operations().upstream_statuses()) }))
}

/// One service elsewhere, and how it is.
#[utoipa::path(
    get,
    path = "/v1/upstreams/{name}",
    tag = "upstreams",
    operation_id = "getUpstream",
    params(("name" = String, Path, description = "The upstream's name")),
    responses(
        (status = 200, description = "The upstream", body = UpstreamBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such upstream", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&UpstreamBody::from(app.operations().upstream_status(&name)?)))
}

/// Holds a breaker open or closed, or lets it go. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/upstreams/{name}/breaker",
    tag = "upstreams",
    operation_id = "controlBreaker",
    params(("name" = String, Path, description = "The upstream's name")),
    request_body(content = BreakerRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "How the upstream is now", body = UpstreamBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such upstream, or it is refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn breaker(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let request: BreakerRequest = management::read(&app, &headers, body).await?;
    let command = match request.action {
        BreakerAction::Reset => BreakerCommand::Reset,
        BreakerAction::Open => BreakerCommand::Open,
        BreakerAction::Close => BreakerCommand::Close,
    };
    Ok(json::answer(&UpstreamBody::from(app.operations().control_breaker(&name, command)?)))
}

/// Begins anew with a service elsewhere: closes its breaker, forgets what it counted, and checks every endpoint now. From this machine
/// only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/upstreams/{name}/reset",
    tag = "upstreams",
    operation_id = "resetUpstream",
    params(("name" = String, Path, description = "The upstream's name")),
    responses(
        (status = 200, description = "How the upstream is now", body = UpstreamBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such upstream, or it is refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn reset(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&UpstreamBody::from(app.operations().reset_upstream(&name).await?)))
}

/// Checks every endpoint of a service elsewhere now. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/upstreams/{name}/check",
    tag = "upstreams",
    operation_id = "checkUpstream",
    params(("name" = String, Path, description = "The upstream's name")),
    responses(
        (status = 200, description = "What each endpoint answered", body = CheckBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such upstream, or it is refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn check(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    Ok(json::answer(&CheckBody::from(app.operations().check_upstream(&name).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_one_of_three() {
        let read = |text: &str| json::read::<BreakerRequest>(text.as_bytes()).map_err(|failure| failure.code.into_owned());
        for (text, action) in [("reset", BreakerAction::Reset), ("open", BreakerAction::Open), ("close", BreakerAction::Close)] {
            assert_eq!(read(&format!(r#"{{"action":"{text}"}}"#)).unwrap().action, action);
        }
        assert_eq!(read(r#"{"action":"explode"}"#).unwrap_err(), "request.field-invalid");
        assert_eq!(read(r#"{"actoin":"open"}"#).unwrap_err(), "request.unknown-field");
        assert_eq!(read("{}").unwrap_err(), "request.field-invalid");
    }
}
