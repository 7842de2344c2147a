//! What calls of a registered service found.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Counts of one service, written by whoever calls it.
#[derive(Debug, Default)]
pub struct ServiceStatistics {
    requests: AtomicU64,
    failures: AtomicU64,
    microseconds: AtomicU64,
}

/// Those counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ServiceMetrics {
    /// Attempts that ended.
    pub requests: u64,
    /// Those of them for which the service is to blame: no answer, or an answer 5xx, 408 or 429.
    pub failures: u64,
    /// How long they took on average, in milliseconds. Nothing before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
}

impl ServiceStatistics {
    pub(crate) fn record(&self, elapsed: Duration, failed: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.microseconds.fetch_add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn metrics(&self) -> ServiceMetrics {
        let requests = self.requests.load(Ordering::Relaxed);
        let average = self.microseconds.load(Ordering::Relaxed) as f64 / requests as f64 / 1e3;
        ServiceMetrics { requests, failures: self.failures.load(Ordering::Relaxed), response_ms: (requests > 0).then_some(average) }
    }
}
