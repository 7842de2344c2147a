//! Load shedding: calls are turned away here in proportion to what the other side refuses, the least important first.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use tokio::time::Instant;

use crate::rolling::Rolling;

/// How much a call matters when not everything can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Batch work, prefetching, shadows: the first to go.
    Sheddable,
    /// A user waits.
    #[default]
    Normal,
    /// Must work while anything does: health, payments, what others stand on.
    Critical,
}

impl Priority {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }

    /// The share of a bulkhead's queue that it may fill.
    pub(crate) const fn queue(self, max_queue: usize) -> usize {
        match self {
            Self::Sheddable => max_queue / 2,
            Self::Normal | Self::Critical => max_queue,
        }
    }
}

/// Settings of load shedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShedConfig {
    /// How far back calls count.
    pub window: Duration,
    /// Into how many parts the window is cut; 1 to 1000.
    pub buckets: u32,
}

impl Default for ShedConfig {
    /// The last two minutes (Google SRE, "Handling Overload"), in 12 parts.
    fn default() -> Self {
        Self { window: Duration::from_secs(120), buckets: 12 }
    }
}

/// The share of calls to turn away: `max(0, (n − k · ok) / (n + 1))`, where `n` calls were wanted and `ok` of them accepted.
///
/// `k` says how many calls are let through for each that was accepted: 1/0.95 for normal calls, so that one refusal in twenty is borne, and
/// 2 for critical ones (Google's SRE book). Of sheddable calls twice the share of normal ones goes.
#[must_use]
pub fn shed_probability(wanted: u32, accepted: u32, priority: Priority) -> f64 {
    let wanted = f64::from(wanted);
    let share = |multiplier: f64| ((wanted - multiplier * f64::from(accepted)) / (wanted + 1.0)).max(0.0);
    match priority {
        Priority::Sheddable => (2.0 * share(1.0 / 0.95)).min(1.0),
        Priority::Normal => share(1.0 / 0.95),
        Priority::Critical => share(2.0),
    }
}

/// Counts what is wanted and what is accepted.
pub(crate) struct Shedder {
    counts: Mutex<Rolling<2>>,
}

impl Shedder {
    pub(crate) fn new(config: ShedConfig) -> Self {
        Self { counts: Mutex::new(Rolling::new(config.window, config.buckets, Instant::now())) }
    }

    fn add(&self, amounts: [u32; 2], now: Instant) -> [u32; 2] {
        // Every change of plain counters is complete before anything can panic.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).add(amounts, now)
    }

    /// Whether this call may be sent. One that may not counts as wanted, so that those who keep asking are kept back longer.
    pub(crate) fn try_acquire(&self, priority: Priority, now: Instant) -> Option<ShedPermit<'_>> {
        let [wanted, accepted] = self.add([0, 0], now);
        let probability = shed_probability(wanted, accepted, priority);
        if probability > 0.0 && fastrand::f64() < probability {
            self.add([1, 0], now);
            return None;
        }
        Some(ShedPermit(self))
    }
}

/// A call that was let through. Dropped, it says nothing: whoever cancels a call has not been refused by the other side.
#[derive(Debug)]
pub(crate) struct ShedPermit<'a>(&'a Shedder);

impl ShedPermit<'_> {
    /// The other side took the call, whatever it answered.
    pub(crate) fn accepted(self, now: Instant) {
        self.0.add([1, 1], now);
    }

    /// The other side did not take the call.
    pub(crate) fn refused(self, now: Instant) {
        self.0.add([1, 0], now);
    }
}

impl fmt::Debug for Shedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shedder").finish_non_exhaustive()
    }
}

/// The failure of a call that was turned away.
pub(crate) fn shed(message: &str) -> Failure {
    Failure::new(FailureKind::Unavailable, "load.shed", message).retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
