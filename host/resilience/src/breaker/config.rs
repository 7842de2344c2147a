//! When a breaker opens, for how long, and how it comes back.

use std::time::Duration;

/// What makes a closed breaker open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trip {
    /// So many failures without a success between them.
    ConsecutiveFailures {
        /// At least 1.
        threshold: u32,
    },
    /// Too large a share of the calls that ended within a rolling window failed. Checked at each failure.
    ErrorRate {
        /// Opens when more than this percentage of the calls failed; 0 to 100, where 100 never opens.
        percentage: f64,
        /// How far back outcomes count.
        window: Duration,
        /// Into how many parts the window is cut; outcomes leave it a part at a time. 1 to [`BreakerConfig::MAX_BUCKETS`].
        buckets: u32,
        /// No opening before so many calls ended within the window. At least 1.
        volume_threshold: u32,
    },
}

impl Trip {
    /// A rolling window of 10 s in 10 parts, more than 50 % failures of at least 5 calls: the options of opossum 10.
    pub const ERROR_RATE: Self = Self::ErrorRate { percentage: 50.0, window: Duration::from_secs(10), buckets: 10, volume_threshold: 5 };
}

/// Settings of a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// What makes it open.
    pub trip: Trip,
    /// How long it stays open before it admits probes.
    pub reset_timeout: Duration,
    /// How many probes must succeed to close it, and how many may run at once. At least 1.
    pub probes: u32,
}

impl Default for BreakerConfig {
    /// Opens after 5 failures in a row, probes once after 30 s.
    fn default() -> Self {
        Self { trip: Trip::ConsecutiveFailures { threshold: 5 }, reset_timeout: Duration::from_secs(30), probes: 1 }
    }
}

/// Settings that make no breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBreakerConfig {
    /// A threshold of 0 failures or 0 calls.
    #[error("a breaker's threshold is at least 1")]
    Threshold,
    /// A percentage that is not within 0 to 100.
    #[error("a breaker's error percentage is from 0 to 100")]
    Percentage,
    /// No window, or one that cannot be cut into its buckets.
    #[error("a breaker's window is longer than nothing and has 1 to {max} buckets of at least a microsecond", max = BreakerConfig::MAX_BUCKETS)]
    Window,
    /// No probes.
    #[error("a breaker needs at least one probe to close again")]
    Probes,
}

impl BreakerConfig {
    /// The most buckets of a window.
    pub const MAX_BUCKETS: u32 = 1000;

    /// Whether the numbers make sense. [`crate::Breaker::new`] moves numbers out of range to the nearest end of it;
    /// settings that people write should be refused by this instead.
    ///
    /// # Errors
    /// The first number out of its range.
    pub fn validate(&self) -> Result<(), InvalidBreakerConfig> {
        match self.trip {
            Trip::ConsecutiveFailures { threshold: 0 } | Trip::ErrorRate { volume_threshold: 0, .. } => {
                return Err(InvalidBreakerConfig::Threshold);
            }
            Trip::ErrorRate { percentage, .. } if !(0.0..=100.0).contains(&percentage) => return Err(InvalidBreakerConfig::Percentage),
            Trip::ErrorRate { window, buckets, .. } => {
                let width = window.checked_div(buckets).unwrap_or_default();
                if buckets > Self::MAX_BUCKETS || width < Duration::from_micros(1) {
                    return Err(InvalidBreakerConfig::Window);
                }
            }
            Trip::ConsecutiveFailures { .. } => {}
        }
        if self.probes == 0 { Err(InvalidBreakerConfig::Probes) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_number_out_of_range_is_named() {
        let rate = BreakerConfig { trip: Trip::ERROR_RATE, ..BreakerConfig::default() };
        assert_eq!(BreakerConfig::default().validate(), Ok(()));
        assert_eq!(rate.validate(), Ok(()));
        let with = |percentage, secs, buckets, volume_threshold| BreakerConfig {
            trip: Trip::ErrorRate { percentage, window: Duration::from_secs(secs), buckets, volume_threshold },
            ..rate
        };
        assert_eq!(with(101.0, 10, 10, 5).validate(), Err(InvalidBreakerConfig::Percentage));
        assert_eq!(with(f64::NAN, 10, 10, 5).validate(), Err(InvalidBreakerConfig::Percentage));
        assert_eq!(with(50.0, 0, 10, 5).validate(), Err(InvalidBreakerConfig::Window));
        assert_eq!(with(50.0, 10, 0, 5).validate(), Err(InvalidBreakerConfig::Window));
        assert_eq!(with(50.0, 10, 1001, 5).validate(), Err(InvalidBreakerConfig::Window));
        assert_eq!(with(50.0, 10, 10, 0).validate(), Err(InvalidBreakerConfig::Threshold));
        assert_eq!(BreakerConfig { probes: 0, ..rate }.validate(), Err(InvalidBreakerConfig::Probes));
    }
}
