//! Health checks in the background.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_upstream::{HealthConfig, MemoryRecords, UpstreamConfig, UpstreamObserver, UpstreamState, Upstreams, UpstreamsConfig};
use tokio_util::sync::CancellationToken;

use super::server::{Reply, Server, nobody};
use super::{NAME, config, context, eventually, get, send, start, start_with, text};

#[derive(Default)]
struct Changes(Mutex<Vec<bool>>);

impl UpstreamObserver for Changes {
    fn health_changed(&self, upstream: &str, _endpoint_id: &str, healthy: bool) {
        assert_eq!(upstream, NAME);
        self.0.lock().unwrap().push(healthy);
    }
}

fn often() -> HealthConfig {
    HealthConfig {
        interval: Duration::from_millis(20),
        unhealthy_interval: Duration::from_millis(10),
        timeout: Duration::from_millis(200),
        ..HealthConfig::default()
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_well_gets_no_calls_and_returns_by_itself() {
    let status = Arc::new(AtomicU16::new(200));
    let answer = Arc::clone(&status);
    let server = Server::start(move |seen| match seen.head.starts_with("GET /health ") {
        true => Reply::answer(answer.load(Ordering::SeqCst), "", ""),
        false => Reply::ok("ok"),
    })
    .await;
    let changes = Arc::new(Changes::default());
    let config = UpstreamConfig { health: Some(often()), ..config(&server.url) };
    let upstreams = UpstreamsConfig { upstreams: [(NAME.to_owned(), config)].into(), ..UpstreamsConfig::default() };
    let upstreams = start_with(upstreams, Arc::clone(&changes) as Arc<dyn UpstreamObserver>).await;
    assert!(upstreams.is_healthy(NAME), "an upstream is well until something else is known");

    status.store(503, Ordering::SeqCst);
    eventually("it is found to be unwell", || !upstreams.is_healthy(NAME)).await;
    let failure = send(&upstreams, get("/")).await.unwrap_err();
    assert_eq!(failure.code, "upstream.no-endpoint");
    assert_eq!(upstreams.upstream_status(NAME).unwrap().state, UpstreamState::Down);

    let before = server.requests();
    eventually("checks go on", || server.requests() > before + 2).await;
    status.store(200, Ordering::SeqCst);
    eventually("it is well again", || upstreams.is_healthy(NAME)).await;
    assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "ok");
    assert_eq!(upstreams.upstream_status(NAME).unwrap().state, UpstreamState::Up);
    assert_eq!(*changes.0.lock().unwrap(), [false, true], "each change is told once");
}

#[tokio::test]
async fn calls_go_to_the_endpoint_that_is_well() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let sick = Server::start(move |_| Reply::answer(if is_broken.load(Ordering::SeqCst) { 500 } else { 200 }, "", "")).await;
    let well = Server::always(Reply::ok("well")).await;
    let mut config = UpstreamConfig { health: Some(often()), ..config(&sick.url) };
    config.endpoints.push(breakwater_upstream::EndpointConfig::new(&well.url));
    let upstreams = start(config).await;
    let state = || upstreams.upstream_status(NAME).unwrap().state;
    eventually("one endpoint is found to be unwell", || state() == UpstreamState::Degraded).await;
    assert!(upstreams.is_healthy(NAME));
    for _ in 0..6 {
        assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "well");
    }
    broken.store(false, Ordering::SeqCst);
    eventually("both are well", || state() == UpstreamState::Up).await;
}

#[tokio::test]
async fn a_check_on_demand_counts_and_says_what_it_found() {
    let server = Server::always(Reply::answer(500, "", "")).await;
    let gone = nobody().await;
    let mut config = UpstreamConfig { health: Some(HealthConfig::default()), ..config(&server.url) };
    config.endpoints.push(breakwater_upstream::EndpointConfig::new(&gone));
    let upstreams = start(config).await;
    let report = upstreams.check(NAME).await.unwrap();
    assert!(!report.healthy && !upstreams.is_healthy(NAME));
    let of = |id: &str| report.endpoints.iter().find(|check| check.id == id).unwrap().clone();
    assert_eq!((of(&server.url).status, of(&server.url).ok), (Some(500), false));
    assert!(of(&gone).error.unwrap().contains("upstream.connection"));
    assert_eq!(upstreams.check("nobody").await.unwrap_err().code, "upstream.unknown");
}

#[tokio::test]
async fn warming_up_opens_the_connection_that_the_first_call_uses() {
    let server = Server::always(Reply::ok("ok")).await;
    let upstreams = start(config(&server.url)).await;
    assert!(upstreams.warm_up(NAME).await.unwrap().endpoints[0].ok);
    assert_eq!((server.connections(), server.requests()), (1, 1));
    send(&upstreams, get("/")).await.unwrap();
    assert_eq!((server.connections(), server.requests()), (1, 2));
}

#[tokio::test]
async fn a_busy_upstream_is_checked_all_the_same() {
    let server = Server::start(|seen| if seen.head.contains("/health") { Reply::ok("") } else { Reply::Silence }).await;
    let mut config = UpstreamConfig { health: Some(HealthConfig::default()), ..config(&server.url) };
    config.pipeline.bulkhead.max_concurrent = 1;
    config.pipeline.attempt_timeout = Duration::from_secs(5);
    let upstreams = start(config).await;
    let call = tokio::spawn({
        let upstreams = Arc::clone(&upstreams);
        async move { upstreams.send(&context(), NAME, get("/slow")).await }
    });
    eventually("the call is under way", || upstreams.upstream_status(NAME).unwrap().in_flight == 1).await;
    assert!(upstreams.check(NAME).await.unwrap().healthy);
    call.abort();
}

#[tokio::test]
async fn background_tasks_end_when_they_are_told_to() {
    let server = Server::always(Reply::Silence).await;
    let config = UpstreamConfig { health: Some(HealthConfig::default()), ..config(&server.url) };
    let config = UpstreamsConfig { upstreams: [(NAME.to_owned(), config)].into(), ..UpstreamsConfig::default() };
    let stop = CancellationToken::new();
    let observer = Arc::new(breakwater_upstream::NoUpstreamObserver);
    let upstreams = Upstreams::start(config, Arc::new(MemoryRecords::default()), observer, stop.clone()).await.unwrap();
    eventually("a check is under way", || server.requests() == 1).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(1), upstreams.stopped()).await.unwrap();
}
