//! W3C Trace Context (level 1): which trace a call belongs to, and which span of it is running.

use std::fmt;
use std::str::FromStr;

/// The longest header that is read, in bytes.
const MAX_LENGTH: usize = 256;

/// The current span of a trace. Every call has one, so that it can be followed downstream even when nothing is exported here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// Text that is no `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is VERSION-TRACE-PARENT-FLAGS in lower-case hexadecimal digits, ids not all zero")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// The root span of a new trace.
    #[must_use]
    pub fn generate(sampled: bool) -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), sampled }
    }

    /// A new span below this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: fastrand::u64(1..), ..*self }
    }

    /// The trace, the same for every span of it. Never zero.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// This span. Never zero.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether whoever began the trace records it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceContext {
    /// As a `traceparent` header of version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Reads a `traceparent` header. Later versions may append fields, which are ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(parent), Some(flags)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidTraceparent);
        };
        let shaped = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
        let ends = version != "00" || parts.next().is_none();
        if !shaped || !ends || version == "ff" || text.len() > MAX_LENGTH {
            return Err(InvalidTraceparent);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceparent)?;
        let span_id = u64::from_str_radix(parent, 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written() {
        let trace: TraceContext = GOOD.parse().unwrap();
        assert_eq!(
            (trace.trace_id(), trace.span_id(), trace.is_sampled()),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, true)
        );
        assert_eq!(trace.to_string(), GOOD);
        let later: TraceContext = format!("01{}-more", &GOOD[2..]).parse().unwrap();
        assert_eq!(later, trace);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceparent), "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let root = TraceContext::generate(true);
        let child = root.child();
        assert_eq!((child.trace_id(), child.is_sampled()), (root.trace_id(), true));
        assert_ne!(child.span_id(), root.span_id());
    }
}
