//! What browsers would be told.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use breakwater_core::Failure;
use breakwater_telemetry::{Metrics, Tracer};
use tower::ServiceExt;

use super::*;
use crate::observe::Observing;
use crate::problem::Refusal;

const SHOP: &str = "https://shop.example";

fn config(origins: &[&str]) -> CorsConfig {
    CorsConfig { allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(), ..CorsConfig::default() }
}

async fn ask(config: &CorsConfig, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let routes = Router::new()
        .route("/ok", get(|| async { "fine" }))
        .route("/fails", get(|| async { Refusal(Failure::limit("cpu.overloaded", "full")) }));
    let observing = Observing { metrics: Metrics::new("0"), tracer: Tracer::disabled() };
    let router = crate::app::observed(routes.fallback(crate::observe::no_such_route), observing, &Cors::new(config).unwrap());
    let request = headers.iter().fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_allowed_page_is_told_what_it_may_do() {
    let config = config(&["https://other.example", SHOP]);
    let asked = [("origin", SHOP), ("access-control-request-method", "PUT"), ("access-control-request-headers", "content-type")];
    let answer = ask(&config, "OPTIONS", "/ok", &asked).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(SHOP));
    assert_eq!(header(&answer, "access-control-allow-methods"), Some("GET,POST,PUT,DELETE"));
    assert!(header(&answer, "access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(header(&answer, "access-control-max-age"), Some("600"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn answers_and_failures_can_be_read_with_their_headers() {
    for (path, status) in [("/ok", 200), ("/fails", 503), ("/nowhere", 404)] {
        let answer = ask(&config(&[SHOP]), "GET", path, &[("origin", SHOP)]).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(SHOP), "{path}");
        let exposed = header(&answer, "access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-correlation-id") && exposed.contains("retry-after"), "{exposed}");
        assert!(header(&answer, "vary").unwrap().contains("origin"), "{path}");
    }
}

#[tokio::test]
async fn other_pages_are_allowed_nothing() {
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example:8443", "https://shop.example.evil", "null"] {
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        for method in ["OPTIONS", "GET"] {
            let answer = ask(&config(&[SHOP]), method, "/ok", &asked).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), None, "{method} {origin}");
        }
    }
}

#[tokio::test]
async fn nobody_is_allowed_anything_unless_it_is_configured() {
    let answer = ask(&CorsConfig::default(), "OPTIONS", "/ok", &[("origin", SHOP), ("access-control-request-method", "POST")]).await;
    assert_eq!((answer.status(), header(&answer, "access-control-allow-origin")), (StatusCode::METHOD_NOT_ALLOWED, None));
    assert_eq!(header(&answer, "access-control-allow-methods"), None);
}

#[tokio::test]
async fn any_page_may_be_allowed_and_named_ones_may_bring_credentials() {
    let answer = ask(&config(&["*"]), "GET", "/ok", &[("origin", SHOP)]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    let config = CorsConfig { allow_credentials: true, ..config(&[SHOP]) };
    let answer = ask(&config, "GET", "/ok", &[("origin", SHOP)]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(SHOP));
    assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
}

#[test]
fn contradictions_are_refused() {
    let credentials = |config: CorsConfig| CorsConfig { allow_credentials: true, ..config };
    let headers = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (config, error) in [
        (credentials(config(&["*"])), CorsError::CredentialsOfAnybody("origins")),
        (CorsConfig { allowed_headers: headers(&["*"]), ..credentials(config(&[SHOP])) }, CorsError::CredentialsOfAnybody("headers")),
        (config(&["*", SHOP]), CorsError::AnyIsNotAlone("origins")),
        (CorsConfig { allowed_methods: headers(&["GE T"]), ..config(&[SHOP]) }, CorsError::Method("GE T".into())),
        (CorsConfig { allowed_headers: headers(&["a b"]), ..config(&[SHOP]) }, CorsError::Header("a b".into())),
    ] {
        assert_eq!(Cors::new(&config).unwrap_err(), error);
    }
    for text in [
        "shop.example",
        "https://",
        "ftp://shop.example",
        "https://shop.example/",
        "https://Shop.example",
        "https://shop.example:443",
        "https://a@b",
    ] {
        assert_eq!(Cors::new(&config(&[text])).unwrap_err(), CorsError::Origin(text.into()), "{text}");
    }
    assert!(Cors::new(&config(&["http://localhost:3000", "http://[::1]:3000", SHOP])).is_ok());
}

#[test]
fn a_change_is_taken_from_pages_of_this_service_and_from_allowed_ones() {
    let cors = Cors::new(&config(&[SHOP])).unwrap();
    for (origin, host, admitted) in [
        (None, "breakwater:8080", true),
        (Some(SHOP), "breakwater:8080", true),
        (Some("http://breakwater:8080"), "breakwater:8080", true),
        (Some("http://breakwater:3000"), "breakwater:8080", false),
        (Some("https://evil.example"), "breakwater:8080", false),
        (Some("null"), "breakwater:8080", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        assert_eq!(cors.admits(&headers), admitted, "{origin:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("origin", "https://evil.example".parse().unwrap());
    assert!(Cors::new(&config(&["*"])).unwrap().admits(&headers));
}
