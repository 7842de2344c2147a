//! How often a step is tried again.

use std::time::Duration;

use breakwater_core::OperationEffect;
use breakwater_resilience::{Jitter, RetryPolicies, RetryPolicy};
use serde::{Deserialize, Serialize};

/// What a definition says of it. What is absent is as the operation's effect says ([`RetryPolicies::service_integration`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRetry {
    /// Attempts after the first, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The wait before the first retry, in milliseconds; it doubles with each further one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ms: Option<u64>,
    /// No wait is longer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay_ms: Option<u64>,
}

impl StepRetry {
    /// The most retries that can be asked for.
    pub const MAX_RETRIES: u32 = 100;

    /// The policy of a step that calls an operation with this effect.
    #[must_use]
    pub fn policy(asked: Option<Self>, effect: OperationEffect) -> RetryPolicy {
        let default = *RetryPolicies::service_integration().of(effect);
        let asked = asked.unwrap_or_default();
        let base = asked.base_ms.map_or(default.base, Duration::from_millis);
        RetryPolicy {
            max_retries: asked.max_retries.unwrap_or(default.max_retries).min(Self::MAX_RETRIES),
            base,
            max_delay: asked.max_delay_ms.map_or(default.max_delay.max(base), Duration::from_millis),
            jitter: Jitter::Full,
            ..default
        }
    }
}
