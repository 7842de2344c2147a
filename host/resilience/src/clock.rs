//! Tokio's clock as a number that fits an atomic.

use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since this clock was made, starting at 1 so that 0 can mean never. Lasts 584 years.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.0)).saturating_add(1)
    }

    /// The instant a number stands for.
    pub(crate) fn instant(&self, nanos: u64) -> Instant {
        self.0 + Duration::from_nanos(nanos.saturating_sub(1))
    }
}

/// Whole nanoseconds; what does not fit is as good as for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
