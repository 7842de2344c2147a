//! What is reported about attempts and requests.

use std::sync::{Arc, Mutex};

use breakwater_core::{OutboundRequest, TraceContext};
use breakwater_upstream::{AttemptEnd, AttemptObserver, AttemptStart, RequestEnd, UpstreamObserver, UpstreamsConfig};

use super::server::{Reply, Server};
use super::{NAME, config, context, get, start_with};

type Lines = Arc<Mutex<Vec<String>>>;

#[derive(Default)]
struct Diary {
    lines: Lines,
    spans: Mutex<Vec<TraceContext>>,
}

struct Entry {
    lines: Lines,
    text: String,
}

impl AttemptObserver for Entry {
    fn ended(self: Box<Self>, end: &AttemptEnd<'_>) {
        let line = format!("{} {:?} {:?}", self.text, end.status, end.failure.map(|failure| failure.code.clone()));
        self.lines.lock().unwrap().push(line);
    }
}

impl UpstreamObserver for Diary {
    fn attempt_started(&self, start: &AttemptStart<'_>) -> Option<Box<dyn AttemptObserver>> {
        self.spans.lock().unwrap().push(start.trace);
        let text = format!("attempt {} {} {}", start.number, start.upstream, start.method);
        Some(Box::new(Entry { lines: Arc::clone(&self.lines), text }))
    }

    fn request_ended(&self, end: &RequestEnd<'_>) {
        let line = format!("request {} {:?}", end.upstream, end.failure.map(|failure| failure.code.clone()));
        self.lines.lock().unwrap().push(line);
    }

    fn retry_scheduled(&self, upstream: &str, retry: &breakwater_resilience::RetryScheduled<'_>) {
        self.lines.lock().unwrap().push(format!("retry {} {upstream} {}", retry.retry, retry.code));
    }
}

#[tokio::test]
async fn every_attempt_and_request_is_told_of() {
    let server = Server::start(|seen| if seen.number == 0 { Reply::answer(500, "", "") } else { Reply::ok("") }).await;
    let diary = Arc::new(Diary::default());
    let upstreams = UpstreamsConfig { upstreams: [(NAME.to_owned(), config(&server.url))].into(), ..UpstreamsConfig::default() };
    let upstreams = start_with(upstreams, Arc::clone(&diary) as Arc<dyn UpstreamObserver>).await;
    upstreams.send(&context(), NAME, get("/")).await.unwrap();
    let told = diary.lines.lock().unwrap().clone();
    let expected = [
        r#"attempt 1 images GET Some(500) Some("upstream.status")"#,
        "retry 1 images upstream.status",
        "attempt 2 images GET Some(200) None",
        "request images None",
    ];
    assert_eq!(told, expected);
    let sent: Vec<TraceContext> = server.seen().iter().map(|seen| seen.header("traceparent").unwrap().parse().unwrap()).collect();
    assert_eq!(*diary.spans.lock().unwrap(), sent, "the span that is told of is the one that goes downstream");
    let status = upstreams.upstream_status(NAME).unwrap();
    assert_eq!(status.latency.unwrap().count, 1);
    assert_eq!((status.endpoints.len(), status.endpoints[0].consecutive_failures, status.in_flight), (1, 0, 0));
}

#[tokio::test]
async fn whoever_wants_any_answer_gets_the_last_one() {
    let server = Server::start(|seen| Reply::answer(if seen.head.contains("/gone") { 410 } else { 503 }, "x-why: load\r\n", "later")).await;
    let upstreams = UpstreamsConfig { upstreams: [(NAME.to_owned(), config(&server.url))].into(), ..UpstreamsConfig::default() };
    let upstreams = start_with(upstreams, Arc::new(breakwater_upstream::NoUpstreamObserver)).await;
    let any = |path| OutboundRequest { any_status: true, ..get(path) };
    let response = upstreams.send(&context(), NAME, any("/")).await.unwrap();
    assert_eq!((response.status, super::text(&response), response.attempts, server.requests()), (503, "later", 3, 3));
    assert!(response.headers.contains(&("x-why".to_owned(), "load".to_owned())));
    assert_eq!(upstreams.upstream_status(NAME).unwrap().consecutive_failures, 1, "it counts against the upstream all the same");
    let response = upstreams.send(&context(), NAME, any("/gone")).await.unwrap();
    assert_eq!((response.status, response.attempts), (410, 1));
}

#[tokio::test]
async fn whoever_only_passes_a_request_on_gets_the_first_answer() {
    let server = Server::start(|_| Reply::answer(500, "", "a defect")).await;
    let upstreams = UpstreamsConfig { upstreams: [(NAME.to_owned(), config(&server.url))].into(), ..UpstreamsConfig::default() };
    let upstreams = start_with(upstreams, Arc::new(breakwater_upstream::NoUpstreamObserver)).await;
    for _ in 0..10 {
        let request = OutboundRequest { any_status: true, answer_is_final: true, ..get("/") };
        let response = upstreams.send(&context(), NAME, request).await.unwrap();
        assert_eq!((response.status, response.attempts), (500, 1));
    }
    let status = upstreams.upstream_status(NAME).unwrap();
    assert_eq!((status.consecutive_failures, status.breaker, status.endpoints[0].consecutive_failures), (0, "closed", 0));
}
