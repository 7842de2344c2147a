//! Hedging: when an attempt takes longer than nine of ten do, a second one is sent, and the faster answer counts.

use std::time::Duration;

use crate::budget::{BudgetConfig, RetryBudget};
use crate::latency::Latency;

/// Settings of hedges. They are sent for repeatable calls only, and cost the ledger and the retry budget like any extra attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeConfig {
    /// Attempts an endpoint must have answered before its latency is known well enough.
    pub min_samples: u64,
    /// No hedge is sent sooner, however fast the endpoint usually is.
    pub min_delay: Duration,
    /// Hedges per call at most, in percent; above 100 is 100.
    pub max_extra_percent: u8,
}

impl Default for HedgeConfig {
    /// After 64 answers, at the endpoint's p90 but not before 1 ms, for at most 10 % of the calls.
    fn default() -> Self {
        Self { min_samples: 64, min_delay: Duration::from_millis(1), max_extra_percent: 10 }
    }
}

impl HedgeConfig {
    /// How long to wait for an attempt at an endpoint of this latency before a second one is sent.
    pub(crate) fn delay(&self, latency: &Latency) -> Option<Duration> {
        (latency.samples() >= self.min_samples.max(1)).then(|| latency.p90().max(self.min_delay))
    }
}

/// Settings, and the hedges that calls have paid for.
#[derive(Debug)]
pub(crate) struct Hedging {
    pub(crate) config: HedgeConfig,
    pub(crate) cap: RetryBudget,
}

impl Hedging {
    /// The cap starts empty, so that it holds from the first call on.
    pub(crate) fn new(config: HedgeConfig) -> Self {
        let ratio = f64::from(config.max_extra_percent.min(100)) / 100.0;
        Self { config, cap: RetryBudget::empty(BudgetConfig { ratio, floor_per_second: 0, burst: 10 }) }
    }
}
