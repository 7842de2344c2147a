//! Ways in which the other side fails.

use std::time::{Duration, Instant};

use breakwater_core::{Effect, FailureKind};
use breakwater_upstream::response;

use super::server::{Reply, Server, nobody};
use super::{SLACK, config, context, get, post, send, start, text};

#[tokio::test]
async fn an_answer_that_takes_its_time_is_an_answer() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".to_vec();
    let server = Server::always(Reply::Pieces(Duration::from_millis(60), vec![head, b"o".to_vec(), b"k".to_vec()])).await;
    let response = send(&*start(config(&server.url)).await, get("/")).await.unwrap();
    assert_eq!((response.status, text(&response), response.attempts), (200, "ok", 1));
}

#[tokio::test]
async fn a_read_that_is_not_answered_is_tried_again_and_a_change_is_not() {
    let server = Server::always(Reply::Silence).await;
    let mut config = config(&server.url);
    config.pipeline.attempt_timeout = Duration::from_millis(200);
    let upstreams = start(config).await;
    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.max-retries-exceeded", FailureKind::Timeout, Effect::None));
    let detail = failure.detail.unwrap();
    assert_eq!((&detail["last_code"], &detail["attempts"]), (&"upstream.timeout".into(), &3.into()));
    assert_eq!(server.requests(), 3);

    let failure = send(&upstreams, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.timeout", FailureKind::Timeout, Effect::Unknown));
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn no_call_ends_later_than_its_deadline() {
    let slow = Reply::Pieces(
        Duration::from_millis(20),
        [&b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"[..]].iter().chain(&[&b"x"[..]; 500]).map(|piece| piece.to_vec()).collect(),
    );
    let refusing = Reply::answer(503, "retry-after: 3600\r\n", "");
    for reply in [Reply::Silence, slow, refusing, Reply::answer(500, "", "")] {
        let name = format!("{reply:.40?}");
        let server = Server::always(reply).await;
        let mut config = config(&server.url);
        config.pipeline.attempt_timeout = Duration::from_secs(30);
        config.pipeline.retry.read.max_retries = 1000;
        let upstreams = start(config).await;
        for request in [get("/"), post("{}")] {
            let budget = Duration::from_millis(150);
            let began = Instant::now();
            let failure = upstreams.send(&context().tightened(budget), super::NAME, request).await.unwrap_err();
            assert!(began.elapsed() < budget + SLACK, "{name}: {:?} {failure}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn a_servers_own_error_is_tried_again_for_what_may_be_repeated() {
    let server = Server::start(|seen| if seen.number < 2 { Reply::answer(500, "", "broken") } else { Reply::ok("fine") }).await;
    let upstreams = start(config(&server.url)).await;
    let response = send(&upstreams, get("/")).await.unwrap();
    assert_eq!((text(&response), response.attempts, server.connections()), ("fine", 3, 1));

    let server = Server::always(Reply::answer(500, "", r#"{"error_code": "MODEL_GONE"}"#)).await;
    let upstreams = start(config(&server.url)).await;
    let failure = send(&upstreams, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.status", FailureKind::Rejected, Effect::Unknown));
    let detail = failure.detail.as_ref().unwrap();
    assert_eq!((&detail["status"], &detail["error_code"]), (&500.into(), &"MODEL_GONE".into()));
    assert_eq!(failure.origin.as_deref(), Some("upstream:images"));
    assert!(!failure.to_string().contains("MODEL_GONE"), "what an upstream says is in the detail only");

    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("upstream.max-retries-exceeded", FailureKind::Rejected));
    let detail = failure.detail.unwrap();
    assert_eq!((&detail["last_code"], &detail["attempts"]), (&"upstream.status".into(), &3.into()));
    assert_eq!((&detail["status"], &detail["error_code"]), (&500.into(), &"MODEL_GONE".into()));
}

#[tokio::test]
async fn a_reset_connection_leaves_a_change_in_doubt() {
    let server = Server::always(Reply::Reset(Vec::new())).await;
    let upstreams = start(config(&server.url)).await;
    let failure = send(&upstreams, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.connection", FailureKind::Unavailable, Effect::Unknown));
    assert_eq!(server.requests(), 1);
    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("upstream.max-retries-exceeded", Effect::None));
    assert_eq!(failure.detail.unwrap()["last_code"], "upstream.connection");
}

#[tokio::test]
async fn a_refused_connection_leaves_no_doubt_and_even_a_change_is_tried_again() {
    let upstreams = start(config(&nobody().await)).await;
    let failure = send(&upstreams, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.max-retries-exceeded", FailureKind::Unavailable, Effect::None));
    assert_eq!(failure.detail.unwrap()["last_code"], "upstream.connection");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_a_connection_that_failed() {
    let mut config = config("http://no-such-host.invalid");
    config.pipeline.retry = breakwater_resilience::RetryPolicies::same(breakwater_resilience::RetryPolicy::NEVER);
    config.pipeline.attempt_timeout = Duration::from_secs(5);
    let failure = send(&*start(config).await, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("upstream.connection", Effect::None));
}

#[tokio::test]
async fn half_an_answer_is_a_broken_connection() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    for reply in [
        Reply::HalfClose(Vec::new()),
        Reply::HalfClose(b"HTTP/1.1 200".to_vec()),
        Reply::HalfClose(announced.clone()),
        Reply::Last(announced.clone()),
        Reply::Reset(announced),
        Reply::Last(chunked),
        Reply::Last(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: minus one\r\n\r\n".to_vec()),
    ] {
        let server = Server::always(reply.clone()).await;
        let failure = send(&*start(config(&server.url)).await, post("{}")).await.unwrap_err();
        assert_eq!((&*failure.code, failure.effect), ("upstream.connection", Effect::Unknown), "{reply:?}");
        assert_eq!(server.requests(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_attempts_timeout() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let pieces = std::iter::once(head).chain(std::iter::repeat_n(b"x".to_vec(), 1000)).collect();
    let server = Server::always(Reply::Pieces(Duration::from_millis(10), pieces)).await;
    let mut config = config(&server.url);
    config.pipeline.attempt_timeout = Duration::from_millis(100);
    let failure = send(&*start(config).await, post("{}")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("upstream.timeout", Effect::Unknown));
}

#[tokio::test]
async fn the_first_byte_has_a_time_of_its_own() {
    let server = Server::always(Reply::Silence).await;
    let config = breakwater_upstream::UpstreamConfig { first_byte_timeout: Some(Duration::from_millis(50)), ..config(&server.url) };
    let began = Instant::now();
    let failure = send(&*start(config).await, post("{}")).await.unwrap_err();
    assert_eq!(failure.code, "upstream.timeout");
    assert!(began.elapsed() < Duration::from_millis(50) + SLACK);
}

#[tokio::test]
async fn an_answer_longer_than_it_says_spoils_only_its_connection() {
    let server = Server::always(Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more".to_vec())).await;
    let upstreams = start(config(&server.url)).await;
    for _ in 0..3 {
        assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "ok");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off_before_it_is_read() {
    let ten_gigabytes = b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".to_vec();
    let never_ending = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let until_the_end = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
    for (head, piece) in [(ten_gigabytes, vec![0; 4096]), (never_ending, chunk), (until_the_end, vec![0; 4096])] {
        let server = Server::always(Reply::Endless(head.clone(), piece)).await;
        let config = breakwater_upstream::UpstreamConfig { max_response_bytes: 100_000, ..config(&server.url) };
        let upstreams = start(config).await;
        let failure = send(&upstreams, post("{}")).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.response-too-large", FailureKind::Limit));
        assert_eq!(failure.effect, Effect::Applied, "the upstream said that it did it");
        let failure = send(&upstreams, get("/")).await.unwrap_err();
        assert_eq!(
            (&*failure.code, failure.effect, server.requests()),
            ("upstream.response-too-large", Effect::None, 2),
            "not tried again"
        );
    }
}

#[tokio::test]
async fn the_limit_of_an_answer_is_the_last_size_allowed() {
    let server = Server::always(Reply::ok(&"x".repeat(1000))).await;
    let upstreams = start(breakwater_upstream::UpstreamConfig { max_response_bytes: 1000, ..config(&server.url) }).await;
    assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()).len(), 1000);
    let mut request = get("/");
    request.max_response_bytes = Some(999);
    assert_eq!(send(&upstreams, request).await.unwrap_err().code, "upstream.response-too-large");
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let many: String = (0..1000).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(1024 * 1024));
    for headers in [many, long] {
        let server = Server::always(Reply::answer(200, &headers, "ok")).await;
        let failure = send(&*start(config(&server.url)).await, post("{}")).await.unwrap_err();
        assert_eq!(failure.code, "upstream.connection");
    }
    let endless = Server::always(Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec())).await;
    assert_eq!(send(&*start(config(&endless.url)).await, post("{}")).await.unwrap_err().code, "upstream.connection");
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_an_answer_until_json_is_asked_for() {
    let html = Reply::answer(200, "content-type: text/html\r\n", "<html>secret</html>");
    let invalid = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": \"\xff\"".to_vec());
    for reply in [html, invalid] {
        let server = Server::always(reply).await;
        let response = send(&*start(config(&server.url)).await, get("/")).await.unwrap();
        let failure = response::json(&response).unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.response-invalid", FailureKind::Rejected));
        assert!(!failure.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn what_an_error_says_is_kept_in_part() {
    let server = Server::always(Reply::answer(404, "", &"é".repeat(8 * 1024))).await;
    let failure = send(&*start(config(&server.url)).await, get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.status", FailureKind::NotFound, Effect::None));
    assert_eq!(failure.detail.unwrap()["body"].as_str().unwrap().len(), 8 * 1024);
    assert_eq!(server.requests(), 1, "what the caller did wrong is not tried again");
}

#[tokio::test]
async fn the_breaker_opens_and_an_operator_moves_it() {
    use breakwater_upstream::{BreakerCommand, UpstreamState};
    let server = Server::start(|seen| if seen.head.starts_with("GET /good") { Reply::ok("ok") } else { Reply::answer(500, "", "") }).await;
    let upstreams = start(config(&server.url)).await;
    for _ in 0..5 {
        assert_eq!(send(&upstreams, post("{}")).await.unwrap_err().code, "upstream.status");
    }
    let failure = send(&upstreams, get("/good")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind, failure.effect), ("upstream.circuit-open", FailureKind::CircuitOpen, Effect::None));
    assert!(failure.retry_after.unwrap() > Duration::from_secs(29));
    let status = upstreams.upstream_status(super::NAME).unwrap();
    assert_eq!((status.state, status.breaker, status.consecutive_failures), (UpstreamState::Down, "open", 5));
    assert_eq!(status.last_error.unwrap().code, "upstream.status");
    upstreams.breaker(super::NAME, BreakerCommand::Reset).unwrap();
    assert_eq!(text(&send(&upstreams, get("/good")).await.unwrap()), "ok");
    assert_eq!(upstreams.breaker(super::NAME, BreakerCommand::Open).unwrap().state, UpstreamState::Isolated);
    assert_eq!(send(&upstreams, get("/good")).await.unwrap_err().code, "upstream.circuit-open");
    upstreams.breaker(super::NAME, BreakerCommand::Close).unwrap();
    for _ in 0..10 {
        assert_eq!(send(&upstreams, post("{}")).await.unwrap_err().code, "upstream.status");
    }
}

#[tokio::test]
async fn what_the_caller_did_wrong_opens_no_breaker() {
    let server = Server::always(Reply::answer(422, "", "")).await;
    let upstreams = start(config(&server.url)).await;
    for _ in 0..20 {
        let failure = send(&upstreams, post("{}")).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("upstream.status", FailureKind::InvalidRequest));
    }
}
