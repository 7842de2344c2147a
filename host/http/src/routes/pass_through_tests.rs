//! What goes to a sidecar and comes back, without one.

use std::time::Duration;

use breakwater_telemetry::Tracer;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::super::sidecar_body::tests::{sample, stopped};
use super::*;

const LIMITS: BodyLimits = BodyLimits { max_bytes: 200 << 10, idle: Duration::from_secs(1), total: Duration::from_secs(3) };

async fn bytes_of(content: Content) -> Result<Vec<u8>, Failure> {
    match content {
        Content::Bytes(bytes) => Ok(bytes.to_vec()),
        Content::Stream(pieces) => pieces.try_fold(Vec::new(), async |all, piece| Ok([all, piece.to_vec()].concat())).await,
        Content::Form(_) => panic!("a form"),
    }
}

fn unannounced(length: usize) -> Body {
    Body::from_stream(stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length]))]))
}

#[tokio::test]
async fn every_method_that_can_be_sent_is_passed_on_and_no_other() {
    let send = async |method: &str| {
        let request = Request::builder().method(method).uri("/api/deepfake/x?y=1").body(Body::empty()).unwrap();
        outbound(request, &Incoming::of(&HeaderMap::new(), None, &Tracer::disabled()), LIMITS).await
    };
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = send(method).await.unwrap();
        assert_eq!(request.method.name(), method);
        assert!(request.own_credentials && request.stream_response && request.any_status && request.answer_is_final);
    }
    for method in ["TRACE", "PROPFIND", "get"] {
        assert_eq!(send(method).await.unwrap_err().code, "http.method-not-allowed", "{method}");
    }
}

#[tokio::test]
async fn a_path_cannot_leave_its_prefix() {
    let send = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        outbound(request, &Incoming::of(&HeaderMap::new(), None, &Tracer::disabled()), LIMITS)
            .await
            .map(drop)
            .map_err(|failure| failure.code)
    };
    for path in [
        "/api/..",
        "/api/../admin",
        "/api/%2e%2E/admin",
        "/api/.%2e",
        "/api/./x",
        "/api/%2E",
        "/api/..;/admin",
        "/api/..;a=b/admin",
        "/api/%2e%2e%3Ba=b/admin",
        "/api/..%2fadmin",
        "/api/x%2F..%2F..%2Fadmin",
        "/api/..%5cadmin",
        "/api/..\\admin",
        "/api/x%5C.",
    ] {
        assert_eq!(send(path).await.unwrap_err(), "http.path-invalid", "{path}");
    }
    for path in ["/api/...", "/api/.well-known/x", "/api/a..b", "/api/x?to=/../y", "/api//", "/api/a;v=..", "/api/a%2Fb", "/api/a;b/c"] {
        assert_eq!(send(path).await, Ok(()), "{path}");
    }
}

#[tokio::test]
async fn a_small_body_is_kept_and_a_large_one_streamed_under_its_length() {
    let max_kept = usize::try_from(MAX_KEPT).unwrap();
    for (size, is_kept) in [(1, true), (max_kept, true), (max_kept + 1, false)] {
        let (content, length) = content(&HeaderMap::new(), Body::from(vec![b'x'; size]), LIMITS).await.unwrap();
        assert_eq!((matches!(content, Content::Bytes(_)), length), (is_kept, (!is_kept).then_some(size as u64)), "{size}");
        assert_eq!(bytes_of(content).await.unwrap().len(), size);
    }
    let (content, length) = content(&HeaderMap::new(), unannounced(5), LIMITS).await.unwrap();
    assert_eq!((bytes_of(content).await.unwrap().len(), length), (5, None));
    let (empty, length) = super::content(&HeaderMap::new(), Body::empty(), LIMITS).await.unwrap();
    assert!(matches!(&empty, Content::Bytes(bytes) if bytes.is_empty()) && length.is_none());
}

#[tokio::test]
async fn a_body_over_the_services_limit_is_refused_announced_or_not() {
    let max = usize::try_from(LIMITS.max_bytes).unwrap();
    let refused = content(&HeaderMap::new(), Body::from(vec![0; max + 1]), LIMITS).await.unwrap_err();
    assert_eq!(refused.code, "http.body-too-large");
    let (streamed, _) = content(&HeaderMap::new(), unannounced(max + 1), LIMITS).await.unwrap();
    assert_eq!(bytes_of(streamed).await.unwrap_err().code, "http.body-too-large");
    let (streamed, _) = content(&HeaderMap::new(), unannounced(max), LIMITS).await.unwrap();
    assert_eq!(bytes_of(streamed).await.unwrap().len(), max);
}

#[tokio::test]
async fn an_answer_of_any_status_comes_back_as_it_is() {
    let headers = [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let pieces = stream::iter([Ok(Bytes::from_static(b"no such ")), Ok(Bytes::from_static(b"picture"))]).boxed();
    let response = passed_back(OutboundResponse { status: 404, headers, body: Content::Stream(pieces), attempts: 1 });
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (404, &HeaderValue::from_static("text/plain")));
    assert_eq!(response.headers().get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "no such picture");
}

#[test]
fn nobody_answers_unless_the_request_or_the_answer_is_at_fault() {
    use FailureKind::*;
    for (kind, code, without) in [
        (Unavailable, "upstream.no-endpoint", true),
        (Unavailable, "upstream.connection", true),
        (Timeout, "upstream.timeout", true),
        (CircuitOpen, "upstream.circuit-open", true),
        (Limit, "upstream.overloaded", true),
        (Unavailable, "upstream.max-retries-exceeded", true),
        (Limit, "upstream.response-too-large", false),
        (InvalidRequest, "upstream.request-invalid", false),
        (Limit, "http.body-too-large", false),
        (Timeout, "http.body-timeout", false),
        (Internal, "internal", false),
    ] {
        assert_eq!(is_without_answer(&Failure::new(kind, code, "")), without, "{code}");
    }
}

async fn body_of(response: Response) -> Value {
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn that_nobody_answers_is_said_as_the_process_bridge_said_it() {
    let failure = Failure::new(FailureKind::CircuitOpen, "upstream.circuit-open", "no").retry_after(Duration::from_millis(1500));
    let response = unavailable(SidecarStatus { ready: false, ..sample() }, &failure);
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &HeaderValue::from_static("2")));
    assert_eq!(response.headers()["content-type"], HeaderValue::from_static("application/json"));
    assert_eq!(
        body_of(response).await,
        json!({
            "error": "flask service unavailable",
            "type": "DEPENDENCY_ERROR",
            "message": "Python dependencies not installed: flask",
            "status": {
                "isReady": false,
                "isRestarting": true,
                "restartAttempts": 2,
                "lastError": {
                    "type": "DEPENDENCY_ERROR",
                    "message": "Python dependencies not installed: flask",
                    "at": 1_700_000_000_000_u64,
                },
                "uptime": 9000,
                "lastHealthCheck": 1_700_000_000_500_u64,
            },
        })
    );
}

#[test]
fn an_error_that_is_over_is_not_why_one_that_is_ready_gave_no_answer() {
    use FailureKind::*;
    for (kind, code, message) in [
        (Timeout, "upstream.timeout", "Service did not answer in time"),
        (CircuitOpen, "upstream.circuit-open", "Service failed too often lately and is left alone for a moment"),
        (Limit, "upstream.overloaded", "Service is overloaded"),
        (BudgetExhausted, "upstream.budget-exhausted", "Service is overloaded"),
        (Unavailable, "upstream.connection", "Service is ready but gave no answer"),
    ] {
        let body = serde_json::to_value(unavailable_body(sample(), &Failure::new(kind, code, "inner words"))).unwrap();
        assert_eq!((&body["type"], &body["message"]), (&json!("UNKNOWN"), &json!(message)), "{code}");
        assert_eq!((&body["status"]["isReady"], &body["status"]["lastError"]["type"]), (&json!(true), &json!("DEPENDENCY_ERROR")));
    }
}

#[tokio::test]
async fn without_an_error_the_kind_is_unknown() {
    let response = unavailable(stopped(), &Failure::new(FailureKind::Unavailable, "upstream.no-endpoint", "no"));
    assert_eq!(response.headers().get("retry-after"), None);
    assert_eq!(
        body_of(response).await,
        json!({
            "error": "flask service unavailable",
            "type": "UNKNOWN",
            "message": "Service is starting or encountered an error",
            "status": {
                "isReady": false,
                "isRestarting": false,
                "restartAttempts": 0,
                "lastError": null,
                "uptime": null,
                "lastHealthCheck": null,
            },
        })
    );
}
