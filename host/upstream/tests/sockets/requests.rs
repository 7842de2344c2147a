//! What upstreams are sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use breakwater_core::outbound::Part;
use breakwater_core::{Body, CallContext, Failure, FailureKind, Method, OutboundRequest, TraceContext};
use breakwater_upstream::{Credentials, EndpointConfig, SecretSource, UpstreamConfig};
use bytes::Bytes;

use super::server::{Reply, Server};
use super::{NAME, config, context, get, post, send, start, text};

#[tokio::test]
async fn a_request_says_which_call_it_is_part_of_and_how_long_it_may_take() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(503, "", "") } else { Reply::ok("") }).await;
    let upstreams = start(config(&server.url)).await;
    let context = context();
    upstreams.send(&context, NAME, get("/a?b=c")).await.unwrap();
    let seen = server.seen();
    let spans: Vec<TraceContext> = seen.iter().map(|seen| seen.header("traceparent").unwrap().parse().unwrap()).collect();
    for (seen, span) in seen.iter().zip(&spans) {
        assert!(seen.head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("x-correlation-id"), Some(context.correlation_id.as_str()));
        assert_eq!(span.trace_id(), context.trace.trace_id());
        let left: u64 = seen.header("x-request-deadline-ms").unwrap().parse().unwrap();
        assert!((1..=2000).contains(&left), "{left}: what is left of the attempt");
        assert_eq!(seen.header("content-length"), None);
        assert!(seen.header("user-agent").unwrap().starts_with("breakwater/"));
    }
    let own: BTreeSet<u64> = spans.iter().map(TraceContext::span_id).chain([context.trace.span_id()]).collect();
    assert_eq!(own.len(), 3, "each attempt is a span of its own");
}

#[tokio::test]
async fn a_keyed_change_is_tried_again_with_its_key() {
    let server = Server::start(|seen| if seen.number % 2 == 0 { Reply::answer(500, "", "") } else { Reply::ok("") }).await;
    let upstreams = start(config(&server.url)).await;
    let keyed = CallContext { idempotency_key: Some(Arc::from("call-1")), ..context() };
    assert_eq!(upstreams.send(&keyed, NAME, post("{}")).await.unwrap().attempts, 2);
    let given = OutboundRequest { idempotency_key: Some("mine".to_owned()), ..post("{}") };
    assert_eq!(send(&upstreams, given).await.unwrap().attempts, 2);
    let keys: Vec<_> = server.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[2..], ["mine", "mine"]);
    assert_ne!(keys[0], "call-1");
    let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"{}"; 4]);
}

#[tokio::test]
async fn a_read_that_travels_as_post_is_tried_again() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(503, "", "") } else { Reply::ok("faces") }).await;
    let request = OutboundRequest { is_read: true, ..post("{}") };
    assert_eq!(send(&*start(config(&server.url)).await, request).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn a_server_that_wants_less_is_asked_later() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(429, "retry-after: 1\r\n", "") } else { Reply::ok("") }).await;
    let began = std::time::Instant::now();
    assert_eq!(send(&*start(config(&server.url)).await, get("/")).await.unwrap().attempts, 2);
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
}

fn secret_file(text: &str) -> (tempfile::TempDir, SecretSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    (folder, SecretSource::File(path))
}

#[tokio::test]
async fn credentials_are_the_hosts_and_nobody_hears_of_them() {
    let (_folder, secret) = secret_file("s3cr3t\n");
    let server = Server::start(|seen| match seen.number {
        0..=2 => Reply::answer(500, "", &format!("you sent: {}", seen.head)),
        _ => Reply::Reset(Vec::new()),
    })
    .await;
    let credentials = Some(Credentials::ApiKey { header: "x-secret-door".to_owned(), secret });
    let upstreams = start(UpstreamConfig { credentials, ..config(&server.url) }).await;
    let request = || {
        let headers = [("X-Secret-Door", "guess"), ("Authorization", "Bearer guess"), ("accept", "text/plain")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        OutboundRequest { headers, ..post("{}") }
    };
    let says = |failure: &Failure| format!("{failure:?} {} {:?} {:?}", failure.chain(), failure.detail, upstreams.status());
    for number in 0..5 {
        let failure = send(&upstreams, request()).await.unwrap_err();
        let text = says(&failure);
        assert!(!text.contains("s3cr3t"), "{number}: {text}");
        assert_eq!(text.contains("[redacted]"), number < 3, "{text}");
    }
    for seen in server.seen() {
        assert_eq!((seen.header("x-secret-door"), seen.header("authorization")), (Some("s3cr3t"), None));
        assert_eq!(seen.header("accept"), Some("text/plain"));
        assert!(!seen.head.contains("guess"));
    }
}

#[tokio::test]
async fn whoever_is_passed_on_shows_credentials_but_never_in_the_place_of_the_hosts() {
    let (_folder, secret) = secret_file("s3cr3t\n");
    let server = Server::always(Reply::ok("ok")).await;
    let credentials = Some(Credentials::ApiKey { header: "x-secret-door".to_owned(), secret });
    let upstreams = start(UpstreamConfig { credentials, ..config(&server.url) }).await;
    let headers = [("x-secret-door", "guess"), ("authorization", "Bearer mine"), ("cookie", "a=b"), ("host", "elsewhere")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    send(&upstreams, OutboundRequest { headers, own_credentials: true, ..post("{}") }).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (Some("Bearer mine"), Some("a=b")));
    assert_eq!(seen.header("x-secret-door"), Some("s3cr3t"));
    assert!(!seen.head.contains("elsewhere") && !seen.head.contains("guess"), "{}", seen.head);
}

#[tokio::test]
async fn a_secret_that_is_missing_is_told_at_the_start() {
    let credentials = Some(Credentials::Bearer { secret: SecretSource::File("/nowhere/secret".into()) });
    let config = breakwater_upstream::UpstreamsConfig {
        upstreams: [(NAME.to_owned(), UpstreamConfig { credentials, ..config("http://localhost:1") })].into(),
        ..Default::default()
    };
    let records = Arc::new(breakwater_upstream::MemoryRecords::default());
    let observer = Arc::new(breakwater_upstream::NoUpstreamObserver);
    let failure = breakwater_upstream::Upstreams::start(config, records, observer, Default::default()).await.unwrap_err();
    assert_eq!((&*failure.code, failure.origin.as_deref()), ("upstream.credentials", Some("upstream:images")));
}

#[tokio::test]
async fn a_file_of_authorities_must_hold_some() {
    let (_folder, SecretSource::File(file)) = secret_file("no certificate") else { unreachable!() };
    for ca_file in [Some(file), Some("/nowhere/ca.pem".into())] {
        let config = breakwater_upstream::UpstreamsConfig {
            upstreams: [(NAME.to_owned(), UpstreamConfig { ca_file, ..config("http://localhost:1") })].into(),
            ..Default::default()
        };
        let records = Arc::new(breakwater_upstream::MemoryRecords::default());
        let observer = Arc::new(breakwater_upstream::NoUpstreamObserver);
        let failure = breakwater_upstream::Upstreams::start(config, records, observer, Default::default()).await.unwrap_err();
        assert_eq!(failure.code, "upstream.config");
    }
}

#[tokio::test]
async fn a_form_is_encoded_and_can_be_sent_again() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(500, "", "") } else { Reply::ok("") }).await;
    let part = |name: &str, filename: Option<&str>, media_type: Option<&str>, bytes: &'static [u8]| Part {
        name: name.to_owned(),
        filename: filename.map(str::to_owned),
        media_type: media_type.map(str::to_owned),
        bytes: Bytes::from_static(bytes),
    };
    let form = vec![part("ratio", None, None, b"4:6"), part("image", Some("a\"b\r\n.jpg"), Some("image/jpeg"), b"\xff\xd8\xff")];
    let request = OutboundRequest {
        body: Body::Form(form),
        is_read: true,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        ..OutboundRequest::new(Method::Post, "/crop")
    };
    assert_eq!(send(&*start(config(&server.url)).await, request).await.unwrap().attempts, 2);
    for seen in server.seen() {
        let boundary = seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
        assert_eq!((parts.len(), parts[3]), (4, "--\r\n"));
        assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"ratio\"\r\n\r\n4:6\r\n");
        assert!(parts[2].contains("Content-Type: image/jpeg\r\n\r\n"), "{}", parts[2]);
        assert!(parts[2].starts_with("\r\nContent-Disposition: form-data; name=\"image\"; filename=\""), "{}", parts[2]);
        assert!(!parts[2].contains("a\"b\r\n"), "a name cannot end its header");
    }
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_all_calls() {
    let server = Server::always(Reply::ok("ok")).await;
    let upstreams = start(config(&server.url)).await;
    for _ in 0..20 {
        assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "ok");
    }
    assert_eq!((server.connections(), server.requests()), (1, 20));
}

#[tokio::test]
async fn there_are_at_most_so_many_connections_and_so_many_calls_that_wait() {
    let answer = Reply::Pieces(std::time::Duration::from_millis(50), vec![b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()]);
    let server = Server::always(answer).await;
    let mut config = config(&server.url);
    config.pipeline.bulkhead.max_concurrent = 2;
    config.pipeline.bulkhead.max_queue = 4;
    let upstreams = start(config).await;
    let calls = futures_util::future::join_all((0..10).map(|_| send(&upstreams, get("/")))).await;
    let refused = calls.iter().filter(|call| call.as_ref().is_err_and(|failure| failure.code == "upstream.overloaded")).count();
    assert_eq!((refused, server.requests(), server.connections()), (4, 6, 2));
}

#[tokio::test]
async fn endpoints_are_called_by_their_weights() {
    let (light, heavy) = (Server::always(Reply::ok("light")).await, Server::always(Reply::ok("heavy")).await);
    let endpoints = vec![EndpointConfig { url: light.url.clone(), weight: 1 }, EndpointConfig { url: heavy.url.clone(), weight: 3 }];
    let upstreams = start(UpstreamConfig { endpoints, ..config(&light.url) }).await;
    for _ in 0..40 {
        send(&upstreams, get("/")).await.unwrap();
    }
    assert_eq!((light.requests(), heavy.requests()), (10, 30));
}

#[tokio::test]
async fn http_2_is_spoken_without_asking_where_it_is_configured() {
    // The preface of a connection (RFC 9113, 3.4) reads like a request, which is what it was made for.
    let server = Server::always(Reply::Last(Vec::new())).await;
    let upstreams = start(UpstreamConfig { http_version: breakwater_upstream::HttpVersion::Http2, ..config(&server.url) }).await;
    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!(failure.detail.unwrap()["last_code"], "upstream.connection");
    assert!(server.seen()[0].head.starts_with("PRI * HTTP/2.0\r\n"));
}

#[tokio::test]
async fn a_redirect_of_a_named_upstream_is_an_answer() {
    let server = Server::always(Reply::answer(302, "location: http://169.254.169.254/\r\n", "")).await;
    let response = send(&*start(config(&server.url)).await, get("/")).await.unwrap();
    assert_eq!((response.status, server.requests()), (302, 1));
    assert!(response.headers.contains(&("location".to_owned(), "http://169.254.169.254/".to_owned())));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let server = Server::always(Reply::ok("")).await;
    let upstreams = start(config(&format!("{}/api", server.url))).await;
    let header = |value: &str| OutboundRequest { headers: vec![("x".to_owned(), value.to_owned())], ..get("/") };
    for request in [get("no-slash"), get("/../escape"), get("/a b"), header("a\r\nx-injected: b")] {
        let failure = send(&upstreams, request).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.request-invalid", FailureKind::InvalidRequest));
    }
    let failure = upstreams.send(&context(), "nobody", get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("upstream.unknown", FailureKind::NotFound));
    assert_eq!(server.requests(), 0);
    send(&upstreams, get("/x")).await.unwrap();
    assert!(server.seen()[0].head.starts_with("GET /api/x "));
}
