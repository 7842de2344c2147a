//! Counters over the last seconds, kept in a ring of buckets.

use std::time::Duration;

use tokio::time::Instant;

/// `N` counters over a rolling window. Counting costs no allocation.
#[derive(Debug)]
pub(crate) struct Rolling<const N: usize> {
    start: Instant,
    width: Duration,
    buckets: Vec<[u32; N]>,
    /// Number of the newest bucket since `start`.
    newest: u64,
    total: [u32; N],
}

impl<const N: usize> Rolling<N> {
    /// The most buckets of a window.
    pub(crate) const MAX_BUCKETS: u32 = 1000;

    pub(crate) fn new(length: Duration, buckets: u32, now: Instant) -> Self {
        let buckets = buckets.clamp(1, Self::MAX_BUCKETS);
        let width = (length / buckets).max(Duration::from_micros(1));
        Self { start: now, width, buckets: vec![[0; N]; buckets as usize], newest: 0, total: [0; N] }
    }

    /// Adds to the counters and returns their sums over the window.
    pub(crate) fn add(&mut self, amounts: [u32; N], now: Instant) -> [u32; N] {
        self.roll(now);
        let position = self.position(self.newest);
        for bucket in self.buckets.get_mut(position).into_iter().chain(std::iter::once(&mut self.total)) {
            for (counter, amount) in bucket.iter_mut().zip(amounts) {
                *counter = counter.saturating_add(amount);
            }
        }
        self.total
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.fill([0; N]);
        self.total = [0; N];
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
                for (counter, old) in self.total.iter_mut().zip(std::mem::replace(bucket, [0; N])) {
                    *counter = counter.saturating_sub(old);
                }
            }
        }
        self.newest = self.newest.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn counts_leave_a_bucket_at_a_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (failure, success) = ([1, 1], [0, 1]);
        let mut window = Rolling::new(Duration::from_secs(10), 10, start);
        assert_eq!(window.add(failure, at(0)), [1, 1]);
        assert_eq!(window.add(success, at(999)), [1, 2]);
        assert_eq!(window.add(failure, at(1000)), [2, 3]);
        assert_eq!(window.add(success, at(9_999)), [2, 4], "all within ten seconds");
        assert_eq!(window.add(success, at(10_000)), [1, 3], "the first second has left");
        assert_eq!(window.add(failure, at(100_000)), [1, 1], "a long silence empties it");
        assert_eq!(window.add(failure, at(50_000)), [2, 2], "an old clock reading counts as new");
    }
}
