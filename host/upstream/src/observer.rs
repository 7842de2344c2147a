//! What upstreams tell about their work. Every method does nothing unless it is written.

use std::time::Duration;

use breakwater_core::{CallContext, Failure, TraceContext};
use breakwater_resilience::breaker::Change;
use breakwater_resilience::{AttemptEnded, BudgetRefused, Priority, RetryScheduled, ShedReason};

use crate::registry::{RegistryChange, Service};

/// An attempt is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct AttemptStart<'a> {
    /// The call it is part of. Its `trace` is the parent of the attempt's span.
    pub context: &'a CallContext,
    /// The span of the attempt, which goes downstream as `traceparent`.
    pub trace: TraceContext,
    /// The upstream; for a URL that a caller gave, its scheme, host and port.
    pub upstream: &'a str,
    /// Whether `upstream` is a URL's: such names come without bound and are no labels of metrics.
    pub is_url: bool,
    /// Where it goes.
    pub endpoint_id: &'a str,
    /// Such as `GET`.
    pub method: &'a str,
    /// 1 for the first of the request.
    pub number: u32,
    /// Whether it runs beside an earlier one.
    pub is_hedge: bool,
}

/// An attempt has ended.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnd<'a> {
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why it failed.
    pub failure: Option<&'a Failure>,
    /// How long it took; for an answer that is read as it comes, until its head was there.
    pub elapsed: Duration,
}

/// Follows one attempt, such as its span does. Dropped without [`Self::ended`], the attempt was cancelled.
pub trait AttemptObserver: Send {
    /// It ended.
    fn ended(self: Box<Self>, end: &AttemptEnd<'_>);
}

/// A request has ended: all its attempts, and everything around them.
#[derive(Debug, Clone, Copy)]
pub struct RequestEnd<'a> {
    /// The upstream; for a URL that a caller gave, its scheme, host and port.
    pub upstream: &'a str,
    /// Whether `upstream` is a URL's.
    pub is_url: bool,
    /// Why it failed; the code tells what kind of end it was.
    pub failure: Option<&'a Failure>,
    /// How long it took, queues and waits included.
    pub elapsed: Duration,
}

/// Hears what happens at upstreams. Called on the thread that does the work, outside of all locks; it must not block.
///
/// The methods from [`Self::attempt_ended`] to [`Self::shed`] pass on what the pipeline of a named upstream tells; pipelines of URLs stay
/// silent, because there is no bound on their names.
pub trait UpstreamObserver: Send + Sync + 'static {
    /// An attempt is about to be sent. What is returned follows it.
    fn attempt_started(&self, start: &AttemptStart<'_>) -> Option<Box<dyn AttemptObserver>> {
        let _ = start;
        None
    }

    /// A request has ended.
    fn request_ended(&self, end: &RequestEnd<'_>) {
        let _ = end;
    }

    /// An endpoint became well (`true`) or not well, as its health checks and heartbeats say.
    fn health_changed(&self, upstream: &str, endpoint_id: &str, healthy: bool) {
        let _ = (upstream, endpoint_id, healthy);
    }

    /// The registry changed.
    fn registry_changed(&self, change: RegistryChange, service: &Service) {
        let _ = (change, service);
    }

    /// An attempt ended, as the mechanisms see it.
    fn attempt_ended(&self, upstream: &str, attempt: &AttemptEnded<'_>) {
        let _ = (upstream, attempt);
    }

    /// A retry will be made.
    fn retry_scheduled(&self, upstream: &str, retry: &RetryScheduled<'_>) {
        let _ = (upstream, retry);
    }

    /// An extra attempt was wanted and not paid for.
    fn budget_refused(&self, upstream: &str, refused: BudgetRefused) {
        let _ = (upstream, refused);
    }

    /// The breaker changed its state.
    fn breaker_changed(&self, upstream: &str, change: Change) {
        let _ = (upstream, change);
    }

    /// An endpoint gets no calls for so long.
    fn endpoint_ejected(&self, upstream: &str, endpoint_id: &str, duration: Duration) {
        let _ = (upstream, endpoint_id, duration);
    }

    /// An endpoint that was ejected gets calls again.
    fn endpoint_returned(&self, upstream: &str, endpoint_id: &str) {
        let _ = (upstream, endpoint_id);
    }

    /// A second attempt was sent beside one that takes long.
    fn hedge_sent(&self, upstream: &str, endpoint_id: &str) {
        let _ = (upstream, endpoint_id);
    }

    /// The second attempt answered first.
    fn hedge_won(&self, upstream: &str, endpoint_id: &str) {
        let _ = (upstream, endpoint_id);
    }

    /// A call was turned away before its first attempt.
    fn shed(&self, upstream: &str, reason: ShedReason, priority: Priority) {
        let _ = (upstream, reason, priority);
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoUpstreamObserver;

impl UpstreamObserver for NoUpstreamObserver {}
