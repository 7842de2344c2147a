//! How long an upstream's answers take, lately.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

/// How far back answers count: between one and two of these.
const WINDOW: Duration = Duration::from_secs(60);
/// An hour in microseconds; longer answers count as this long.
const LONGEST: u64 = 3_600_000_000;

/// Quantiles of a time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyQuantiles {
    /// How many answers they are of, the last one or two minutes'.
    pub count: u64,
    /// Half took no longer.
    pub p50_ms: f64,
    /// Nine of ten took no longer.
    pub p90_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

/// Two histograms of one window each: the current one, and the one before it, so that there is always a full window to look at.
///
/// Made with the first answer: some 50 KiB, and there may be thousands of upstreams that nobody calls.
#[derive(Debug, Default)]
pub(crate) struct Latency(Mutex<Option<Windows>>);

#[derive(Debug)]
struct Windows {
    current: Histogram<u32>,
    before: Histogram<u32>,
    began: Instant,
}

impl Windows {
    fn new() -> Option<Self> {
        // Two digits: 1 % off at most.
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 2).ok();
        Some(Self { current: histogram()?, before: histogram()?, began: Instant::now() })
    }

    /// Moves on to the window that it is time for.
    fn turn(&mut self) {
        let passed = self.began.elapsed().as_nanos() / WINDOW.as_nanos();
        if passed > 0 {
            std::mem::swap(&mut self.current, &mut self.before);
            self.current.reset();
            if passed > 1 {
                self.before.reset();
            }
            self.began = Instant::now();
        }
    }
}

impl Latency {
    pub(crate) fn record(&self, elapsed: Duration) {
        let mut windows = self.lock();
        if windows.is_none() {
            *windows = Windows::new();
        }
        if let Some(windows) = windows.as_mut() {
            windows.turn();
            windows.current.saturating_record(u64::try_from(elapsed.as_micros()).unwrap_or(LONGEST).max(1));
        }
    }

    /// `None` when nothing was answered lately.
    pub(crate) fn quantiles(&self) -> Option<LatencyQuantiles> {
        let mut guard = self.lock();
        let windows = guard.as_mut()?;
        windows.turn();
        let mut all = windows.before.clone();
        all.add(&windows.current).ok()?;
        drop(guard);
        let milliseconds = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
        let quantiles =
            LatencyQuantiles { count: all.len(), p50_ms: milliseconds(0.5), p90_ms: milliseconds(0.9), p99_ms: milliseconds(0.99) };
        (!all.is_empty()).then_some(quantiles)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Windows>> {
        // A histogram that a panic left half written is off by one answer.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn quantiles_are_of_the_last_minutes() {
        let latency = Latency::default();
        assert_eq!(latency.quantiles(), None);
        for milliseconds in 1..=100 {
            latency.record(Duration::from_millis(milliseconds));
        }
        let quantiles = latency.quantiles().unwrap();
        assert_eq!(quantiles.count, 100);
        for (found, expected) in [(quantiles.p50_ms, 50.0), (quantiles.p90_ms, 90.0), (quantiles.p99_ms, 99.0)] {
            assert!((found / expected - 1.0_f64).abs() < 0.02, "{found} {expected}");
        }
        tokio::time::advance(WINDOW).await;
        latency.record(Duration::from_secs(7200));
        assert_eq!(latency.quantiles().unwrap().count, 101);
        tokio::time::advance(WINDOW).await;
        assert_eq!(latency.quantiles().unwrap().count, 1);
        tokio::time::advance(WINDOW * 3).await;
        assert_eq!(latency.quantiles(), None);
    }
}
