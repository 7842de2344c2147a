//! URLs that callers give.

use std::sync::Arc;

use breakwater_core::{FailureKind, Method, OutboundRequest};
use breakwater_upstream::{NoUpstreamObserver, Upstreams, UpstreamsConfig, UrlPolicy};
use bytes::Bytes;

use super::server::{Reply, Server};
use super::{config, context, get, start_with, text};

/// Loopback may be reached if `allowed`.
async fn start(allowed: bool) -> Arc<Upstreams> {
    let nets = if allowed { vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()] } else { Vec::new() };
    let urls = UrlPolicy { allowed: nets, pipeline: config("http://unused").pipeline, ..UrlPolicy::default() };
    start_with(UpstreamsConfig { urls, ..UpstreamsConfig::default() }, Arc::new(NoUpstreamObserver)).await
}

fn any_host() -> Vec<String> {
    vec!["*:*".to_owned()]
}

#[tokio::test]
async fn a_granted_url_is_asked_for_with_retries() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(503, "", "") } else { Reply::ok("hello") }).await;
    let upstreams = start(true).await;
    let headers = vec![("authorization".to_owned(), "Bearer mine".to_owned()), ("host".to_owned(), "evil.example".to_owned())];
    let request = OutboundRequest { headers, ..get("/ignored") };
    let hosts = [format!("127.0.0.1:{}", server.port)];
    let response = upstreams.send_to_url(&context(), &format!("{}/a%20b?c=d#e", server.url), request, &hosts).await.unwrap();
    assert_eq!((text(&response), response.attempts), ("hello", 2));
    let seen = server.seen();
    assert!(seen[0].head.starts_with("GET /a%20b?c=d HTTP/1.1\r\n"), "{}", seen[0].head);
    assert_eq!((seen[0].header("authorization"), seen[0].header("host")), (Some("Bearer mine"), server.url.strip_prefix("http://")));
    assert!(seen[0].header("traceparent").is_some() && seen[0].header("x-request-deadline-ms").is_some());
}

#[tokio::test]
async fn what_was_not_granted_is_not_asked_for() {
    let server = Server::always(Reply::ok("secret")).await;
    let (port, url) = (server.port, server.url.clone());
    let open = start(true).await;
    let grants: [&[&str]; 5] = [&[], &["example.com"], &["127.0.0.1"], &["127.0.0.1:1"], &["*.0.0.1:*", "not a pattern"]];
    for hosts in grants {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let failure = open.send_to_url(&context(), &url, get("/"), &hosts).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.url-denied", FailureKind::Denied), "{hosts:?}");
    }
    let closed = start(false).await;
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "0.0.0.0"] {
        let failure = closed.send_to_url(&context(), &format!("http://{host}:{port}/"), get("/"), &any_host()).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.url-denied", FailureKind::Denied), "{host}");
    }
    for denied in [format!("http://me:secret@127.0.0.1:{port}/"), "ftp://127.0.0.1/".to_owned(), "file:///etc/passwd".to_owned()] {
        let failure = open.send_to_url(&context(), &denied, get("/"), &any_host()).await.unwrap_err();
        assert_eq!(failure.code, "upstream.url-denied", "{denied}");
    }
    for invalid in ["", "/path", "example.com", "http://", &format!("http://a/{}", "x".repeat(8 * 1024))] {
        let failure = open.send_to_url(&context(), invalid, get("/"), &any_host()).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.url-invalid", FailureKind::InvalidRequest), "{invalid}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_followed_under_the_same_guard() {
    let target = Server::always(Reply::ok("there")).await;
    let to = |location: &str| Server::always(Reply::answer(302, &format!("location: {location}\r\n"), ""));
    let upstreams = start(true).await;
    let good = to(&format!("{}/x", target.url)).await;
    let response = upstreams.send_to_url(&context(), &good.url, get("/"), &any_host()).await.unwrap();
    assert_eq!((text(&response), response.attempts), ("there", 2));

    let only_the_first = [format!("127.0.0.1:{}", good.port)];
    let failure = upstreams.send_to_url(&context(), &good.url, get("/"), &only_the_first).await.unwrap_err();
    assert_eq!(failure.code, "upstream.url-denied");
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "http://a:b@127.0.0.1/",
    ] {
        let bad = to(location).await;
        let failure = upstreams.send_to_url(&context(), &bad.url, get("/"), &any_host()).await.unwrap_err();
        assert_eq!((&*failure.code, bad.requests()), ("upstream.url-denied", 1), "{location}");
    }
    assert_eq!(target.requests(), 1);
    let broken = to("http://[").await;
    let failure = upstreams.send_to_url(&context(), &broken.url, get("/"), &any_host()).await.unwrap_err();
    assert_eq!(failure.code, "upstream.response-invalid");
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::always(Reply::answer(302, "location: /again\r\n", "")).await;
    let failure = start(true).await.send_to_url(&context(), &server.url, get("/"), &any_host()).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, server.requests()), ("upstream.redirects", FailureKind::Rejected, 6));
}

#[tokio::test]
async fn credentials_stay_with_the_host_they_were_given_for() {
    let target = Server::always(Reply::ok("there")).await;
    let location = format!("location: {}\r\n", target.url);
    let first = Server::start(move |seen| match seen.head.contains("GET / ") {
        true => Reply::answer(307, "location: /same\r\n", ""),
        false => Reply::answer(307, &location, ""),
    })
    .await;
    let headers = [("authorization", "Bearer mine"), ("cookie", "a=b"), ("x-api-key", "k"), ("accept", "text/plain")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let request = OutboundRequest { headers, ..get("/") };
    start(true).await.send_to_url(&context(), &first.url, request, &any_host()).await.unwrap();
    assert!(first.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer mine")));
    let seen = &target.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("cookie"), seen.header("x-api-key")), (None, None, None));
    assert_eq!(seen.header("accept"), Some("text/plain"));
}

#[tokio::test]
async fn what_follows_a_redirect_is_what_its_status_says() {
    for (status, method, then, body) in [
        (303, Method::Post, "GET", ""),
        (303, Method::Put, "GET", ""),
        (302, Method::Post, "GET", ""),
        (301, Method::Put, "PUT", "{}"),
        (307, Method::Post, "POST", "{}"),
        (308, Method::Patch, "PATCH", "{}"),
    ] {
        let server = Server::start(move |seen| match seen.number {
            0 => Reply::answer(status, "location: /then\r\n", ""),
            _ => Reply::ok("ok"),
        })
        .await;
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let request = OutboundRequest { headers, body: Bytes::from_static(b"{}").into(), ..OutboundRequest::new(method, "/") };
        start(true).await.send_to_url(&context(), &server.url, request, &any_host()).await.unwrap();
        let seen = &server.seen()[1];
        assert!(seen.head.starts_with(&format!("{then} /then ")), "{status} {method:?}: {}", seen.head);
        assert_eq!((seen.body.as_slice(), seen.header("content-type").is_some()), (body.as_bytes(), !body.is_empty()));
    }
}

#[tokio::test]
async fn each_host_has_a_breaker_of_its_own() {
    let (broken, fine) = (Server::always(Reply::answer(500, "", "")).await, Server::always(Reply::ok("fine")).await);
    let upstreams = start(true).await;
    let post = || OutboundRequest::new(Method::Post, "/");
    for _ in 0..5 {
        let failure = upstreams.send_to_url(&context(), &broken.url, post(), &any_host()).await.unwrap_err();
        assert_eq!(failure.code, "upstream.status");
    }
    let failure = upstreams.send_to_url(&context(), &broken.url, post(), &any_host()).await.unwrap_err();
    assert_eq!((&*failure.code, broken.requests()), ("upstream.circuit-open", 5));
    let response = upstreams.send_to_url(&context(), &fine.url, post(), &any_host()).await.unwrap();
    assert_eq!(text(&response), "fine");
}
