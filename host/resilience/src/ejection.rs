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
