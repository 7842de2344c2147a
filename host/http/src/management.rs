//! Who may change the service (plugins, flags, breakers, the registry) and read what its sidecars write: by default only a process on this
//! machine that speaks to the service itself.

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use breakwater_core::{Failure, FailureKind};

use crate::app::App;
use crate::body::{self, BodyLimits};
use crate::incoming::Incoming;
use crate::json::{self, BodyKind, Known};
use crate::problem::Refusal;

/// The largest body of a change other than a plugin, in bytes.
const MAX_BODY: u64 = 1 << 20;

/// Headers that a reverse proxy adds: behind one, every client looks local.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Lets a change pass.
///
/// # Errors
/// `http.management-denied` from another machine, through a proxy, or from a web page (a browser sends `Origin` with every form it
/// posts, and such a form could otherwise reach a service on the same machine).
pub(crate) fn allow(app: &App, incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    if app.config.remote_management { Ok(()) } else { local(incoming, headers) }
}

/// A change that may pass, for handlers that need nothing else of who asks. Fails as [`allow`] does.
pub(crate) struct Allowed;

impl FromRequestParts<App> for Allowed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let incoming = Extension::<Incoming>::from_request_parts(parts, app).await;
        let Extension(incoming) = incoming.map_err(|_| Failure::internal("a request has not been observed"))?;
        allow(app, &incoming, &parts.headers)?;
        Ok(Self)
    }
}

/// Lets a change of the registry pass: services on other machines may register where the operator says so.
///
/// # Errors
/// As [`allow`].
pub(crate) fn allow_registration(app: &App, incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    if app.config.remote_registry { Ok(()) } else { allow(app, incoming, headers) }
}

/// Lets a change of products pass: an application on another machine may make it where the operator says so, but never a web page that is
/// not allowed to call the service. A browser sends a form without asking first.
///
/// # Errors
/// As [`allow`].
pub(crate) fn allow_products(app: &App, incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    if !app.config.remote_products && !app.config.remote_management {
        return local(incoming, headers);
    }
    if app.cors.admits(headers) {
        return Ok(());
    }
    Err(denied("products are not changed from a web page of another origin, unless the configuration allows that origin"))
}

/// Reads the JSON of a change.
///
/// # Errors
/// `http.unsupported-media-type`, and what [`body::read`] and [`json::read`] fail with.
pub(crate) async fn read<T: Known>(app: &App, headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    BodyKind::require_json(headers)?;
    json::read(&body::read(headers, body, bounded(app.body_limits())).await?)
}

/// Reads the body of a change.
///
/// # Errors
/// What [`body::read`] fails with.
pub(crate) async fn bytes(app: &App, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, Failure> {
    body::read(headers, body, bounded(app.body_limits())).await
}

/// Reads the JSON of a change that may have no body at all.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_optional<T: Known + Default>(app: &App, headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    json::read_optional(headers, &bytes(app, headers, body).await?)
}

/// Reads a JSON object whose fields the use case knows.
///
/// # Errors
/// `http.unsupported-media-type`, `request.json-invalid`, and what [`body::read`] fails with.
pub(crate) async fn object(app: &App, headers: &HeaderMap, body: Body) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    BodyKind::require_json(headers)?;
    json::object(&body::read(headers, body, bounded(app.body_limits())).await?)
}

fn bounded(limits: BodyLimits) -> BodyLimits {
    BodyLimits { max_bytes: limits.max_bytes.min(MAX_BODY), ..limits }
}

fn local(incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    if !incoming.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return Err(denied("the service is managed from the machine it runs on, unless remote management is switched on"));
    }
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Err(denied("the service is not managed through a proxy, unless remote management is switched on"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(denied("the service is not managed from a web page, unless remote management is switched on"));
    }
    Ok(())
}

fn denied(message: &str) -> Failure {
    Failure::new(FailureKind::Denied, "http.management-denied", message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_telemetry::Tracer;

    use crate::incoming::Peer;

    use super::*;

    #[test]
    fn only_this_machine_itself_may_change_the_service() {
        for (peer, header, allowed) in [
            (Some("127.0.0.1:5"), None, true),
            (Some("[::1]:5"), None, true),
            (Some("[::ffff:127.0.0.1]:5"), None, true),
            (Some("10.0.0.1:5"), None, false),
            (None, None, false),
            (Some("127.0.0.1:5"), Some("x-forwarded-for"), false),
            (Some("127.0.0.1:5"), Some("origin"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(name) = header {
                headers.insert(name, "http://somewhere".parse().unwrap());
            }
            let incoming = Incoming::of(&headers, peer.map(|peer| Peer(peer.parse().unwrap())), &Tracer::disabled());
            let result = local(&incoming, &headers);
            assert_eq!(result.is_ok(), allowed, "{peer:?} {header:?}");
        }
    }

    #[tokio::test]
    async fn a_change_has_at_most_a_mebibyte_or_less_where_bodies_do() {
        let limits = |max_bytes| BodyLimits { max_bytes, idle: Duration::from_secs(1), total: Duration::from_secs(1) };
        let read = async |size: u64, limits| {
            let body = Body::from(vec![b' '; usize::try_from(size).unwrap()]);
            body::read(&HeaderMap::new(), body, bounded(limits)).await.map(|bytes| bytes.len() as u64).map_err(|failure| failure.code)
        };
        assert_eq!(read(MAX_BODY, limits(u64::MAX)).await, Ok(MAX_BODY));
        assert_eq!(read(MAX_BODY + 1, limits(u64::MAX)).await.unwrap_err(), "http.body-too-large");
        assert_eq!(read(11, limits(10)).await.unwrap_err(), "http.body-too-large");
    }
}
