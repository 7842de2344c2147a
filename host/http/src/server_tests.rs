//! Over real sockets.

use axum::body::Body;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::body::{self, BodyLimits};
use crate::problem::Refusal;

/// A server with a route that answers at once, one that reads a body, and one that waits to be told.
struct Running {
    address: SocketAddr,
    release: Arc<Notify>,
    entered: Arc<Notify>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<usize>,
}

async fn start(config: HttpConfig) -> Running {
    let (release, entered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let waiting = {
        let (release, entered) = (release.clone(), entered.clone());
        move || async move {
            entered.notify_one();
            release.notified().await;
            "done"
        }
    };
    let limits = BodyLimits { max_bytes: 100, idle: config.body_idle_timeout, total: config.body_timeout };
    let reading = move |headers: axum::http::HeaderMap, body: Body| async move {
        body::read(&headers, body, limits).await.map(|bytes| bytes.len().to_string()).map_err(Refusal::from)
    };
    let routes = Router::new().route("/", get(|| async { "ok" })).route("/wait", get(waiting)).route("/read", post(reading));
    let observing =
        crate::observe::Observing { metrics: breakwater_telemetry::Metrics::new("0"), tracer: breakwater_telemetry::Tracer::disabled() };
    let cors = crate::cors::Cors::new(&config.cors).unwrap();
    let router = crate::app::observed(routes.fallback(crate::observe::no_such_route), observing, &cors);
    let config = HttpConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..config };
    let server = Server::over(config, router).await.unwrap();
    let (address, stop) = (server.local_addrs()[0], CancellationToken::new());
    let ended = tokio::spawn(server.run(stop.clone()));
    Running { address, release, entered, stop, ended }
}

/// Sends bytes and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut may end in an error; what came before it counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn quick() -> HttpConfig {
    let short = Duration::from_millis(100);
    HttpConfig { header_timeout: short, body_idle_timeout: short, drain_timeout: Duration::from_secs(20), ..HttpConfig::default() }
}

#[tokio::test]
async fn a_call_under_way_ends_and_nothing_new_begins_when_the_server_stops() {
    let server = start(HttpConfig::default()).await;
    let call = tokio::spawn(async move { exchange(server.address, &get_request("/wait")).await });
    server.entered.notified().await;
    server.stop.cancel();
    // The listener is gone when a connection is refused.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.release.notify_one();
    assert!(call.await.unwrap().ends_with("done"));
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_after_the_drain_timeout() {
    let server = start(HttpConfig { drain_timeout: Duration::from_millis(50), ..HttpConfig::default() }).await;
    let call = tokio::spawn(async move { exchange(server.address, &get_request("/wait")).await });
    server.entered.notified().await;
    server.stop.cancel();
    assert_eq!(server.ended.await.unwrap(), 1);
    assert_eq!(call.await.unwrap(), "");
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_or_body_is_cut() {
    let server = start(quick()).await;
    assert!(!exchange(server.address, "GET / HTTP/1.1\r\nhost").await.contains("200"));
    let slow = exchange(server.address, "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nstart").await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("http.body-timeout"), "{slow}");
    assert!(exchange(server.address, &get_request("/")).await.ends_with("ok"));
}

#[tokio::test]
async fn heads_and_bodies_over_the_limits_are_refused() {
    let server = start(HttpConfig { max_header_bytes: 8 << 10, max_headers: 8, ..quick() }).await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(10_000));
    assert!(exchange(server.address, &long).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x-many: 1\r\n".repeat(9));
    assert!(exchange(server.address, &many).await.starts_with("HTTP/1.1 431"));
    let body = exchange(server.address, "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 101\r\nconnection: close\r\n\r\n").await;
    assert!(body.starts_with("HTTP/1.1 413") && body.contains("http.body-too-large"), "{body}");
}

#[tokio::test]
async fn a_client_still_sending_a_refused_body_gets_the_refusal() {
    let server = start(HttpConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // More than the buffers of both sockets hold: it only goes out if the server goes on reading.
    stream.write_all(&vec![b'x'; 8_000_000]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// Reads one answer whose body is at most `x`s or a problem, and leaves the connection open. Its head, in lower case.
async fn head_of_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split_once("content-length: ").unwrap().1.lines().next().unwrap().parse::<usize>().unwrap();
            if body.len() >= length {
                return head.to_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection ended within an answer: {text}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_for_a_body_nobody_read_says_so_in_the_answer() {
    let server = start(HttpConfig::default()).await;
    let large = format!("POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{}", 1 << 20, "x".repeat(1 << 20));
    let counted = format!("POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n{}", "x".repeat(1 << 17));
    let waiting = "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n".to_owned();
    let unfinished = "POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nxx".to_owned();
    for (request, status) in [(large, "404"), (counted, "413"), (waiting, "404"), (unfinished, "404")] {
        let answer = exchange(server.address, &request).await.to_lowercase();
        let head = answer.split_once("\r\n\r\n").unwrap().0;
        assert!(head.starts_with(&format!("http/1.1 {status}")) && head.contains("\r\nconnection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_small_body_that_nobody_read() {
    let server = start(HttpConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let chunked = format!("transfer-encoding: chunked\r\n\r\n7d00\r\n{}\r\n0\r\n\r\n", "x".repeat(32_000));
    let announced = format!("content-length: 60000\r\n\r\n{}", "x".repeat(60_000));
    // The second one is read in part, up to where the body is too large.
    for (path, body, status) in [("/nowhere", &announced, "404"), ("/read", &chunked, "413"), ("/nowhere", &chunked, "404")] {
        let (head, rest) = body.split_once("\r\n\r\n").unwrap();
        stream.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(rest.as_bytes()).await.unwrap();
        let head = head_of_answer(&mut stream).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")) && !head.contains("connection: close"), "{head}");
    }
    stream.write_all(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await.unwrap();
    assert!(head_of_answer(&mut stream).await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = start(HttpConfig { max_connections: 1, ..HttpConfig::default() }).await;
    let address = server.address;
    let first = tokio::spawn(async move { exchange(address, &get_request("/wait")).await });
    server.entered.notified().await;
    let mut second = tokio::spawn(async move { exchange(address, &get_request("/")).await });
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut second).await.is_err());
    server.release.notify_one();
    assert!(first.await.unwrap().ends_with("done"));
    assert!(second.await.unwrap().ends_with("ok"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = start(HttpConfig::default()).await;
    let config = HttpConfig { listen: vec![server.address], ..HttpConfig::default() };
    let error = Server::over(config, Router::new()).await.unwrap_err().to_string();
    assert!(error.contains(&server.address.to_string()), "{error}");
    let none = HttpConfig { listen: Vec::new(), ..HttpConfig::default() };
    assert!(matches!(Server::over(none, Router::new()).await, Err(ServerError::NoAddress)));
}
