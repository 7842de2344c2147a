//! Content that is sent and read as it comes.

use std::time::{Duration, Instant};

use breakwater_core::{Body, Effect, Failure, FailureKind, Method, OutboundRequest, OutboundResponse};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::server::{Reply, Server, nobody};
use super::{NAME, SLACK, config, context, get, post, send, start, text};

fn streamed(path: &str) -> OutboundRequest {
    OutboundRequest { stream_response: true, ..get(path) }
}

async fn pieces(response: OutboundResponse) -> (usize, Option<Failure>) {
    let Body::Stream(mut stream) = response.body else { panic!("the body is no stream") };
    let mut length = 0;
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => length += piece.len(),
            Err(failure) => return (length, Some(failure)),
        }
    }
    (length, None)
}

#[tokio::test]
async fn an_answer_is_read_as_it_comes() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab".to_vec();
    let server = Server::always(Reply::Pieces(Duration::from_millis(30), vec![head, b"cd".to_vec(), b"ef".to_vec()])).await;
    let upstreams = start(config(&server.url)).await;
    let response = send(&upstreams, streamed("/")).await.unwrap();
    assert_eq!((response.status, response.attempts), (200, 1));
    assert_eq!(pieces(response).await.0, 6);
    let response = send(&upstreams, streamed("/")).await.unwrap();
    assert_eq!(pieces(response).await.0, 6);
    assert_eq!(server.connections(), 1, "what was read to its end leaves its connection to the next");
}

#[tokio::test]
async fn the_limit_holds_inside_of_a_stream() {
    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let server = Server::always(Reply::Endless(head, vec![0; 4096])).await;
    let request = OutboundRequest { max_response_bytes: Some(100_000), ..streamed("/") };
    let (length, failure) = pieces(send(&*start(config(&server.url)).await, request).await.unwrap()).await;
    assert_eq!(failure.unwrap().code, "upstream.response-too-large");
    assert!(length <= 100_000);
}

#[tokio::test]
async fn the_calls_deadline_holds_inside_of_a_stream() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab".to_vec();
    let server = Server::always(Reply::Pieces(Duration::from_millis(1), vec![head, b"c".to_vec()])).await;
    let upstreams = start(config(&server.url)).await;
    let began = Instant::now();
    let budget = Duration::from_millis(200);
    let request = OutboundRequest { stream_response: true, ..post("{}") };
    let response = upstreams.send(&context().tightened(budget), NAME, request).await.unwrap();
    let (length, failure) = pieces(response).await;
    let failure = failure.unwrap();
    assert_eq!((length, &*failure.code, failure.kind, failure.effect), (3, "upstream.timeout", FailureKind::Timeout, Effect::Unknown));
    assert!((budget..budget + SLACK).contains(&began.elapsed()));
}

#[tokio::test]
async fn a_stream_that_breaks_says_so() {
    let server = Server::always(Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab".to_vec())).await;
    let (length, failure) = pieces(send(&*start(config(&server.url)).await, streamed("/")).await.unwrap()).await;
    let failure = failure.unwrap();
    assert_eq!((length, &*failure.code, failure.origin.as_deref()), (2, "upstream.connection", Some("upstream:images")));
}

#[tokio::test]
async fn a_short_answer_that_is_passed_on_and_breaks_off_is_asked_for_again() {
    let broken = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe".to_vec();
    let server =
        Server::start(move |seen| if seen.number == 0 { Reply::Last(broken.clone()) } else { Reply::answer(503, "", "hello") }).await;
    let upstreams = start(config(&server.url)).await;
    let request = OutboundRequest { any_status: true, answer_is_final: true, ..streamed("/") };
    let response = send(&upstreams, request).await.unwrap();
    assert_eq!((response.status, response.attempts, text(&response)), (503, 2, "hello"));
}

#[tokio::test]
async fn an_answer_that_is_being_read_takes_its_place() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab".to_vec();
    let server = Server::start(move |seen| if seen.number == 0 { Reply::Raw(head.clone()) } else { Reply::ok("ok") }).await;
    let mut config = config(&server.url);
    config.pipeline.bulkhead.max_concurrent = 1;
    config.pipeline.attempt_timeout = Duration::from_millis(300);
    let upstreams = start(config).await;
    let reading = send(&upstreams, streamed("/")).await.unwrap();
    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("upstream.overloaded", Effect::None));
    drop(reading);
    assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "ok");
}

#[tokio::test]
async fn an_error_is_a_failure_also_where_a_stream_is_wanted() {
    let server = Server::always(Reply::answer(404, "", "no such picture")).await;
    let upstreams = start(config(&server.url)).await;
    assert_eq!(send(&upstreams, streamed("/")).await.unwrap_err().code, "upstream.status");
    let any = OutboundRequest { any_status: true, ..streamed("/") };
    let response = send(&upstreams, any).await.unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(pieces(response).await.0, "no such picture".len());
}

fn upload(pieces: Vec<Result<Bytes, Failure>>) -> OutboundRequest {
    OutboundRequest { body: Body::Stream(stream::iter(pieces).boxed()), ..OutboundRequest::new(Method::Put, "/") }
}

#[tokio::test]
async fn content_that_comes_as_a_stream_is_sent_once() {
    let server = Server::always(Reply::answer(500, "", "")).await;
    let upstreams = start(config(&server.url)).await;
    let pieces = || vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cd"))];
    let failure = send(&upstreams, upload(pieces())).await.unwrap_err();
    assert_eq!((&*failure.code, server.requests()), ("upstream.status", 1));
    assert_eq!(server.seen()[0].header("transfer-encoding"), Some("chunked"));
    assert_eq!(server.seen()[0].body, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");

    // A read leaves no doubt, so that it would be tried again if its content were still there.
    let read = OutboundRequest { is_read: true, ..upload(pieces()) };
    let failure = send(&upstreams, read).await.unwrap_err();
    assert_eq!((failure.effect, server.requests()), (Effect::None, 2));
    assert_eq!(failure.detail.unwrap()["status"], 500, "how its one attempt ended is what counts");
}

#[tokio::test]
async fn the_length_of_a_stream_is_announced_where_it_is_known() {
    let server = Server::always(Reply::ok("ok")).await;
    let pieces = vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cd"))];
    let request = OutboundRequest { length: Some(4), ..upload(pieces) };
    send(&*start(config(&server.url)).await, request).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.header("content-length"), seen.header("transfer-encoding"), &*seen.body), (Some("4"), None, &b"abcd"[..]));
}

#[tokio::test]
async fn a_stream_that_nobody_took_waits_for_the_next_attempt() {
    let (gone, there) = (nobody().await, Server::always(Reply::ok("ok")).await);
    let mut config = config(&gone);
    config.endpoints = [gone, there.url.clone()].map(breakwater_upstream::EndpointConfig::new).into();
    config.pipeline.retry.update.max_retries = 10;
    let upstreams = start(config).await;
    for _ in 0..4 {
        assert_eq!(text(&send(&upstreams, upload(vec![Ok(Bytes::from_static(b"ab"))])).await.unwrap()), "ok");
    }
    assert!(there.seen().iter().all(|seen| seen.body == b"2\r\nab\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn content_that_fails_on_the_way_is_the_callers_failure() {
    let server = Server::always(Reply::ok("ok")).await;
    let upstreams = start(config(&server.url)).await;
    let broken = upload(vec![Ok(Bytes::from_static(b"ab")), Err(Failure::invalid("caller.gone", "the caller's upload broke"))]);
    let failure = send(&upstreams, broken).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("caller.gone", Effect::Unknown));
    assert_eq!(upstreams.upstream_status(NAME).unwrap().consecutive_failures, 0, "the upstream is not to blame");
}
