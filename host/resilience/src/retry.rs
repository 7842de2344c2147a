//! How often a failed attempt is repeated, and how long it waits before that.

use std::time::Duration;

use breakwater_core::OperationEffect;

/// What chance does to a computed wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Jitter {
    /// Nothing: 1000, 2000, 4000 ms for a base of 1000 ms, as clients that know no jitter wait.
    None,
    /// Anything from nothing to the computed wait, so that callers that failed together do not come back together.
    #[default]
    Full,
}

/// When and how often to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first. 0 never tries again.
    pub max_retries: u32,
    /// The wait before the first retry; it doubles with each further one.
    pub base: Duration,
    /// No computed wait is longer; applied before the jitter.
    pub max_delay: Duration,
    /// What chance does to the wait.
    pub jitter: Jitter,
    /// The longest wait that the other side's `Retry-After` can bring about, beyond what was computed anyway.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    /// 3 retries from 1000 ms on, at most 20 s, full jitter, `Retry-After` up to 30 s.
    fn default() -> Self {
        Self {
            max_retries: 3,
            base: Duration::from_secs(1),
            max_delay: Duration::from_secs(20),
            jitter: Jitter::Full,
            max_retry_after: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// How much longer than computed a `Retry-After` may make a wait (as the SDKs of AWS have it).
    pub const RETRY_AFTER_SLACK: Duration = Duration::from_secs(5);

    /// Never tries again.
    pub const NEVER: Self =
        Self { max_retries: 0, base: Duration::ZERO, max_delay: Duration::ZERO, jitter: Jitter::None, max_retry_after: Duration::ZERO };

    /// The wait before retry number `retry` (1 is the first): `base · 2^(retry − 1)`, at most `max_delay`; without jitter.
    #[must_use]
    pub fn backoff(&self, retry: u32) -> Duration {
        let factor = 1u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.checked_mul(factor).unwrap_or(Duration::MAX).min(self.max_delay)
    }

    /// The wait before retry number `retry`, jitter included. `retry_after` is what the other side asked for: it makes the wait
    /// longer by at most [`Self::RETRY_AFTER_SLACK`], never beyond [`Self::max_retry_after`], and never shorter.
    #[must_use]
    pub fn wait(&self, retry: u32, retry_after: Option<Duration>) -> Duration {
        let backoff = self.backoff(retry);
        let computed = match self.jitter {
            Jitter::None => backoff,
            Jitter::Full => backoff.mul_f64(fastrand::f64()),
        };
        let Some(asked) = retry_after else { return computed };
        asked.min(computed.saturating_add(Self::RETRY_AFTER_SLACK)).min(self.max_retry_after).max(computed)
    }
}

/// A policy for each kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryPolicies {
    /// For what makes something new.
    pub create: RetryPolicy,
    /// For what changes something.
    pub update: RetryPolicy,
    /// For what removes something.
    pub delete: RetryPolicy,
    /// For what only reads.
    pub read: RetryPolicy,
}

impl RetryPolicies {
    /// One policy for all.
    #[must_use]
    pub const fn same(policy: RetryPolicy) -> Self {
        Self { create: policy, update: policy, delete: policy, read: policy }
    }

    /// The counts and delays of the service integration client: create and update 3 from 0.5 s, at most 4 s; delete 2 from 1 s,
    /// at most 4 s; read 2 from 0.5 s, at most 2 s.
    #[must_use]
    pub fn service_integration() -> Self {
        let policy = |max_retries, base, max| RetryPolicy {
            max_retries,
            base: Duration::from_millis(base),
            max_delay: Duration::from_millis(max),
            ..RetryPolicy::default()
        };
        let change = policy(3, 500, 4000);
        Self { create: change, update: change, delete: policy(2, 1000, 4000), read: policy(2, 500, 2000) }
    }

    /// The policy for operations of this effect.
    #[must_use]
    pub const fn of(&self, effect: OperationEffect) -> &RetryPolicy {
        match effect {
            OperationEffect::Create => &self.create,
            OperationEffect::Update => &self.update,
            OperationEffect::Delete => &self.delete,
            OperationEffect::Read => &self.read,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn parity() -> RetryPolicy {
        RetryPolicy { jitter: Jitter::None, ..RetryPolicy::default() }
    }

    #[test]
    fn a_base_of_1000_ms_waits_1000_2000_4000_without_jitter() {
        let waits: Vec<_> = (1..=3).map(|retry| parity().wait(retry, None)).collect();
        assert_eq!(waits, [millis(1000), millis(2000), millis(4000)]);
        assert_eq!(parity().max_retries, 3);
    }

    #[test]
    fn full_jitter_is_the_default_and_the_cap_comes_before_it() {
        let policy = RetryPolicy { max_delay: millis(1500), ..RetryPolicy::default() };
        assert_eq!(policy.jitter, Jitter::Full);
        let waits: Vec<_> = (0..4000).map(|_| policy.wait(9, None)).collect();
        assert!(waits.iter().all(|wait| *wait <= millis(1500)));
        // Capped after the jitter, nearly all of them would be the cap itself.
        let mean = waits.iter().sum::<Duration>() / 4000;
        assert!((millis(700)..millis(800)).contains(&mean), "{mean:?}");
    }

    #[test]
    fn retry_after_is_honoured_within_its_bounds() {
        let policy = parity();
        assert_eq!(policy.wait(2, Some(millis(100))), millis(2000), "never sooner than computed");
        assert_eq!(policy.wait(2, Some(millis(3000))), millis(3000));
        assert_eq!(policy.wait(2, Some(millis(60_000))), millis(7000), "at most 5 s more than computed");
        let strict = RetryPolicy { max_retry_after: millis(2500), ..policy };
        assert_eq!(strict.wait(2, Some(millis(60_000))), millis(2500));
        assert_eq!(strict.wait(3, Some(millis(60_000))), millis(4000), "the computed wait stays");
    }

    #[test]
    fn each_kind_of_operation_has_its_own_counts_and_delays() {
        let policies = RetryPolicies::service_integration();
        let of = |effect| {
            let policy = policies.of(effect);
            (policy.max_retries, policy.base.as_millis(), policy.max_delay.as_millis())
        };
        assert_eq!(of(OperationEffect::Create), (3, 500, 4000));
        assert_eq!(of(OperationEffect::Update), (3, 500, 4000));
        assert_eq!(of(OperationEffect::Delete), (2, 1000, 4000));
        assert_eq!(of(OperationEffect::Read), (2, 500, 2000));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_nothing_nor_longer_than_its_bounds(
            base in 0u64..100_000, max in 0u64..100_000, retry in 0u32..100, asked in prop::option::of(0u64..1_000_000), most in 0u64..100_000,
        ) {
            let policy = RetryPolicy { base: millis(base), max_delay: millis(max), max_retry_after: millis(most), ..RetryPolicy::default() };
            let wait = policy.wait(retry, asked.map(millis));
            prop_assert!(policy.backoff(retry) <= millis(max));
            prop_assert!(wait <= millis(max).max(millis(most)));
            prop_assert!(wait <= policy.backoff(retry) + RetryPolicy::RETRY_AFTER_SLACK);
            let plain = RetryPolicy { jitter: Jitter::None, ..policy };
            prop_assert!(plain.wait(retry, asked.map(millis)) >= plain.backoff(retry));
        }
    }
}
