//! Outcomes of the last seconds, counted in a ring of buckets.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    successes: u32,
    failures: u32,
}

/// A rolling window. Recording costs one clock reading and no allocation.
#[derive(Debug)]
pub(super) struct Window {
    start: Instant,
    width: Duration,
    buckets: Vec<Bucket>,
    /// Number of the newest bucket since `start`.
    newest: u64,
    total: Bucket,
}

impl Window {
    pub(super) fn new(length: Duration, buckets: u32, now: Instant) -> Self {
        let buckets = buckets.max(1);
        let width = (length / buckets).max(Duration::from_micros(1));
        Self { start: now, width, buckets: vec![Bucket::default(); buckets as usize], newest: 0, total: Bucket::default() }
    }

    /// Counts one outcome and returns (failures, calls) within the window.
    pub(super) fn record(&mut self, failed: bool, now: Instant) -> (u32, u32) {
        self.roll(now);
        let position = self.position(self.newest);
        for bucket in self.buckets.get_mut(position).into_iter().chain(std::iter::once(&mut self.total)) {
            let counter = if failed { &mut bucket.failures } else { &mut bucket.successes };
            *counter = counter.saturating_add(1);
        }
        (self.total.failures, self.total.failures.saturating_add(self.total.successes))
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Bucket::default());
        self.total = Bucket::default();
    }

    fn position(&self, number: u64) -> usize {
        (number % self.buckets.len() as u64) as usize
    }

    /// Drops the buckets that have left the window.
    fn roll(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        let current = u64::try_from(elapsed / self.width.as_nanos()).unwrap_or(u64::MAX);
        // A clock reading taken before another thread's can be a bucket behind; it counts in the newest one.
        let steps = current.saturating_sub(self.newest).min(self.buckets.len() as u64);
        for step in 0..steps {
            let position = self.position(current - step);
            if let Some(bucket) = self.buckets.get_mut(position) {
                let old = std::mem::take(bucket);
                self.total.successes = self.total.successes.saturating_sub(old.successes);
                self.total.failures = self.total.failures.saturating_sub(old.failures);
            }
        }
        self.newest = self.newest.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outcomes_leave_a_bucket_at_a_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut window = Window::new(Duration::from_secs(10), 10, start);
        assert_eq!(window.record(true, at(0)), (1, 1));
        assert_eq!(window.record(false, at(999)), (1, 2));
        assert_eq!(window.record(true, at(1000)), (2, 3));
        assert_eq!(window.record(false, at(9_999)), (2, 4), "all within ten seconds");
        assert_eq!(window.record(false, at(10_000)), (1, 3), "the first second has left");
        assert_eq!(window.record(true, at(100_000)), (1, 1), "a long silence empties it");
        assert_eq!(window.record(true, at(50_000)), (2, 2), "an old clock reading counts as new");
    }
}
