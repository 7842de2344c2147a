//! When a caller stops waiting.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failure, FailureKind};

/// A point in time after which an answer is of no use. Copied into every nested call; it only ever moves closer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `budget` from now.
    #[must_use]
    pub fn after(budget: Duration) -> Self {
        let now = Instant::now();
        // A budget past the clock's range means no deadline that anyone could reach: a year will do.
        Self(now.checked_add(budget).unwrap_or_else(|| now + Duration::from_secs(31_536_000)))
    }

    /// The time left; zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The nearer of this deadline and one `budget` from now.
    #[must_use]
    pub fn tightened(&self, budget: Duration) -> Self {
        Self(self.0.min(Self::after(budget).0))
    }

    /// This deadline moved `reserve` closer, so that whoever waits can still do something after it.
    #[must_use]
    pub fn reserving(&self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or(self.0))
    }

    /// As an instant of tokio's clock.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.0
    }

    /// Waits for `work` until the deadline.
    ///
    /// # Errors
    /// A failure of kind [`FailureKind::Timeout`] and code `call.deadline` when the deadline comes first. `work` is dropped then.
    pub async fn bound<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout_at(self.0, work)
            .await
            .map_err(|_| Failure::new(FailureKind::Timeout, "call.deadline", format!("{what} did not finish before the call's deadline")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_only_moves_closer() {
        let deadline = Deadline::after(Duration::from_secs(10));
        assert_eq!(deadline.tightened(Duration::from_secs(60)), deadline);
        assert_eq!(deadline.tightened(Duration::from_secs(4)).remaining(), Duration::from_secs(4));
        assert_eq!(deadline.reserving(Duration::from_secs(3)).remaining(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_outlasts_it_is_a_timeout() {
        let deadline = Deadline::after(Duration::from_millis(50));
        let failure = deadline.bound("waiting", std::future::pending::<()>()).await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
        assert!(deadline.has_passed());
    }
}
