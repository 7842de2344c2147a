//! Whether and when a sidecar that failed is started again. Pure: what time it is comes from outside.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::RestartConfig;

/// What looks the same when a sidecar fails again for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Signature(String);

impl Signature {
    /// Of a failure and the last line of its standard error, in which numbers and addresses do not count.
    pub(crate) fn new(kind: &str, message: &str, last_line: Option<&str>) -> Self {
        let text = format!("{kind}|{message}|{}", last_line.unwrap_or_default());
        let mut plain = String::with_capacity(text.len());
        for character in text.chars() {
            let character = if character.is_ascii_digit() { '0' } else { character };
            if character != '0' || !plain.ends_with('0') {
                plain.push(character);
            }
        }
        Self(plain)
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start again after this time, as the attempt of this number.
    Restart { after: Duration, attempt: u32 },
    /// It is not wanted that it is started again by itself.
    NotWanted,
    /// It failed too often in a row.
    TooOften { attempts: u32 },
    /// It fails the same way again and again.
    Loop { failures: u32 },
}

/// Counts starts and failures.
#[derive(Debug)]
pub(crate) struct Restarts {
    config: RestartConfig,
    attempts: u32,
    signature: Option<Signature>,
    same: u32,
    starts: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(config: RestartConfig) -> Self {
        Self { config, attempts: 0, signature: None, same: 0, starts: VecDeque::new() }
    }

    /// Starts after a failure since it was last stable.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Forgets the failures: it was stable, or a person wants it to begin anew.
    pub(crate) fn forget(&mut self) {
        (self.attempts, self.signature, self.same) = (0, None, 0);
    }

    /// Notes a start, or says for how long none may be.
    pub(crate) fn start(&mut self, now: Instant) -> Result<(), Duration> {
        self.may_start(now)?;
        self.starts.push_back(now);
        Ok(())
    }

    /// Whether a start may be now, or for how long not.
    pub(crate) fn may_start(&mut self, now: Instant) -> Result<(), Duration> {
        while self.starts.front().is_some_and(|first| now.duration_since(*first) >= self.config.start_window) {
            self.starts.pop_front();
        }
        if self.starts.len() >= self.config.start_limit as usize
            && let Some(first) = self.starts.front()
        {
            return Err(self.config.start_window.saturating_sub(now.duration_since(*first)));
        }
        Ok(())
    }

    /// Notes a failure. `signature` is nothing when the failure came from outside and says nothing about the sidecar.
    pub(crate) fn failed(&mut self, signature: Option<Signature>) -> Verdict {
        self.same = if signature.is_some() && signature == self.signature { self.same + 1 } else { 1 };
        let is_told = signature.is_some();
        self.signature = signature;
        if !self.config.auto {
            return Verdict::NotWanted;
        }
        if self.config.loop_limit > 0 && is_told && self.same >= self.config.loop_limit && self.attempts < self.config.max_attempts {
            return Verdict::Loop { failures: self.same };
        }
        if self.attempts >= self.config.max_attempts {
            return Verdict::TooOften { attempts: self.attempts };
        }
        let doubled = 2u32.checked_pow(self.attempts).and_then(|factor| self.config.delay.checked_mul(factor));
        let after = doubled.unwrap_or(self.config.max_delay).min(self.config.max_delay);
        self.attempts += 1;
        Verdict::Restart { after, attempt: self.attempts }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<Signature> {
        Some(Signature::new("PROCESS_CRASH", text, None))
    }

    #[test]
    fn it_is_tried_three_times_with_growing_waits_as_the_process_bridge_did() {
        let mut restarts = Restarts::new(RestartConfig { loop_limit: 0, ..RestartConfig::default() });
        let verdicts: Vec<_> = (0..4).map(|_| restarts.failed(of("boom"))).collect();
        let after = |seconds, attempt| Verdict::Restart { after: Duration::from_secs(seconds), attempt };
        assert_eq!(verdicts, [after(2, 1), after(4, 2), after(8, 3), Verdict::TooOften { attempts: 3 }]);
        restarts.forget();
        assert_eq!(restarts.failed(of("boom")), after(2, 1), "the count begins anew once it was stable");
    }

    #[test]
    fn the_same_failure_again_and_again_ends_it_early() {
        let mut restarts = Restarts::new(RestartConfig::default());
        assert!(matches!(restarts.failed(of("line 12: boom")), Verdict::Restart { .. }));
        assert!(matches!(restarts.failed(of("line 7: boom")), Verdict::Restart { .. }));
        assert_eq!(restarts.failed(of("line 9: boom")), Verdict::Loop { failures: 3 });
        let mut restarts = Restarts::new(RestartConfig::default());
        for text in ["a", "b", "a"] {
            assert!(matches!(restarts.failed(of(text)), Verdict::Restart { .. }), "{text}");
        }
        let mut restarts = Restarts::new(RestartConfig::default());
        for _ in 0..3 {
            assert!(matches!(restarts.failed(None), Verdict::Restart { .. }), "what comes from outside is no loop");
        }
    }

    #[test]
    fn one_that_should_not_is_not_started_again() {
        let mut restarts = Restarts::new(RestartConfig { auto: false, ..RestartConfig::default() });
        assert_eq!(restarts.failed(of("boom")), Verdict::NotWanted);
    }

    #[test]
    fn numbers_do_not_make_two_failures_different() {
        let signature = |text| Signature::new("PROCESS_CRASH", "with code 1", Some(text));
        assert_eq!(signature("pid 12345 at 0x7ffe12: boom"), signature("pid 9 at 0x7ffe99: boom"));
        assert_ne!(signature("boom"), signature("bang"));
    }

    proptest! {
        #[test]
        fn waits_double_up_to_their_limit(delay in 1u64..5000, longest in 1u64..100_000, attempts in 1u32..80) {
            let config = RestartConfig {
                max_attempts: attempts,
                delay: Duration::from_millis(delay),
                max_delay: Duration::from_millis(longest),
                loop_limit: 0,
                ..RestartConfig::default()
            };
            let mut restarts = Restarts::new(config);
            for number in 1..=attempts {
                let expected = (u128::from(delay) << (number - 1).min(64)).min(u128::from(longest));
                let Verdict::Restart { after, attempt } = restarts.failed(of("x")) else { panic!("{number}") };
                prop_assert_eq!((after.as_millis(), attempt), (expected, number));
            }
            prop_assert_eq!(restarts.failed(of("x")), Verdict::TooOften { attempts });
        }

        #[test]
        fn no_window_sees_more_starts_than_allowed(steps in prop::collection::vec(0u64..30_000, 1..200), limit in 1u32..6) {
            let config = RestartConfig { start_limit: limit, ..RestartConfig::default() };
            let window = config.start_window;
            let (mut restarts, mut now, mut made) = (Restarts::new(config), Instant::now(), Vec::new());
            for step in steps {
                now += Duration::from_millis(step);
                match restarts.start(now) {
                    Ok(()) => made.push(now),
                    Err(wait) => {
                        prop_assert!(!wait.is_zero() && wait <= window);
                        let mut later = Restarts { starts: restarts.starts.clone(), ..Restarts::new(restarts.config.clone()) };
                        prop_assert!(later.start(now + wait).is_ok(), "the wait that is told is long enough");
                    }
                }
                let lately = made.iter().filter(|start| now.duration_since(**start) < window).count();
                prop_assert!(lately <= limit as usize);
            }
        }
    }
}
