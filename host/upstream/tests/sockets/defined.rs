//! Upstreams whose endpoints are those of services that were defined.

use std::sync::Arc;

use breakwater_core::{CallContext, Effect, OperationEffect, OutboundRequest};
use breakwater_upstream::{
    BreakerCommand, MemoryServiceCatalogueRecords, NoActionCompiler, Registration, ServiceCatalogue, ServiceDraft, ServicePatch,
    ServiceStatus, Upstreams,
};

use super::server::{Reply, Server};
use super::{NAME, config, context, eventually, get, post, start, text};

async fn catalogue() -> Arc<ServiceCatalogue> {
    ServiceCatalogue::open(Arc::new(MemoryServiceCatalogueRecords::default()), Arc::new(NoActionCompiler)).await.unwrap()
}

fn draft(name: &str, endpoint: &str) -> ServiceDraft {
    ServiceDraft { name: name.to_owned(), endpoint: endpoint.to_owned(), ..ServiceDraft::default() }
}

fn status(status: ServiceStatus) -> ServicePatch {
    ServicePatch { status: Some(status), ..ServicePatch::default() }
}

async fn ask(upstreams: &Upstreams, name: &str) -> Result<String, String> {
    let answer = upstreams.send(&context(), name, get("/")).await;
    answer.map(|answer| text(&answer).to_owned()).map_err(|failure| failure.code.into_owned())
}

#[tokio::test]
async fn an_active_service_is_an_upstream_of_its_name_wherever_it_is() {
    let (one, two) = (Server::always(Reply::ok("one")).await, Server::always(Reply::ok("two")).await);
    let (upstreams, catalogue) = (start(config("http://unused")).await, catalogue().await);
    catalogue.create(draft("early", &one.url)).await.unwrap();
    upstreams.follow_services(&catalogue);
    assert_eq!(ask(&upstreams, "early").await, Ok("one".into()), "what was there before it was followed");

    let id = catalogue.create(draft("text", &one.url)).await.unwrap().definition.id.clone();
    assert_eq!(ask(&upstreams, "text").await, Ok("one".into()));
    upstreams.breaker("text", BreakerCommand::Open).unwrap();
    catalogue.update(&id, ServicePatch { endpoint: Some(two.url.clone()), ..ServicePatch::default() }).await.unwrap();
    assert_eq!(ask(&upstreams, "text").await, Err("upstream.circuit-open".into()), "an operator's word holds");
    upstreams.breaker("text", BreakerCommand::Reset).unwrap();
    assert_eq!(ask(&upstreams, "text").await, Ok("two".into()));

    catalogue.update(&id, ServicePatch { name: Some("other".to_owned()), ..ServicePatch::default() }).await.unwrap();
    assert_eq!((ask(&upstreams, "text").await, ask(&upstreams, "other").await), (Err("upstream.unknown".into()), Ok("two".into())));
    catalogue.update(&id, status(ServiceStatus::Inactive)).await.unwrap();
    assert_eq!(ask(&upstreams, "other").await, Err("upstream.unknown".into()));
    catalogue.update(&id, status(ServiceStatus::Active)).await.unwrap();
    assert_eq!(ask(&upstreams, "other").await, Ok("two".into()));
    catalogue.remove(&id).await.unwrap();
    assert_eq!(ask(&upstreams, "other").await, Err("upstream.unknown".into()));
}

/// A server that has no route for health, and answers so otherwise.
async fn server(refusal: u16, reply: Reply) -> Server {
    Server::start(move |seen| if seen.head.starts_with("GET /health") { Reply::answer(refusal, "", "") } else { reply.clone() }).await
}

#[tokio::test]
async fn a_service_without_a_health_route_stays_callable() {
    for refusal in [400, 401, 403, 404, 405, 501] {
        let server = server(refusal, Reply::ok("well")).await;
        let (upstreams, catalogue) = (start(config("http://unused")).await, catalogue().await);
        upstreams.follow_services(&catalogue);
        catalogue.create(draft("text", &server.url)).await.unwrap();
        for _ in 0..3 {
            let report = upstreams.check("text").await.unwrap();
            assert_eq!((report.healthy, report.endpoints[0].status), (true, Some(refusal)));
        }
        assert_eq!(ask(&upstreams, "text").await, Ok("well".into()));
    }
}

#[tokio::test]
async fn a_service_that_starts_after_it_was_defined_is_called_soon() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (upstreams, catalogue) = (start(config("http://unused")).await, catalogue().await);
    upstreams.follow_services(&catalogue);
    catalogue.create(draft("text", &url)).await.unwrap();
    eventually("its absence is noticed", || !upstreams.is_healthy("text")).await;
    let listener = tokio::net::TcpListener::bind(url.trim_start_matches("http://")).await.unwrap();
    let _server = Server::on(listener, |_| Reply::ok("well"));
    eventually("its presence is noticed", || upstreams.is_healthy("text")).await;
    assert_eq!(ask(&upstreams, "text").await, Ok("well".into()));
}

#[tokio::test]
async fn a_breaker_that_opened_forgets_when_the_service_moves() {
    let (bad, good) = (server(404, Reply::Reset(Vec::new())).await, Server::always(Reply::ok("good")).await);
    let (upstreams, catalogue) = (start(config("http://unused")).await, catalogue().await);
    upstreams.follow_services(&catalogue);
    catalogue.create(draft("text", &bad.url)).await.unwrap();
    let mut codes = Vec::new();
    while codes.last().is_none_or(|code: &String| code != "upstream.circuit-open") {
        let request = OutboundRequest { effect: Some(OperationEffect::Create), ..post("{}") };
        codes.push(upstreams.send(&context(), "text", request).await.unwrap_err().code.into_owned());
        assert!(codes.len() < 50, "{codes:?}");
    }
    catalogue.update("text", ServicePatch { endpoint: Some(good.url.clone()), ..ServicePatch::default() }).await.unwrap();
    assert_eq!(ask(&upstreams, "text").await, Ok("good".into()));
}

#[tokio::test]
async fn a_defined_service_joins_the_instances_and_the_configuration_of_its_name() {
    let (ours, defined, registered) =
        (Server::always(Reply::ok("a")).await, Server::always(Reply::ok("b")).await, Server::always(Reply::ok("c")).await);
    let config = breakwater_upstream::UpstreamConfig { service: Some(NAME.to_owned()), ..config(&ours.url) };
    let (upstreams, catalogue) = (start(config).await, catalogue().await);
    upstreams.follow_services(&catalogue);
    catalogue.create(draft(NAME, &defined.url)).await.unwrap();
    upstreams.registry().register(Registration::new(NAME, &registered.url)).await.unwrap();
    let mut heard: Vec<_> = Vec::new();
    for _ in 0..6 {
        heard.push(ask(&upstreams, NAME).await.unwrap());
    }
    heard.sort();
    assert_eq!(heard, ["a", "a", "b", "b", "c", "c"]);
    catalogue.remove(NAME).await.unwrap();
    assert_eq!(upstreams.upstream_status(NAME).unwrap().endpoints.len(), 2);
}

/// How often a service is asked that always answers 503, and what is known of the effect then.
async fn asked(request: OutboundRequest) -> (usize, Effect) {
    let server = server(404, Reply::answer(503, "", "")).await;
    let (upstreams, catalogue) = (start(config("http://unused")).await, catalogue().await);
    upstreams.follow_services(&catalogue);
    catalogue.create(draft("text", &server.url)).await.unwrap();
    let context = CallContext::root(breakwater_core::Principal::Anonymous, std::time::Duration::from_secs(60));
    let failure = upstreams.send(&context, "text", request).await.unwrap_err();
    (server.seen().iter().filter(|seen| seen.head.starts_with("POST")).count(), failure.effect)
}

#[tokio::test]
async fn what_a_request_does_decides_how_often_it_is_sent() {
    let with = |effect, key: Option<&str>| OutboundRequest { effect: Some(effect), idempotency_key: key.map(str::to_owned), ..post("{}") };
    let (once, read, deleted, created) = tokio::join!(
        asked(with(OperationEffect::Create, None)),
        asked(OutboundRequest { is_read: true, ..post("{}") }),
        asked(with(OperationEffect::Delete, Some("k"))),
        asked(with(OperationEffect::Create, Some("k"))),
    );
    assert_eq!((once, read), ((1, Effect::Unknown), (3, Effect::None)));
    assert_eq!((deleted, created), ((3, Effect::Unknown), (4, Effect::Unknown)));
}
