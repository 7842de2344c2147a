//! Who called, under which name, and since when.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use breakwater_core::{CallContext, CorrelationId, Principal, TraceContext};
use breakwater_telemetry::Tracer;

/// The header that names a call, in both directions.
pub const CORRELATION_HEADER: &str = "x-correlation-id";

/// The address of the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What is known of a request before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The client's id if it sent a usable one, otherwise a new one.
    pub(crate) correlation_id: CorrelationId,
    /// The span of this request: below the client's if it sent a well-formed trace context, otherwise the root of a new trace.
    pub(crate) trace: TraceContext,
    /// The client's span, if it sent one.
    pub(crate) parent: Option<TraceContext>,
    /// The other end, where it is known.
    pub(crate) peer: Option<SocketAddr>,
}

impl Incoming {
    /// From the head of a request.
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap, peer: Option<Peer>, tracer: &Tracer) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let correlation_id = text(CORRELATION_HEADER).and_then(|text| text.parse().ok()).unwrap_or_else(CorrelationId::generate);
        let parent: Option<TraceContext> = text("traceparent").and_then(|text| text.parse().ok());
        Self { correlation_id, trace: tracer.root(parent), parent, peer: peer.map(|Peer(address)| address) }
    }

    /// The root of the call this request makes; its time begins now, when its body was read.
    #[must_use]
    pub(crate) fn context(&self, budget: Duration) -> CallContext {
        let root = CallContext::root(Principal::Anonymous, budget);
        CallContext { correlation_id: self.correlation_id.clone(), trace: self.trace, ..root }
    }

    /// The trace's id, for logs.
    #[must_use]
    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace.trace_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &HeaderMap) -> Incoming {
        Incoming::of(headers, None, &Tracer::disabled())
    }

    #[test]
    fn an_id_that_cannot_be_used_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(CORRELATION_HEADER, "order-42".parse().unwrap());
        assert_eq!(of(&headers).correlation_id.as_str(), "order-42");
        headers.insert(CORRELATION_HEADER, "has space".parse().unwrap());
        assert_eq!(of(&headers).correlation_id.as_str().len(), 36);
    }

    #[test]
    fn a_well_formed_trace_is_continued() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        let incoming = of(&headers);
        assert_eq!(incoming.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(incoming.parent.map(|parent| parent.span_id()), Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(incoming.context(Duration::from_secs(1)).trace, incoming.trace);
        headers.insert("traceparent", "nonsense".parse().unwrap());
        assert_eq!(of(&headers).parent, None);
    }
}
