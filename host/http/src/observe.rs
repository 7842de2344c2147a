//! Around every request: its name, its log line, its metrics, its span, and the answer to whatever went wrong inside.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use breakwater_core::{Failure, FailureKind};
use breakwater_telemetry::{Metrics, Span, SpanKind, Tracer};
use futures_util::FutureExt;

use crate::dialect;
use crate::incoming::{CORRELATION_HEADER, Incoming, Peer};
use crate::problem::{Problem, Refusal, status_of};

/// Who is told of requests.
#[derive(Debug, Clone)]
pub(crate) struct Observing {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tracer: Arc<Tracer>,
}

/// Marks an answer to a request that was passed through to a sidecar: it is what the sidecar said, or that it said nothing.
#[derive(Debug, Clone)]
pub(crate) struct PassedThrough {
    /// The sidecar's name.
    pub(crate) sidecar: String,
}

/// Names the call, runs it, answers its failures and panics, logs, counts and traces it.
pub(crate) async fn observe(State(observing): State<Observing>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let Observing { metrics, tracer } = observing;
    let incoming = Incoming::of(request.headers(), request.extensions().get::<Peer>().copied(), &tracer);
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    request.extensions_mut().insert(incoming.clone());
    let mut span = span_of(&tracer, &incoming, method, &route);

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Refusal(Failure::internal(format!("a handler panicked: {}", text.unwrap_or("no message")))).into_response()
    });
    let passed = response.extensions_mut().remove::<PassedThrough>();
    if passed.is_none() && is_bare_rejection(&response) {
        response = Refusal(Failure::invalid("http.path-invalid", "the path is not valid percent-encoded UTF-8")).into_response();
    }
    if let Some(Refusal(failure)) = response.extensions_mut().remove::<Refusal>() {
        log_failure(&failure, &incoming);
        // A request that is wrong is no error of the server (OpenTelemetry's conventions for HTTP).
        if status_of(&failure).is_server_error() {
            span.fail(&failure);
        }
        let problem = Problem::of(&failure, &incoming.correlation_id);
        // What the handler said beside the failure, such as which execution it is of.
        let said = std::mem::take(response.headers_mut());
        response = dialect::answer(&route, problem, failure.kind);
        for (name, value) in said.iter().filter(|(name, _)| !response.headers().contains_key(*name)).collect::<Vec<_>>() {
            response.headers_mut().append(name, value.clone());
        }
    }
    // An id is printable ASCII, so it is a valid header.
    if let Ok(value) = HeaderValue::from_str(incoming.correlation_id.as_str()) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }

    let route = passed.map_or(route, |PassedThrough { sidecar }| format!("sidecar:{sidecar}"));
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    metrics.http_request(method, &route, status, elapsed);
    span.set("http.route", route.as_str());
    span.set("http.response.status_code", status);
    tracing::info!(
        target: "breakwater::access",
        method,
        route,
        status,
        milliseconds = elapsed.as_secs_f64() * 1e3,
        correlation_id = %incoming.correlation_id,
        trace_id = incoming.trace_id(),
        peer = incoming.peer.map(|peer| peer.ip().to_string()),
        "request"
    );
    response
}

/// The span of a request, named and described as OpenTelemetry's conventions for HTTP servers say.
fn span_of(tracer: &Tracer, incoming: &Incoming, method: &'static str, route: &str) -> Span {
    if !tracer.is_enabled() {
        return Span::none();
    }
    let mut span = tracer.span(&format!("{method} {route}"), SpanKind::Server, incoming.parent, incoming.trace);
    span.set("http.request.method", method);
    span.set("breakwater.correlation_id", incoming.correlation_id.as_str());
    span
}

/// An extractor of the framework refused; of those we use, only the one for paths can.
fn is_bare_rejection(response: &Response) -> bool {
    let text = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    response.status().is_client_error() && text
}

fn log_failure(failure: &Failure, incoming: &Incoming) {
    let (code, origin, correlation_id) = (&*failure.code, failure.origin.as_deref(), &incoming.correlation_id);
    if failure.kind == FailureKind::Internal {
        tracing::error!(code, origin, %correlation_id, error = %failure.chain(), "call failed by a defect");
    } else {
        tracing::debug!(code, origin, %correlation_id, error = %failure.chain(), "call failed");
    }
}

/// Methods a client may invent would otherwise each become a metric.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// The answer where no route is.
pub(crate) async fn no_such_route() -> Refusal {
    Refusal(Failure::new(FailureKind::NotFound, "http.no-such-route", "there is nothing at this path; /openapi.json lists what there is"))
}

/// The answer where the route has other methods.
pub(crate) async fn no_such_method() -> Refusal {
    Refusal(Failure::invalid("http.method-not-allowed", "this path does not take this method; /openapi.json lists those it takes"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;
    use axum::{Extension, Router};
    use breakwater_core::BoxFuture;
    use breakwater_telemetry::{OtlpConfig, OtlpTransport};
    use bytes::Bytes;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::routes::process_image;

    fn router(metrics: &Arc<Metrics>) -> Router {
        traced(metrics, Tracer::disabled())
    }

    fn traced(metrics: &Arc<Metrics>, tracer: Arc<Tracer>) -> Router {
        let failing = || async { Refusal(Failure::limit("cpu.overloaded", "full").retry_after(std::time::Duration::from_secs(2))) };
        let routes = Router::new()
            .route("/ok", get(|| async { "fine" }))
            .route("/fails", get(failing))
            .route(
                "/panics",
                get(|| async {
                    if true {
                        panic!("secret")
                    }
                }),
            )
            .route("/passed", get(|| async { (StatusCode::NOT_FOUND, Extension(PassedThrough { sidecar: "flask".into() }), "theirs") }))
            .route(process_image::PATH, get(async || Refusal(Failure::limit("cpu.overloaded", "full"))))
            .route("/items/{id}", get(|Path(id): Path<String>| async move { id }));
        let cors = crate::cors::Cors::new(&crate::cors::CorsConfig::default()).unwrap();
        crate::app::observed(routes.fallback(no_such_route), Observing { metrics: metrics.clone(), tracer }, &cors)
    }

    async fn ask(method: &str, path: &str) -> (StatusCode, axum::http::HeaderMap, String) {
        let metrics = Metrics::new("0");
        let request = Request::builder().method(method).uri(path).header("x-correlation-id", "call-7").body(Body::empty()).unwrap();
        let response = router(&metrics).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem_with_the_calls_name() {
        for (method, path, status, code) in [
            ("GET", "/nowhere/secret?token=1", 404, "http.no-such-route"),
            ("POST", "/ok", 405, "http.method-not-allowed"),
            ("GET", "/fails", 503, "cpu.overloaded"),
            ("GET", "/panics", 500, "internal"),
            ("GET", "/items/%ff", 400, "http.path-invalid"),
        ] {
            let (answered, headers, body) = ask(method, path).await;
            assert_eq!(
                (answered.as_u16(), &headers["content-type"]),
                (status, &HeaderValue::from_static("application/problem+json")),
                "{path}"
            );
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((problem["code"].as_str(), problem["correlation_id"].as_str()), (Some(code), Some("call-7")));
            assert_eq!(headers[CORRELATION_HEADER], "call-7");
            assert!(!body.contains("secret") && !body.contains("token"), "{body}");
        }
        assert_eq!(ask("GET", "/fails").await.1["retry-after"], "2");
    }

    #[tokio::test]
    async fn what_a_sidecar_answered_stays_as_it_is_and_is_counted_under_its_name() {
        let metrics = Metrics::new("0");
        let response = router(&metrics).oneshot(Request::builder().uri("/passed").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::NOT_FOUND, &"text/plain; charset=utf-8".parse().unwrap())
        );
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "theirs");
        let text = metrics.encode();
        assert!(text.contains(r#"breakwater_http_requests_total{method="GET",route="sidecar:flask",status="404"} 1"#), "{text}");
    }

    #[tokio::test]
    async fn the_integration_example_has_errors_of_its_own() {
        let (status, headers, body) = ask("GET", process_image::PATH).await;
        assert_eq!((status.as_u16(), &headers["content-type"]), (503, &HeaderValue::from_static("application/json")));
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), serde_json::json!({ "error": "full", "errorCode": "cpu.overloaded" }));
        assert_eq!(headers[CORRELATION_HEADER], "call-7");
        assert_eq!(ask("DELETE", process_image::PATH).await.0, 405);
    }

    /// Keeps what would have been exported.
    #[derive(Default)]
    struct Collector(std::sync::Mutex<Vec<u8>>);

    impl OtlpTransport for Collector {
        fn post(&self, _: &str, _: Vec<(String, String)>, body: Bytes) -> BoxFuture<'_, Result<u16, String>> {
            self.0.lock().unwrap().extend_from_slice(&body);
            Box::pin(async { Ok(200) })
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_has_a_span_below_that_of_its_client() {
        let collector = Arc::new(Collector::default());
        let config = OtlpConfig::new("http://collector");
        let tracer = Tracer::start(&config, collector.clone(), tokio::runtime::Handle::current()).unwrap();
        for (path, parent) in [("/items/7?token=secret", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("/fails", "")] {
            let request = Request::builder().uri(path).header("traceparent", parent).body(Body::empty()).unwrap();
            traced(&Metrics::new("0"), tracer.clone()).oneshot(request).await.unwrap();
        }
        tracer.shutdown(std::time::Duration::from_secs(10)).await.unwrap();
        let exported = collector.0.lock().unwrap().clone();
        let holds = |bytes: &[u8]| exported.windows(bytes.len()).any(|window| window == bytes);
        assert!(holds(b"GET /items/{id}") && holds(b"GET /fails") && holds(b"cpu.overloaded"));
        assert!(holds(&0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()) && holds(&0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()));
        assert!(!holds(b"secret"));
    }

    #[tokio::test]
    async fn requests_are_counted_by_route_template() {
        let metrics = Metrics::new("0");
        for path in ["/items/1", "/items/2", "/nowhere"] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            router(&metrics).oneshot(request).await.unwrap();
        }
        let text = metrics.encode();
        assert!(text.contains(r#"breakwater_http_requests_total{method="GET",route="/items/{id}",status="200"} 2"#), "{text}");
        assert!(text.contains(r#"route="unmatched",status="404"} 1"#), "{text}");
    }
}
