//! How long an endpoint takes: quantiles of the last answers, and a moving average that rises at once and falls slowly.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::nanos;

/// Each power of two is cut into so many buckets, so a quantile is off by at most a sixteenth.
const PARTS: u64 = 8;
const PARTS_LOG2: u32 = 3;
/// From 0 to 2^32 µs, which is 71 minutes; what takes longer counts as that.
const BUCKETS: usize = 240;
/// Quantiles are counted anew after so many answers.
const REFRESH: u64 = 32;
/// With so many answers counted, all counts are halved: the last thousand weigh most.
const FULL: u64 = 2048;

/// Latencies of one endpoint. Recording costs a few atomic steps and no lock.
#[derive(Debug)]
pub(crate) struct Latency {
    buckets: [AtomicU32; BUCKETS],
    samples: AtomicU64,
    refreshing: AtomicBool,
    p50: AtomicU64,
    p90: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            samples: AtomicU64::new(0),
            refreshing: AtomicBool::new(false),
            p50: AtomicU64::new(0),
            p90: AtomicU64::new(0),
        }
    }
}

impl Latency {
    pub(crate) fn record(&self, latency: Duration) {
        let bucket = bucket_of(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let samples = self.samples.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if samples.is_multiple_of(REFRESH) && !self.refreshing.swap(true, Ordering::Acquire) {
            self.refresh();
            self.refreshing.store(false, Ordering::Release);
        }
    }

    /// Answers counted, ever.
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// As of the last refresh; zero before the first.
    pub(crate) fn p50(&self) -> Duration {
        Duration::from_nanos(self.p50.load(Ordering::Relaxed))
    }

    /// As of the last refresh; zero before the first.
    pub(crate) fn p90(&self) -> Duration {
        Duration::from_nanos(self.p90.load(Ordering::Relaxed))
    }

    /// Counted now, for several shares at once, given from small to large.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[Duration; N]> {
        let counts = self.buckets.each_ref().map(|count| u64::from(count.load(Ordering::Relaxed)));
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        Some(shares.map(|share| {
            let rank = ((share * total as f64).ceil() as u64).clamp(1, total);
            let mut seen = 0;
            let bucket = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            middle_of(bucket.unwrap_or(BUCKETS - 1))
        }))
    }

    fn refresh(&self) {
        let Some([p50, p90]) = self.quantiles([0.5, 0.9]) else { return };
        self.p50.store(nanos(p50), Ordering::Relaxed);
        self.p90.store(nanos(p90), Ordering::Relaxed);
        let total: u64 = self.buckets.iter().map(|count| u64::from(count.load(Ordering::Relaxed))).sum();
        if total >= FULL {
            for count in &self.buckets {
                // Only one thread is here at a time, so what is taken off is still there.
                count.fetch_sub(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }
}

fn bucket_of(micros: u64) -> usize {
    let micros = micros.min(u64::from(u32::MAX));
    if micros < PARTS {
        return micros as usize;
    }
    let power = micros.ilog2();
    let part = (micros >> (power - PARTS_LOG2)) & (PARTS - 1);
    (u64::from(power - PARTS_LOG2 + 1) * PARTS + part) as usize
}

fn middle_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let half_micros = if bucket < PARTS {
        bucket * 2 + 1
    } else {
        let shift = bucket / PARTS - 1;
        ((PARTS + bucket % PARTS) * 2 + 1) << shift
    };
    Duration::from_nanos(half_micros * 500)
}

/// A moving average that a slow answer raises at once and time lets fall: what Finagle calls peak EWMA.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    nanos: AtomicU64,
    updated: AtomicU64,
}

impl PeakEwma {
    /// What an endpoint is taken for before its first answer, as in Linkerd and tower.
    const UNKNOWN: Duration = Duration::from_millis(30);
    /// After so long without an answer a latency counts about a third.
    const DECAY: Duration = Duration::from_secs(10);

    pub(crate) fn new(now: u64) -> Self {
        Self { nanos: AtomicU64::new((nanos(Self::UNKNOWN) as f64).to_bits()), updated: AtomicU64::new(now) }
    }

    /// In nanoseconds.
    pub(crate) fn read(&self, now: u64) -> f64 {
        f64::from_bits(self.nanos.load(Ordering::Relaxed)) * self.kept(now)
    }

    fn kept(&self, now: u64) -> f64 {
        let elapsed = now.saturating_sub(self.updated.load(Ordering::Relaxed));
        (-(elapsed as f64) / Self::DECAY.as_nanos() as f64).exp()
    }

    /// Two threads at once may lose one of their samples; an average bears that.
    pub(crate) fn record(&self, latency: Duration, now: u64) {
        let sample = nanos(latency) as f64;
        let kept = self.kept(now);
        let average = f64::from_bits(self.nanos.load(Ordering::Relaxed));
        let next = if sample > average * kept { sample } else { average * kept + sample * (1.0 - kept) };
        self.nanos.store(next.to_bits(), Ordering::Relaxed);
        self.updated.store(now, Ordering::Relaxed);
    }

    /// When the last sample came.
    pub(crate) fn updated(&self) -> u64 {
        self.updated.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bucket_holds_what_lies_around_its_middle() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(u64::try_from(middle_of(bucket).as_micros()).unwrap()), bucket);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn old_answers_fade() {
        let latency = Latency::default();
        (0..4000).for_each(|_| latency.record(Duration::from_millis(10)));
        (0..3000).for_each(|_| latency.record(Duration::from_millis(80)));
        let p50 = latency.quantiles([0.5]).unwrap()[0];
        assert!(p50 > Duration::from_millis(70), "{p50:?}");
        assert!(latency.p50() > Duration::from_millis(70));
    }

    #[test]
    fn a_slow_answer_raises_the_average_at_once_and_time_lowers_it() {
        let second = 1_000_000_000;
        let ewma = PeakEwma::new(0);
        assert_eq!(ewma.read(0), 30e6);
        ewma.record(Duration::from_millis(100), second);
        assert_eq!(ewma.read(second), 100e6);
        ewma.record(Duration::from_millis(10), 2 * second);
        let lowered = ewma.read(2 * second);
        assert!((90e6..92e6).contains(&lowered), "{lowered}");
        assert!(ewma.read(100 * second) < 1e4);
    }

    proptest! {
        #[test]
        fn a_quantile_is_off_by_at_most_a_sixteenth(mut micros in prop::collection::vec(8u64..100_000_000, 1..500)) {
            let latency = Latency::default();
            micros.iter().for_each(|micros| latency.record(Duration::from_micros(*micros)));
            micros.sort_unstable();
            let shares = [0.5, 0.9, 0.99];
            let estimates = latency.quantiles(shares).unwrap();
            for (share, estimate) in shares.into_iter().zip(estimates) {
                let exact = micros[((share * micros.len() as f64).ceil() as usize).max(1) - 1] as f64;
                let error = (estimate.as_secs_f64() * 1e6 - exact).abs() / exact;
                prop_assert!(error <= 1.0 / 16.0 + 1e-9, "{estimate:?} for {exact} µs");
            }
        }
    }
}
