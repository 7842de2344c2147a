//! Passive outlier ejection: an endpoint that fails again and again gets no calls for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::nanos;

/// When an endpoint is ejected and for how long. The numbers are Envoy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Attempts in a row that must fail. 0 ejects nobody.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts; each further one lasts longer by this. Every such time spent without fault forgets one.
    pub base: Duration,
    /// The longest ejection.
    pub max: Duration,
    /// The largest share of the endpoints that may be ejected at once, in percent; 0 ejects nobody. One may always be ejected otherwise,
    /// but never the last that takes calls.
    pub max_ejected_percent: u8,
}

impl Default for EjectionConfig {
    /// 5 in a row, 30 s times the number of ejections up to 300 s, at most 10 %.
    fn default() -> Self {
        Self { consecutive_failures: 5, base: Duration::from_secs(30), max: Duration::from_secs(300), max_ejected_percent: 10 }
    }
}

impl EjectionConfig {
    /// How many of so many endpoints may be ejected at once.
    pub(crate) fn allowed(&self, endpoints: usize) -> usize {
        match self.max_ejected_percent {
            0 => 0,
            percent => (endpoints.saturating_mul(usize::from(percent.min(100))) / 100).max(1),
        }
    }
}

/// What one endpoint has on its record. Times are [`crate::clock::Clock`]'s; 0 is never.
#[derive(Debug, Default)]
pub(crate) struct Record {
    consecutive: AtomicU32,
    until: AtomicU64,
    returned: AtomicU64,
    times: AtomicU32,
}

impl Record {
    /// An attempt succeeded. Costs one read while all is well.
    pub(crate) fn success(&self) {
        if self.consecutive.load(Ordering::Relaxed) != 0 {
            self.consecutive.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt failed; true when it is time to eject.
    pub(crate) fn failure(&self, config: &EjectionConfig) -> bool {
        let failures = self.consecutive.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        config.consecutive_failures > 0 && failures >= config.consecutive_failures
    }

    pub(crate) fn consecutive(&self) -> u32 {
        self.consecutive.load(Ordering::Relaxed)
    }

    pub(crate) fn times(&self) -> u32 {
        self.times.load(Ordering::Relaxed)
    }

    /// Whether an ejection has begun, be it over or not. Needs no clock.
    pub(crate) fn marked(&self) -> bool {
        self.until.load(Ordering::Acquire) != 0
    }

    /// When its ejection ends, while it lasts.
    pub(crate) fn ejected_until(&self, now: u64) -> Option<u64> {
        Some(self.until.load(Ordering::Acquire)).filter(|until| *until > now)
    }

    /// Ends an ejection whose time is over; true for the one caller that noticed first.
    pub(crate) fn take_return(&self, now: u64) -> bool {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 || until > now {
            return false;
        }
        let first = self.until.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if first {
            self.returned.store(until, Ordering::Relaxed);
            self.consecutive.store(0, Ordering::Relaxed);
        }
        first
    }

    /// Begins an ejection. The caller holds the lock that all ejections of a set share.
    pub(crate) fn eject(&self, config: &EjectionConfig, now: u64) -> Duration {
        let base = nanos(config.base).max(1);
        let faultless = match self.returned.load(Ordering::Relaxed) {
            0 => 0,
            returned => u32::try_from(now.saturating_sub(returned) / base).unwrap_or(u32::MAX),
        };
        let times = self.times().saturating_sub(faultless).saturating_add(1);
        let duration = config.base.saturating_mul(times).min(config.max);
        self.times.store(times, Ordering::Relaxed);
        self.consecutive.store(0, Ordering::Relaxed);
        self.until.store(now.saturating_add(nanos(duration)), Ordering::Release);
        duration
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn five_failures_in_a_row_eject_for_thirty_seconds_and_each_time_for_longer_up_to_three_hundred() {
        let (config, record) = (EjectionConfig::default(), Record::default());
        assert_eq!((0..5).map(|_| record.failure(&config)).collect::<Vec<_>>(), [false, false, false, false, true]);
        let mut now = SECOND;
        for times in 1..15 {
            let duration = record.eject(&config, now);
            assert_eq!(duration, Duration::from_secs((30 * times).min(300)));
            now += nanos(duration);
            assert_eq!(record.ejected_until(now - 1), Some(now));
            assert!(record.take_return(now) && !record.take_return(now), "one caller hears of the return");
        }
    }

    #[test]
    fn a_success_between_starts_the_count_anew() {
        let (config, record) = (EjectionConfig::default(), Record::default());
        for _ in 0..10 {
            assert!((0..4).all(|_| !record.failure(&config)));
            record.success();
        }
    }

    #[test]
    fn faultless_time_forgets_ejections() {
        let (config, record) = (EjectionConfig::default(), Record::default());
        let mut now = SECOND;
        for _ in 0..3 {
            now += nanos(record.eject(&config, now));
            assert!(record.take_return(now));
        }
        now += 65 * SECOND;
        assert_eq!(record.eject(&config, now), Duration::from_secs(60), "two of three are forgotten after twice 30 s");
    }

    #[test]
    fn a_tenth_of_the_endpoints_may_be_ejected_but_always_one() {
        let config = EjectionConfig::default();
        assert_eq!([0, 1, 2, 10, 19, 20, 100].map(|count| config.allowed(count)), [1, 1, 1, 1, 1, 2, 10]);
        assert_eq!(EjectionConfig { max_ejected_percent: 0, ..config }.allowed(100), 0);
        let never = EjectionConfig { consecutive_failures: 0, ..config };
        let record = Record::default();
        assert!((0..100).all(|_| !record.failure(&never)));
    }

    proptest! {
        /// The model: a count in a row, a time, and a number of offences.
        #[test]
        fn it_follows_the_model(
            threshold in 1u32..6, base in 1u64..50, most in 1u64..200, steps in prop::collection::vec((0u8..3, 0u64..100), 1..200),
        ) {
            let config = EjectionConfig {
                consecutive_failures: threshold,
                base: Duration::from_secs(base),
                max: Duration::from_secs(most),
                max_ejected_percent: 100,
            };
            let record = Record::default();
            let (mut now, mut row, mut until, mut returned, mut offences) = (1u64, 0u32, 0u64, None::<u64>, 0u64);
            for (step, seconds) in steps {
                match step {
                    0 => { record.success(); row = 0; }
                    1 => {
                        row += 1;
                        prop_assert_eq!(record.failure(&config), row >= threshold);
                        if row >= threshold && until == 0 {
                            offences = offences.saturating_sub(returned.map_or(0, |at| (now - at) / (base * SECOND))) + 1;
                            let expected = (base * offences).min(most);
                            prop_assert_eq!(record.eject(&config, now), Duration::from_secs(expected));
                            (row, until) = (0, now + expected * SECOND);
                        }
                    }
                    _ => now += seconds * SECOND,
                }
                prop_assert_eq!(record.ejected_until(now), Some(until).filter(|until| *until > now));
                let returns = until != 0 && until <= now;
                prop_assert_eq!(record.take_return(now), returns);
                if returns {
                    (returned, until, row) = (Some(until), 0, 0);
                }
                prop_assert_eq!((record.consecutive(), u64::from(record.times())), (row, offences));
            }
        }
    }
}
