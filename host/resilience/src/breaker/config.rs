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

/// Opens for slowness as well: too large a share of the calls took too long, be they answered or not. Checked at each slow call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowCalls {
    /// A call is slow when it took longer, retries included.
    pub slower_than: Duration,
    /// Opens when at least this percentage of the calls was slow; over 0 to 100.
    pub percentage: f64,
    /// How far back calls count.
    pub window: Duration,
    /// Into how many parts the window is cut. 1 to [`BreakerConfig::MAX_BUCKETS`].
    pub buckets: u32,
    /// No opening before so many calls ended within the window. At least 1.
    pub volume_threshold: u32,
}

impl SlowCalls {
    /// Opens when half of at least 10 calls within 10 s took longer than this.
    #[must_use]
    pub const fn slower_than(slower_than: Duration) -> Self {
        Self { slower_than, percentage: 50.0, window: Duration::from_secs(10), buckets: 10, volume_threshold: 10 }
    }
}

/// Settings of a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// What makes it open.
    pub trip: Trip,
    /// Makes it open for slow calls, too. In the half-open state a slow probe counts as failed.
    pub slow: Option<SlowCalls>,
    /// How long it stays open before it admits probes.
    pub reset_timeout: Duration,
    /// How many probes must succeed to close it, and how many may run at once. At least 1.
    pub probes: u32,
}

/// A breaker's options in the words of opossum, in milliseconds and percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpossumOptions {
    /// The longest a call may take. The breaker itself has no timer: whoever makes the calls keeps this time.
    pub timeout: u64,
    /// Opens when more than this percentage of the calls failed.
    pub error_threshold_percentage: f64,
    /// How long it stays open.
    pub reset_timeout: u64,
    /// How far back outcomes count.
    pub rolling_count_timeout: u64,
    /// Into how many parts that time is cut.
    pub rolling_count_buckets: u32,
    /// No opening before so many calls.
    pub volume_threshold: u32,
}

impl Default for OpossumOptions {
    /// What the AI-service client sets: `timeout` 30000, `errorThresholdPercentage` 50, `resetTimeout` 30000, `rollingCountTimeout`
    /// 10000, `rollingCountBuckets` 10; and a `volumeThreshold` of 5.
    fn default() -> Self {
        Self {
            timeout: 30_000,
            error_threshold_percentage: 50.0,
            reset_timeout: 30_000,
            rolling_count_timeout: 10_000,
            rolling_count_buckets: 10,
            volume_threshold: 5,
        }
    }
}

impl From<OpossumOptions> for BreakerConfig {
    fn from(options: OpossumOptions) -> Self {
        Self {
            trip: Trip::ErrorRate {
                percentage: options.error_threshold_percentage,
                window: Duration::from_millis(options.rolling_count_timeout),
                buckets: options.rolling_count_buckets,
                volume_threshold: options.volume_threshold,
            },
            slow: None,
            reset_timeout: Duration::from_millis(options.reset_timeout),
            probes: 1,
        }
    }
}

impl Default for BreakerConfig {
    /// Opens after 5 failures in a row, probes once after 30 s.
    fn default() -> Self {
        Self { trip: Trip::ConsecutiveFailures { threshold: 5 }, slow: None, reset_timeout: Duration::from_secs(30), probes: 1 }
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
            Trip::ErrorRate { window, buckets, .. } => validate_window(window, buckets)?,
            Trip::ConsecutiveFailures { .. } => {}
        }
        if let Some(slow) = self.slow {
            if slow.volume_threshold == 0 {
                return Err(InvalidBreakerConfig::Threshold);
            }
            if !(slow.percentage > 0.0 && slow.percentage <= 100.0) {
                return Err(InvalidBreakerConfig::Percentage);
            }
            validate_window(slow.window, slow.buckets)?;
        }
        if self.probes == 0 { Err(InvalidBreakerConfig::Probes) } else { Ok(()) }
    }
}

fn validate_window(window: Duration, buckets: u32) -> Result<(), InvalidBreakerConfig> {
    let width = window.checked_div(buckets).unwrap_or_default();
    if buckets > BreakerConfig::MAX_BUCKETS || width < Duration::from_micros(1) {
        return Err(InvalidBreakerConfig::Window);
    }
    Ok(())
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
        let slow = |change: fn(&mut SlowCalls)| {
            let mut slow = SlowCalls::slower_than(Duration::from_secs(1));
            change(&mut slow);
            BreakerConfig { slow: Some(slow), ..BreakerConfig::default() }.validate()
        };
        assert_eq!(slow(|_| {}), Ok(()));
        assert_eq!(slow(|slow| slow.percentage = 0.0), Err(InvalidBreakerConfig::Percentage));
        assert_eq!(slow(|slow| slow.buckets = 0), Err(InvalidBreakerConfig::Window));
        assert_eq!(slow(|slow| slow.volume_threshold = 0), Err(InvalidBreakerConfig::Threshold));
    }

    #[test]
    fn the_options_of_opossum_are_those_of_the_ai_service_client() {
        let options = OpossumOptions::default();
        assert_eq!((options.timeout, options.reset_timeout, options.rolling_count_timeout), (30_000, 30_000, 10_000));
        assert_eq!((options.error_threshold_percentage, options.rolling_count_buckets, options.volume_threshold), (50.0, 10, 5));
        let config = BreakerConfig::from(options);
        assert_eq!(config, BreakerConfig { trip: Trip::ERROR_RATE, slow: None, reset_timeout: Duration::from_secs(30), probes: 1 });
        assert_eq!(config.validate(), Ok(()));
    }
}
