//! Who called, under which name, and since when.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use breakwater_core::{CallContext, CorrelationId, Principal};

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
    /// The client's trace context, if it is well-formed.
    pub(crate) traceparent: Option<String>,
    /// The other end, where it is known.
    pub(crate) peer: Option<SocketAddr>,
}

impl Incoming {
    /// From the head of a request.
    #[must_use]
    pub(crate) fn of(headers: &HeaderMap, peer: Option<Peer>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let correlation_id = text(CORRELATION_HEADER).and_then(|text| text.parse().ok()).unwrap_or_else(CorrelationId::generate);
        let traceparent = text("traceparent").filter(|text| is_traceparent(text)).map(str::to_owned);
        Self { correlation_id, traceparent, peer: peer.map(|Peer(address)| address) }
    }

    /// The root of the call this request makes; its time begins now, when its body was read.
    #[must_use]
    pub(crate) fn context(&self, budget: Duration) -> CallContext {
        let root = CallContext::root(Principal::Anonymous, budget);
        CallContext { correlation_id: self.correlation_id.clone(), traceparent: self.traceparent.clone(), ..root }
    }

    /// The trace's id, for logs.
    #[must_use]
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref().and_then(|text| text.split('-').nth(1))
    }
}

/// Whether the text is a trace context of a version we can read: `VERSION-TRACE-PARENT-FLAGS` in lower-case hexadecimal digits, ids not
/// all zero (W3C Trace Context, level 1). Later versions may append fields.
fn is_traceparent(text: &str) -> bool {
    let hex =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut parts = text.split('-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let shaped = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let ends = version != "00" || parts.next().is_none();
    shaped && ends && version != "ff" && !zero(trace) && !zero(parent) && text.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_cannot_be_used_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(CORRELATION_HEADER, "order-42".parse().unwrap());
        assert_eq!(Incoming::of(&headers, None).correlation_id.as_str(), "order-42");
        headers.insert(CORRELATION_HEADER, "has space".parse().unwrap());
        assert_eq!(Incoming::of(&headers, None).correlation_id.as_str().len(), 36);
    }

    #[test]
    fn only_a_well_formed_trace_is_continued() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&format!("01{}-more", &good[2..])));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &format!("{good}-more"),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", good.parse().unwrap());
        let incoming = Incoming::of(&headers, None);
        assert_eq!(incoming.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(incoming.context(Duration::from_secs(1)).traceparent.as_deref(), Some(good));
    }
}
