//! Every setting of a pipeline.

use std::time::Duration;

use crate::adaptive::AdaptiveConfig;
use crate::balance::BalanceKind;
use crate::breaker::BreakerConfig;
use crate::budget::BudgetConfig;
use crate::bulkhead::BulkheadConfig;
use crate::ejection::EjectionConfig;
use crate::hedge::HedgeConfig;
use crate::retry::RetryPolicies;
use crate::shed::ShedConfig;

/// Settings of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PipelineConfig {
    /// When and how often to try again, by kind of operation.
    pub retry: RetryPolicies,
    /// How many extra attempts all calls together may cause.
    pub budget: BudgetConfig,
    /// When to stop calling. It counts calls, not attempts.
    pub breaker: BreakerConfig,
    /// How many calls may run and wait.
    pub bulkhead: BulkheadConfig,
    /// The longest an attempt may take.
    pub attempt_timeout: Duration,
    /// How endpoints are chosen.
    pub balance: BalanceKind,
    /// When an endpoint is left out.
    pub ejection: EjectionConfig,
    /// Second attempts beside slow ones; off unless given.
    pub hedge: Option<HedgeConfig>,
    /// A limit of calls that follows the latency; off unless given.
    pub adaptive: Option<AdaptiveConfig>,
    /// Turning calls away in proportion to what the other side refuses; off unless given.
    pub shed: Option<ShedConfig>,
}

impl Default for PipelineConfig {
    /// Retries, budget, breaker and ejection with their defaults, 30 s for an attempt, 256 calls at once and 1024 waiting, endpoints in
    /// turn by weight; no hedges, no adaptive limit, no shedding.
    fn default() -> Self {
        Self {
            retry: RetryPolicies::default(),
            budget: BudgetConfig::default(),
            breaker: BreakerConfig::default(),
            bulkhead: BulkheadConfig { max_concurrent: 256, max_queue: 1024 },
            attempt_timeout: Duration::from_secs(30),
            balance: BalanceKind::default(),
            ejection: EjectionConfig::default(),
            hedge: None,
            adaptive: None,
            shed: None,
        }
    }
}
