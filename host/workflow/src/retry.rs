//! How often a step is tried again.

use std::time::Duration;

use breakwater_core::{Digest, OperationEffect};
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

    /// The wait before retry number `retry` of the step with this key: a part of the longest, so that steps that failed together do not come
    /// back together. The part follows from the key, because a walk that is walked again must ask for the same.
    pub(crate) fn wait(policy: &RetryPolicy, key: &str, retry: u32, retry_after: Option<Duration>) -> Duration {
        let digest = Digest::of(format!("{key} {retry}").as_bytes());
        let seed = digest.as_bytes().iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
        let part = fastrand::Rng::with_seed(seed).f64();
        let (base, max_delay) = (policy.base.mul_f64(part), policy.max_delay.mul_f64(part));
        RetryPolicy { base, max_delay, jitter: Jitter::None, ..*policy }.wait(retry, retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_follows_from_the_key_and_differs_between_keys_and_retries() {
        let policy = StepRetry::policy(
            Some(StepRetry { max_retries: None, base_ms: Some(1000), max_delay_ms: Some(4000) }),
            OperationEffect::Create,
        );
        let wait = |key: &str, retry| StepRetry::wait(&policy, key, retry, None);
        for (retry, longest) in [(1, 1000), (2, 2000), (3, 4000), (4, 4000)] {
            let waits: Vec<Duration> = (0..200).map(|key| wait(&format!("execution:{key}"), retry)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(longest)));
            let (low, high) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*low < Duration::from_millis(longest / 10) && *high > Duration::from_millis(longest * 9 / 10), "{low:?} {high:?}");
        }
        assert_eq!(wait("a", 1), wait("a", 1));
        assert!(wait("a", 1) != wait("b", 1) && wait("a", 1) != wait("a", 3));
        let asked = StepRetry::wait(&policy, "a", 1, Some(Duration::from_millis(900)));
        assert_eq!(asked, Duration::from_millis(900).max(wait("a", 1)));
    }
}
