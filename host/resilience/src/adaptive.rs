//! An adaptive limit of calls: it grows while answers stay as fast as usual and shrinks when they do not. Netflix' Gradient2.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use tokio::time::Instant;

/// Settings of an adaptive limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveConfig {
    /// The limit at the start.
    pub initial: u32,
    /// It never falls below; at least 1.
    pub min: u32,
    /// It never rises above.
    pub max: u32,
    /// How much slower than usual answers may be before the limit falls; 1.5 is half as slow again. At least 1.
    pub tolerance: f64,
    /// How much of each new estimate is taken over; over 0 to 1.
    pub smoothing: f64,
    /// How many calls may queue up in the other side; this is what the limit grows by.
    pub queue: u32,
    /// Answers are averaged over at least so long, and at least [`Self::MIN_SAMPLES`] of them.
    pub window: Duration,
    /// The limit is multiplied by this after a window in which the other side timed out or asked for less; over 0 to 1.
    pub backoff: f64,
}

impl AdaptiveConfig {
    /// Fewer answers are no estimate.
    pub const MIN_SAMPLES: u32 = 10;
}

impl Default for AdaptiveConfig {
    /// Netflix' `Gradient2Limit`: from 20, up to 200, tolerance 1.5, smoothing 0.2, queue 4, windows of a second; down to 4, and times
    /// 0.9 on overload, are ours.
    fn default() -> Self {
        Self { initial: 20, min: 4, max: 200, tolerance: 1.5, smoothing: 0.2, queue: 4, window: Duration::from_secs(1), backoff: 0.9 }
    }
}

/// The estimate behind the limit: plain numbers, the time given from outside.
#[derive(Debug)]
struct Gradient {
    config: AdaptiveConfig,
    limit: f64,
    usual: Usual,
    opened: Instant,
    sum: Duration,
    count: u32,
    most_in_flight: u32,
    overloaded: bool,
}

/// Usual latency in seconds: the mean of the first windows, then an average over about the last 600.
#[derive(Debug, Default)]
struct Usual {
    value: f64,
    count: u32,
}

impl Usual {
    const WARM_UP: u32 = 10;
    const WINDOWS: f64 = 600.0;

    fn add(&mut self, sample: f64) -> f64 {
        self.count = self.count.saturating_add(1);
        if self.count <= Self::WARM_UP {
            self.value += (sample - self.value) / f64::from(self.count);
        } else {
            self.value += (sample - self.value) * 2.0 / (Self::WINDOWS + 1.0);
        }
        self.value
    }
}

impl Gradient {
    fn new(config: AdaptiveConfig, now: Instant) -> Self {
        let min = config.min.max(1);
        let config = AdaptiveConfig { min, max: config.max.max(min), ..config };
        let limit = f64::from(config.initial.clamp(min, config.max));
        let usual = Usual::default();
        Self { config, limit, usual, opened: now, sum: Duration::ZERO, count: 0, most_in_flight: 0, overloaded: false }
    }

    /// Counts an answer; true when it closed a window and the limit may have changed.
    fn sample(&mut self, latency: Duration, in_flight: u32, overloaded: bool, now: Instant) -> bool {
        self.sum = self.sum.saturating_add(latency);
        self.count += 1;
        self.most_in_flight = self.most_in_flight.max(in_flight);
        self.overloaded |= overloaded;
        if self.count < AdaptiveConfig::MIN_SAMPLES || now.saturating_duration_since(self.opened) < self.config.window {
            return false;
        }
        let mean = self.sum.as_secs_f64() / f64::from(self.count);
        self.close(mean);
        (self.opened, self.sum, self.count, self.most_in_flight, self.overloaded) = (now, Duration::ZERO, 0, 0, false);
        true
    }

    fn close(&mut self, recent: f64) {
        let recent = recent.max(1e-9);
        let usual = self.usual.add(recent);
        if usual / recent > 2.0 {
            // Whoever got much faster gets a lower usual latency soon, not after 600 windows.
            self.usual.value *= 0.95;
        }
        let bounds = (f64::from(self.config.min), f64::from(self.config.max));
        if self.overloaded {
            self.limit = (self.limit * self.config.backoff.clamp(0.1, 1.0)).clamp(bounds.0, bounds.1);
            return;
        }
        // A limit that nobody comes near proves nothing.
        if f64::from(self.most_in_flight) < self.limit / 2.0 {
            return;
        }
        let gradient = (self.config.tolerance.max(1.0) * usual / recent).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + f64::from(self.config.queue);
        let smoothing = self.config.smoothing.clamp(0.0, 1.0);
        self.limit = (self.limit * (1.0 - smoothing) + wanted * smoothing).clamp(bounds.0, bounds.1);
    }
}

/// An adaptive limit.
pub(crate) struct AdaptiveLimit {
    limit: AtomicU32,
    in_flight: AtomicU32,
    gradient: Mutex<Gradient>,
}

impl AdaptiveLimit {
    pub(crate) fn new(config: AdaptiveConfig) -> Self {
        let gradient = Gradient::new(config, Instant::now());
        Self { limit: AtomicU32::new(gradient.limit as u32), in_flight: AtomicU32::new(0), gradient: Mutex::new(gradient) }
    }

    /// A place under the limit, or nothing when there is none.
    pub(crate) fn try_acquire(&self) -> Option<AdaptivePermit<'_>> {
        let limit = self.limit();
        let taken =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_flight| (in_flight < limit).then_some(in_flight + 1));
        taken.ok().map(|before| AdaptivePermit { limit: self, in_flight: before + 1 })
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn sample(&self, latency: Duration, in_flight: u32, overloaded: bool, now: Instant) {
        // An answer that meets another one here is not counted; there are enough.
        let mut gradient = match self.gradient.try_lock() {
            Ok(gradient) => gradient,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if gradient.sample(latency, in_flight, overloaded, now) {
            self.limit.store(gradient.limit as u32, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit").field("limit", &self.limit).field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

/// A place under an adaptive limit, free again on drop.
#[derive(Debug)]
pub(crate) struct AdaptivePermit<'a> {
    limit: &'a AdaptiveLimit,
    in_flight: u32,
}

impl AdaptivePermit<'_> {
    /// The other side took so long, and whether it showed that it has too much to do.
    pub(crate) fn sample(&self, latency: Duration, overloaded: bool, now: Instant) {
        self.limit.sample(latency, self.in_flight, overloaded, now);
    }
}

impl Drop for AdaptivePermit<'_> {
    fn drop(&mut self) {
        self.limit.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
