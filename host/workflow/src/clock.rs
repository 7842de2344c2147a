//! What time it is, for what is kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Gives the time of day. Timers must outlive restarts, so that they are points in time and not spans.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// A moment, by both clocks; none reads the system's clock each time.
    fixed: Option<(u64, Instant)>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { fixed: None }
    }

    /// Begins at `now_ms` and goes on as tokio's clock does, so that a test on paused time sees days pass in no time.
    #[must_use]
    pub fn beginning_at(now_ms: u64) -> Self {
        Self { fixed: Some((now_ms, Instant::now())) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        match self.fixed {
            Some((began_ms, began)) => began_ms.saturating_add(millis(began.elapsed())),
            None => millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        }
    }

    /// Waits until `at_ms`. A clock that is set forward or back meanwhile is noticed within a minute.
    pub(crate) async fn until(&self, at_ms: u64) {
        const LONGEST: Duration = Duration::from_secs(60);
        loop {
            let left = at_ms.saturating_sub(self.now_ms());
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left).min(LONGEST)).await;
        }
    }
}

/// Whole milliseconds of a span.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_for_tests_follows_tokios() {
        let clock = Clock::beginning_at(1000);
        clock.until(90_001_000).await;
        assert_eq!(clock.now_ms(), 90_001_000);
        clock.until(5).await;
        assert_eq!(clock.now_ms(), 90_001_000);
    }
}
