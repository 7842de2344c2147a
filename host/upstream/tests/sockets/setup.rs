//! What the tests have in common.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Body, CallContext, Failure, Method, OutboundRequest, OutboundResponse, Principal};
use breakwater_resilience::{Jitter, RetryPolicies, RetryPolicy};
use breakwater_upstream::{MemoryRecords, NoUpstreamObserver, UpstreamConfig, UpstreamObserver, Upstreams, UpstreamsConfig, UrlPolicy};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// The name of the upstream in every test.
pub(crate) const NAME: &str = "images";
/// How much later than its deadline a call may end here. 50 ms are promised, and measured where nothing else runs; a test may share its
/// machine with a compiler.
pub(crate) const SLACK: Duration = Duration::from_millis(300);

/// Two retries almost at once, two seconds for an attempt, no health checks.
pub(crate) fn config(url: &str) -> UpstreamConfig {
    let mut config = UpstreamConfig { health: None, ..UpstreamConfig::at([url]) };
    let policy = RetryPolicy { max_retries: 2, base: Duration::from_millis(1), jitter: Jitter::None, ..RetryPolicy::default() };
    config.pipeline.retry = RetryPolicies::same(policy);
    config.pipeline.attempt_timeout = Duration::from_secs(2);
    config
}

pub(crate) async fn start_with(config: UpstreamsConfig, observer: Arc<dyn UpstreamObserver>) -> Arc<Upstreams> {
    Upstreams::start(config, Arc::new(MemoryRecords::default()), observer, CancellationToken::new()).await.unwrap()
}

pub(crate) async fn start(config: UpstreamConfig) -> Arc<Upstreams> {
    let config = UpstreamsConfig { upstreams: [(NAME.to_owned(), config)].into(), urls: UrlPolicy::default() };
    start_with(config, Arc::new(NoUpstreamObserver)).await
}

pub(crate) fn context() -> CallContext {
    CallContext::root(Principal::Anonymous, Duration::from_secs(10))
}

pub(crate) fn get(path: &str) -> OutboundRequest {
    OutboundRequest::new(Method::Get, path)
}

pub(crate) fn post(body: &'static str) -> OutboundRequest {
    OutboundRequest { body: Bytes::from_static(body.as_bytes()).into(), ..OutboundRequest::new(Method::Post, "/") }
}

pub(crate) async fn send(upstreams: &Upstreams, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
    upstreams.send(&context(), NAME, request).await
}

pub(crate) fn text(response: &OutboundResponse) -> &str {
    let Body::Bytes(bytes) = &response.body else { panic!("the body is no text") };
    std::str::from_utf8(bytes).unwrap()
}

/// Waits until something holds, at most five seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
