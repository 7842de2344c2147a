//! What went wrong with an attempt, what may be done about it, and what the caller hears of it.

use std::error::Error;
use std::time::{Duration, SystemTime};

use breakwater_core::{Effect, Failure, FailureKind};
use breakwater_resilience::{AttemptFailure, FailureClass};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::guard::AddressDenied;

/// The code of an answer whose status is 400 or more.
pub(crate) const STATUS: &str = "upstream.status";
/// The most of such an answer's content that is kept, in bytes.
pub const MAX_ERROR_BODY: usize = 8 * 1024;
/// The longest `error_code` that is kept, in characters.
const MAX_ERROR_CODE: usize = 128;

/// Names an upstream as the origin of failures.
pub(crate) fn origin(upstream: &str) -> String {
    format!("upstream:{upstream}")
}

fn failed(class: FailureClass, effect: Effect, mut failure: Failure) -> AttemptFailure {
    failure.effect = effect;
    AttemptFailure { failure, class }
}

/// Nothing was sent: no connection, no name, no certificate to trust.
pub(crate) fn unreachable(upstream: &str, error: impl Error + Send + Sync + 'static) -> AttemptFailure {
    let message = format!("`{upstream}` could not be reached");
    let failure = Failure::new(FailureKind::Unavailable, "upstream.connection", message).caused_by(error);
    failed(FailureClass::Connection, Effect::None, failure)
}

/// The connection ended, or what came over it was no HTTP, before the whole answer was there.
pub(crate) fn broken(upstream: &str, doubt: Effect, error: impl Error + Send + Sync + 'static) -> AttemptFailure {
    let message = format!("the connection to `{upstream}` broke before its whole answer was there");
    let failure = Failure::new(FailureKind::Unavailable, "upstream.connection", message).caused_by(error);
    failed(FailureClass::Connection, doubt, failure)
}

/// No answer, or not all of it, in time.
pub(crate) fn late(upstream: &str, effect: Effect) -> AttemptFailure {
    failed(FailureClass::Timeout, effect, timeout(upstream))
}

/// `upstream.timeout`.
pub(crate) fn timeout(upstream: &str) -> Failure {
    Failure::new(FailureKind::Timeout, "upstream.timeout", format!("`{upstream}` did not answer in time"))
}

/// Every connection that the upstream may have is taken, by answers that are still being read.
pub(crate) fn no_connection(upstream: &str) -> AttemptFailure {
    let message = format!("every connection that `{upstream}` may have is taken");
    failed(FailureClass::Client, Effect::None, Failure::new(FailureKind::Unavailable, "upstream.overloaded", message))
}

/// The answer is larger than anybody wants it. Asking again would not make it smaller.
pub(crate) fn too_large(upstream: &str, done: Effect, limit: u64) -> AttemptFailure {
    let message = format!("the answer of `{upstream}` is larger than {limit} bytes");
    let failure = Failure::limit("upstream.response-too-large", message).with_detail(json!({ "limit": limit }));
    failed(FailureClass::Client, done, failure)
}

/// What the caller's own part of the exchange did wrong.
pub(crate) fn of_caller(failure: Failure) -> AttemptFailure {
    AttemptFailure { failure, class: FailureClass::Client }
}

/// What an error of the client means. `doubt` is what may have happened once anything was sent.
pub(crate) fn of_client(upstream: &str, doubt: Effect, error: reqwest::Error) -> AttemptFailure {
    // The URL holds the query, which is the caller's.
    let error = error.without_url();
    if find::<AddressDenied>(&error).is_some() {
        return of_caller(url_denied("the host's address is not one that callers may reach"));
    }
    if let Some(failure) = find::<Failure>(&error) {
        // The caller's stream of content failed in the middle.
        return failed(FailureClass::Client, doubt, failure.clone());
    }
    if error.is_builder() {
        return of_caller(crate::request::invalid("the request cannot be sent as it is").caused_by(error));
    }
    if error.is_connect() || error.is_dns() { unreachable(upstream, error) } else { broken(upstream, doubt, error) }
}

/// `upstream.url-denied`.
pub(crate) fn url_denied(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Denied, "upstream.url-denied", message)
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Which class an answer belongs to; `None` for one that is no failure.
pub(crate) fn class_of(status: StatusCode) -> Option<FailureClass> {
    match status.as_u16() {
        408 => Some(FailureClass::Timeout),
        429 => Some(FailureClass::Throttled),
        500.. => Some(FailureClass::ServerError),
        400..500 => Some(FailureClass::Client),
        _ => None,
    }
}

/// An answer of status 400 or more. `body` is its beginning, without any secret of ours.
pub(crate) fn of_status(
    upstream: &str,
    class: FailureClass,
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    doubt: Effect,
) -> AttemptFailure {
    let kind = match status.as_u16() {
        400 | 422 => FailureKind::InvalidRequest,
        404 => FailureKind::NotFound,
        _ => FailureKind::Rejected,
    };
    let mut failure = Failure::new(kind, STATUS, format!("`{upstream}` answered with status {}", status.as_u16()));
    failure.retryable = class != FailureClass::Client;
    failure.retry_after = retry_after(headers, SystemTime::now()).filter(|_| failure.retryable);
    let mut detail = Map::new();
    detail.insert("status".into(), status.as_u16().into());
    if let Some(code) = error_code(body) {
        detail.insert("error_code".into(), code.into());
    }
    detail.insert("body".into(), body.into());
    // The upstream refused what it understood to be wrong; of a failure on its own side nobody knows how far it got.
    let effect = if class == FailureClass::ServerError { doubt } else { Effect::None };
    failed(class, effect, failure.with_detail(Value::Object(detail)))
}

/// The code that a service gives its error, where services usually put it.
fn error_code(body: &str) -> Option<String> {
    let document: Value = serde_json::from_str(body).ok()?;
    let within = [Some(&document), document.get("error"), document.get("detail")];
    let codes = within.into_iter().flatten().flat_map(|object| ["error_code", "errorCode", "code"].map(|name| object.get(name)));
    codes.flatten().find_map(Value::as_str).map(|code| code.chars().take(MAX_ERROR_CODE).collect())
}

/// When to try again (RFC 9110, 10.2.3): seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// What the mechanisms around the attempts say, in the words of upstreams.
pub(crate) fn of_pipeline(upstream: &str, mut failure: Failure) -> Failure {
    let (code, message) = match &*failure.code {
        "breaker.open" => ("upstream.circuit-open", format!("`{upstream}` failed too often lately and is left alone for a while")),
        "bulkhead.full" | "load.shed" => ("upstream.overloaded", format!("too many calls of `{upstream}` are under way")),
        "bulkhead.deadline" => ("upstream.timeout", format!("the call's time ended while it waited for its turn at `{upstream}`")),
        "call.deadline" | "call.attempt-timeout" => ("upstream.timeout", format!("`{upstream}` did not answer in time")),
        "endpoint.none" => ("upstream.no-endpoint", format!("no endpoint of `{upstream}` is known and in service")),
        "retry.exhausted" => ("upstream.max-retries-exceeded", format!("`{upstream}` failed as often as it may be tried")),
        _ => return failure.from_origin(origin(upstream)),
    };
    failure.code = code.into();
    failure.message = message;
    failure.from_origin(origin(upstream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, headers: &[(&str, &str)], body: &str) -> AttemptFailure {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect();
        let status = StatusCode::from_u16(status).unwrap();
        of_status("images", class_of(status).unwrap(), status, &headers, body, Effect::Unknown)
    }

    #[test]
    fn a_status_is_classified() {
        let expect = [
            (400, FailureClass::Client, FailureKind::InvalidRequest, false, Effect::None),
            (401, FailureClass::Client, FailureKind::Rejected, false, Effect::None),
            (404, FailureClass::Client, FailureKind::NotFound, false, Effect::None),
            (408, FailureClass::Timeout, FailureKind::Rejected, true, Effect::None),
            (422, FailureClass::Client, FailureKind::InvalidRequest, false, Effect::None),
            (429, FailureClass::Throttled, FailureKind::Rejected, true, Effect::None),
            (500, FailureClass::ServerError, FailureKind::Rejected, true, Effect::Unknown),
            (503, FailureClass::ServerError, FailureKind::Rejected, true, Effect::Unknown),
            (999, FailureClass::ServerError, FailureKind::Rejected, true, Effect::Unknown),
        ];
        for (code, class, kind, retryable, effect) in expect {
            let AttemptFailure { failure, class: found } = status(code, &[], "");
            assert_eq!((found, failure.kind, failure.retryable, failure.effect), (class, kind, retryable, effect), "{code}");
            assert_eq!(failure.code, STATUS);
        }
        for code in [100, 200, 204, 302, 399] {
            assert_eq!(class_of(StatusCode::from_u16(code).unwrap()), None, "{code}");
        }
    }

    #[test]
    fn the_services_own_code_is_found_where_services_put_it() {
        for body in [
            r#"{"error_code": "NO_FACE", "message": "x"}"#,
            r#"{"errorCode": "NO_FACE"}"#,
            r#"{"error": {"code": "NO_FACE"}}"#,
            r#"{"detail": {"error_code": "NO_FACE"}}"#,
        ] {
            assert_eq!(status(500, &[], body).failure.detail.unwrap()["error_code"], "NO_FACE", "{body}");
        }
        for body in ["<html>", "[]", r#"{"code": 7}"#, r#"{"detail": "not found"}"#] {
            let detail = status(500, &[], body).failure.detail.unwrap();
            assert_eq!((detail.get("error_code"), &detail["body"], &detail["status"]), (None, &json!(body), &json!(500)));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let after = |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
        assert_eq!(status(503, &[("retry-after", "7")], "").failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(status(403, &[("retry-after", "7")], "").failure.retry_after, None);
    }

    #[test]
    fn the_mechanisms_codes_become_the_upstreams() {
        for (from, to) in [
            ("breaker.open", "upstream.circuit-open"),
            ("bulkhead.full", "upstream.overloaded"),
            ("load.shed", "upstream.overloaded"),
            ("bulkhead.deadline", "upstream.timeout"),
            ("call.deadline", "upstream.timeout"),
            ("call.attempt-timeout", "upstream.timeout"),
            ("endpoint.none", "upstream.no-endpoint"),
            ("retry.exhausted", "upstream.max-retries-exceeded"),
            ("upstream.status", "upstream.status"),
        ] {
            let failure = of_pipeline("images", Failure::new(FailureKind::Unavailable, from, "x").retry_after(Duration::from_secs(3)));
            assert_eq!(failure.code, to);
            assert_eq!((failure.origin.as_deref(), failure.retry_after), (Some("upstream:images"), Some(Duration::from_secs(3))));
        }
    }
}
