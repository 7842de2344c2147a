//! Upstreams whose endpoints come from the registry.

use std::sync::{Arc, Mutex};

use breakwater_upstream::{
    Heartbeat, MemoryRecords, NoUpstreamObserver, Registration, RegistryChange, Service, UpstreamConfig, UpstreamObserver, UpstreamSource,
    Upstreams, UpstreamsConfig,
};
use tokio_util::sync::CancellationToken;

use super::server::{Reply, Server};
use super::{NAME, config, context, get, send, start, start_with, text};

fn registration(id: &str, name: &str, url: &str) -> Registration {
    Registration { id: Some(id.to_owned()), ..Registration::new(name, url) }
}

const WELL: Heartbeat = Heartbeat { healthy: true, response_ms: Some(4.0) };
const UNWELL: Heartbeat = Heartbeat { healthy: false, response_ms: None };

#[tokio::test]
async fn endpoints_follow_the_registry_live() {
    let (one, two) = (Server::always(Reply::ok("one")).await, Server::always(Reply::ok("two")).await);
    let upstreams = start(UpstreamConfig { endpoints: Vec::new(), service: Some("vision".to_owned()), ..config("http://unused") }).await;
    assert!(!upstreams.is_configured(NAME));
    assert_eq!(send(&upstreams, get("/")).await.unwrap_err().code, "upstream.no-endpoint");

    let registry = upstreams.registry();
    registry.register(registration("one", "vision", &one.url)).await.unwrap();
    assert!(upstreams.is_configured(NAME));
    assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "one");

    registry.register(registration("two", "vision", &two.url)).await.unwrap();
    registry.heartbeat("one", UNWELL).await.unwrap();
    for _ in 0..4 {
        assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "two");
    }
    let status = upstreams.upstream_status(NAME).unwrap();
    assert_eq!(
        status.endpoints.iter().map(|endpoint| (endpoint.id.as_str(), endpoint.healthy)).collect::<Vec<_>>(),
        [("one", false), ("two", true)]
    );

    registry.heartbeat("one", WELL).await.unwrap();
    registry.deregister("two").await.unwrap();
    assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "one");
    let metrics = registry.get("one").unwrap().metrics;
    assert_eq!((metrics.requests, metrics.failures), (2, 0));
    assert!(metrics.response_ms.unwrap() > 0.0);
}

#[tokio::test]
async fn a_service_that_registers_is_an_upstream_of_its_name() {
    let server = Server::always(Reply::ok("hello")).await;
    let upstreams = start(config("http://unused")).await;
    assert!(!upstreams.is_configured("search"));
    upstreams.registry().register(registration("a", "search", &server.url)).await.unwrap();
    assert!(upstreams.is_configured("search") && upstreams.is_healthy("search") && upstreams.may_be_called_by("search", "anyone"));
    assert_eq!(text(&upstreams.send(&context(), "search", get("/")).await.unwrap()), "hello");
    assert_eq!(upstreams.upstream_status("search").unwrap().source, UpstreamSource::Registry);
    assert_eq!(upstreams.status().iter().map(|status| status.name.as_str()).collect::<Vec<_>>(), [NAME, "search"]);
    upstreams.registry().deregister("a").await.unwrap();
    assert_eq!(upstreams.send(&context(), "search", get("/")).await.unwrap_err().code, "upstream.unknown");
}

#[tokio::test]
async fn a_name_in_the_configuration_is_not_taken_by_the_registry() {
    let (ours, theirs) = (Server::always(Reply::ok("ours")).await, Server::always(Reply::ok("theirs")).await);
    let upstreams = start(config(&ours.url)).await;
    upstreams.registry().register(registration("a", NAME, &theirs.url)).await.unwrap();
    for _ in 0..4 {
        assert_eq!(text(&send(&upstreams, get("/")).await.unwrap()), "ours");
    }
    upstreams.registry().deregister("a").await.unwrap();
    assert!(upstreams.is_configured(NAME));
}

#[tokio::test]
async fn a_service_that_moves_to_another_name_leaves_its_old_one() {
    let server = Server::always(Reply::ok("hello")).await;
    let upstreams = start(config("http://unused")).await;
    upstreams.registry().register(registration("a", "old", &server.url)).await.unwrap();
    upstreams.registry().register(registration("a", "new", &server.url)).await.unwrap();
    assert!(upstreams.is_configured("new") && !upstreams.is_configured("old"));
}

#[tokio::test]
async fn services_are_endpoints_again_after_a_restart() {
    let server = Server::always(Reply::ok("hello")).await;
    let records = Arc::new(MemoryRecords::default());
    for round in 0..2 {
        let stop = CancellationToken::new();
        let upstreams = Upstreams::start(UpstreamsConfig::default(), Arc::clone(&records) as _, Arc::new(NoUpstreamObserver), stop.clone());
        let upstreams = upstreams.await.unwrap();
        if round == 0 {
            upstreams.registry().register(registration("a", "search", &server.url)).await.unwrap();
        }
        assert_eq!(text(&upstreams.send(&context(), "search", get("/")).await.unwrap()), "hello");
        stop.cancel();
        upstreams.stopped().await;
    }
}

#[derive(Default)]
struct Changes(Mutex<Vec<(RegistryChange, String)>>);

impl UpstreamObserver for Changes {
    fn registry_changed(&self, change: RegistryChange, service: &Service) {
        self.0.lock().unwrap().push((change, service.id.clone()));
    }
}

#[tokio::test]
async fn changes_of_the_registry_are_told() {
    let changes = Arc::new(Changes::default());
    let upstreams = start_with(UpstreamsConfig::default(), Arc::clone(&changes) as Arc<dyn UpstreamObserver>).await;
    let registry = upstreams.registry();
    registry.register(registration("a", "x", "http://localhost:1")).await.unwrap();
    registry.register(registration("a", "x", "http://localhost:2")).await.unwrap();
    for heartbeat in [WELL, UNWELL, UNWELL, WELL, WELL] {
        registry.heartbeat("a", heartbeat).await.unwrap();
    }
    registry.deregister("a").await.unwrap();
    use RegistryChange::{Deregistered, Healthy, Registered, Unhealthy, Updated};
    let expected = [Registered, Updated, Unhealthy, Healthy, Deregistered].map(|change| (change, "a".to_owned()));
    assert_eq!(*changes.0.lock().unwrap(), expected);
}
