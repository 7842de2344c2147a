//! Requests for which there is no route here: those below a sidecar's prefix are passed through to it, by way of its upstream.

use axum::body::{Body, HttpBody as _};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::{Body as Content, Failure, FailureKind, Method, OutboundRequest, OutboundResponse};
use breakwater_operations::sidecars::{Route, SidecarStatus};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::pass_through_headers::headers;
use super::sidecar_health::BridgeStatus;
use super::sidecar_view::for_anybody;
use crate::app::App;
use crate::body::{self, BodyError, BodyLimits};
use crate::incoming::Incoming;
use crate::json;
use crate::observe::{self, PassedThrough};
use crate::problem::Refusal;

/// Bodies up to this many bytes are read before they are passed on, so that they can be sent again; larger ones are passed on as they come.
const MAX_KEPT: u64 = 64 << 10;

/// What is said of the kind of error while there is none.
const NO_KIND: &str = "UNKNOWN";
/// What is said while it is not ready and there is no error.
const NO_MESSAGE: &str = "Service is starting or encountered an error";

/// That nobody answers, as clients of the process bridge know it.
#[derive(Debug, Serialize)]
struct UnavailableBody {
    error: String,
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
    status: BridgeStatus,
}

/// Passes a request through to the sidecar whose prefix its path begins with; without one, there is nothing at the path.
pub(crate) async fn pass_through(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    request: Request,
) -> Result<Response, Refusal> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let Some(route) = app.operations().sidecar_route(target) else { return Err(observe::no_such_route().await) };
    let passed = PassedThrough { sidecar: route.sidecar.clone() };
    let mut response = answer(&app, &incoming, route, request).await.unwrap_or_else(|failure| Refusal(failure).into_response());
    response.extensions_mut().insert(passed);
    Ok(response)
}

async fn answer(app: &App, incoming: &Incoming, route: Route, request: Request) -> Result<Response, Failure> {
    let sidecar = route.sidecar.clone();
    let request = outbound(request, incoming, app.body_limits()).await?;
    let context = incoming.context(app.config.request_timeout);
    match app.operations().pass_through(&context, route, request).await {
        Ok(answer) => Ok(passed_back(answer)),
        Err(failure) if is_without_answer(&failure) => {
            let (code, correlation_id) = (&*failure.code, &incoming.correlation_id);
            tracing::debug!(sidecar, code, %correlation_id, error = %failure.chain(), "a sidecar gave no answer");
            Ok(unavailable(app.operations().sidecar_status(&sidecar)?, &failure))
        }
        Err(failure) => Err(failure),
    }
}

/// The request as it is sent on. Its path is the route's business.
async fn outbound(request: Request, incoming: &Incoming, limits: BodyLimits) -> Result<OutboundRequest, Failure> {
    let (parts, body) = request.into_parts();
    if leads_upwards(parts.uri.path()) {
        return Err(Failure::invalid("http.path-invalid", "a path with `.` or `..` is not passed on: it would lead elsewhere"));
    }
    let Some(method) = method(&parts.method) else { return Err(observe::no_such_method().await.0) };
    let (content, length) = content(&parts.headers, body, limits).await?;
    Ok(OutboundRequest {
        headers: headers(&parts.headers, incoming),
        body: content,
        length,
        own_credentials: true,
        stream_response: true,
        any_status: true,
        answer_is_final: true,
        ..OutboundRequest::new(method, "/")
    })
}

/// Whether a path could leave the prefix that it begins with, once somebody resolves it (RFC 3986, 5.2.4). The WHATWG's URL standard also
/// takes `%2e` for a dot and `\` for a slash; some servers decode a slash before, and cut parameters off a segment (`..;a=b`).
fn leads_upwards(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    for (written, meant) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/"), ("%3b", ";")] {
        path = path.replace(written, meant);
    }
    path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

fn method(method: &axum::http::Method) -> Option<Method> {
    use Method::{Delete, Get, Head, Options, Patch, Post, Put};
    [Get, Head, Post, Put, Patch, Delete, Options].into_iter().find(|known| known.name() == method.as_str())
}

/// The content, and its length if it is announced and the content is passed on as it comes.
async fn content(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<(Content, Option<u64>), Failure> {
    if body.is_end_stream() {
        return Ok((Content::empty(), None));
    }
    let length = body.size_hint().exact();
    match length {
        Some(length) if length > limits.max_bytes => Err(BodyError::TooLarge(limits.max_bytes).into()),
        Some(length) if length <= MAX_KEPT => Ok((body::read(headers, body, limits).await?.into(), None)),
        _ => Ok((Content::Stream(body::guarded(headers, body, limits).map_err(Failure::from).boxed()), length)),
    }
}

/// The answer as it is passed back.
fn passed_back(answer: OutboundResponse) -> Response {
    let body = match answer.body {
        Content::Bytes(bytes) => Body::from(bytes),
        Content::Stream(pieces) => Body::from_stream(pieces),
        // Only requests are forms.
        Content::Form(_) => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Whether the sidecar gave no answer; otherwise the request is wrong, or the answer cannot be passed on.
fn is_without_answer(failure: &Failure) -> bool {
    // What is wrong with the body on its way here is the client's doing, also if it comes too slowly.
    if failure.code.starts_with("http.") {
        return false;
    }
    match failure.kind {
        FailureKind::Unavailable
        | FailureKind::Timeout
        | FailureKind::CircuitOpen
        | FailureKind::BudgetExhausted
        | FailureKind::Rejected
        | FailureKind::NotFound => true,
        FailureKind::Limit => failure.code.ends_with(".overloaded"),
        FailureKind::InvalidRequest | FailureKind::Denied | FailureKind::Internal | FailureKind::Other => false,
    }
}

fn unavailable(status: SidecarStatus, failure: &Failure) -> Response {
    let retry_after = failure.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).div_ceil(1000));
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, json::answer(&unavailable_body(status, failure))).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn unavailable_body(status: SidecarStatus, failure: &Failure) -> UnavailableBody {
    // The newest error of one that is ready is over, and not why this request got no answer.
    let error = status.last_error.as_ref().filter(|_| !status.ready);
    let without_error = || if status.ready { while_ready(failure) } else { NO_MESSAGE };
    UnavailableBody {
        error: format!("{} service unavailable", status.name),
        kind: error.map_or(NO_KIND, |error| error.kind.name()),
        message: error.map_or_else(|| without_error().to_owned(), |error| error.message.clone()),
        status: for_anybody(status).into(),
    }
}

/// Why one that is ready gave no answer, in a sentence for anybody.
fn while_ready(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Timeout => "Service did not answer in time",
        FailureKind::CircuitOpen => "Service failed too often lately and is left alone for a moment",
        FailureKind::Limit | FailureKind::BudgetExhausted => "Service is overloaded",
        _ => "Service is ready but gave no answer",
    }
}

#[cfg(test)]
#[path = "pass_through_tests.rs"]
mod tests;
