//! The running call.

use std::time::Duration;

pub use crate::bindings::breakwater::plugin::types::CallContext;

/// How long the caller still waits. Zero means that nobody reads the answer any more.
///
/// Asks the host; only works inside a plugin.
#[must_use]
pub fn remaining() -> Duration {
    Duration::from_millis(crate::bindings::breakwater::plugin::call::remaining_ms().into())
}

impl Default for CallContext {
    /// The first attempt of a call without a name, as tests use it.
    fn default() -> Self {
        Self {
            correlation_id: String::new(),
            traceparent: None,
            subject: None,
            tenant: None,
            idempotency_key: None,
            attempt: 1,
            labels: Vec::new(),
        }
    }
}
