//! What one call has cost its upstreams so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the attempts that one root call causes, over all providers and nested calls, and bounds those beyond the first of each
/// request. Clones share one count. The retry budget of each upstream bounds the same attempts over all calls.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    attempts: AtomicU32,
    extra_left: AtomicU32,
}

impl Ledger {
    /// Retries and hedges that one root call may cause when nothing else is said.
    pub const DEFAULT_EXTRA: u32 = 16;

    /// Nothing spent, and `extra` retries and hedges left.
    #[must_use]
    pub fn new(extra: u32) -> Self {
        Self(Arc::new(Counts { attempts: AtomicU32::new(0), extra_left: AtomicU32::new(extra) }))
    }

    /// An attempt is sent.
    pub fn record_attempt(&self) {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Attempts sent so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// Takes the right to one retry or hedge. `false` when none is left.
    #[must_use]
    pub fn take_extra(&self) -> bool {
        self.0.extra_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Gives a right back that was taken but not used.
    pub fn return_extra(&self) {
        self.0.extra_left.fetch_add(1, Ordering::Relaxed);
    }

    /// Retries and hedges left.
    #[must_use]
    pub fn extra_left(&self) -> u32 {
        self.0.extra_left.load(Ordering::Relaxed)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(Self::DEFAULT_EXTRA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_count_and_extra_attempts_end() {
        let ledger = Ledger::new(2);
        let nested = ledger.clone();
        nested.record_attempt();
        ledger.record_attempt();
        assert_eq!(ledger.attempts(), 2);
        assert!(nested.take_extra() && ledger.take_extra() && !nested.take_extra());
        nested.return_extra();
        assert_eq!(ledger.extra_left(), 1);
    }
}
