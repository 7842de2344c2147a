//! Waiting until an instance is ready.

use std::time::Duration;

use breakwater_upstream::{ProbeError, Prober};
use tokio::time::Instant;

use crate::config::{Checks, Readiness};
use crate::health::{Target, Unwell};

/// How long before the end of its time it is asked for the last time.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Which limit ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The number of attempts.
    Attempts,
    /// The time for all of them.
    Time,
}

/// It did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotReady {
    pub(crate) limit: Limit,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// What the last attempt met that was not cut short.
    pub(crate) last: Unwell,
}

impl NotReady {
    /// What happened, in one sentence.
    pub(crate) fn message(&self, checks: &Checks) -> String {
        let (attempts, last) = (self.attempts, &self.last);
        let times = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
        match self.limit {
            Limit::Attempts => format!(
                "the health check failed after {times}, which is the limit (health_check_max_retries); {:.1} of {:.1} s had passed; \
                 the last one: {last}",
                self.elapsed.as_secs_f64(),
                checks.timeout.as_secs_f64()
            ),
            Limit::Time => format!(
                "the health check failed after {times} of {}: the limit of {:.1} s was over (health_check_timeout); the last one: {last}",
                checks.max_attempts,
                checks.timeout.as_secs_f64()
            ),
        }
    }

    /// Whether it spoke, but not HTTP.
    pub(crate) fn is_other_protocol(&self) -> bool {
        matches!(self.last, Unwell::Probe(ProbeError::NotHttp(_)))
    }
}

/// What is asked, and how it is told.
pub(crate) struct Waiting<'a> {
    pub(crate) target: &'a Target,
    pub(crate) prober: &'a Prober,
    pub(crate) readiness: &'a Readiness,
    pub(crate) checks: &'a Checks,
}

impl Waiting<'_> {
    /// Asks until it is ready or a limit is reached, whichever comes first. Every attempt that fails is told with its number and cause.
    /// `line` ends when the sidecar has written its line. Returns the number of attempts that it took.
    pub(crate) async fn until_ready(&self, line: impl Future<Output = ()>, mut tell: impl FnMut(u32, &Unwell)) -> Result<u32, NotReady> {
        let (started, mut wait) = (Instant::now(), self.checks.interval);
        let until = started + self.checks.timeout;
        let mut line = std::pin::pin!(line);
        let (mut attempt, mut is_last, mut was_opened) = (1, false, false);
        let mut before: Option<Unwell> = None;
        loop {
            let within = self.checks.attempt_timeout.min(until.saturating_duration_since(Instant::now()));
            let asked = match self.readiness {
                Readiness::Line(_) => tokio::time::timeout(Duration::ZERO, &mut line).await.map_err(|_| Unwell::NoLine),
                readiness => self.target.ask(self.prober, readiness, within).await,
            };
            let Err(last) = asked else { return Ok(attempt) };
            tell(attempt, &last);
            let last = match before.take() {
                // That the end of its time cut an attempt short says less than the one before.
                Some(before) if last == Unwell::Probe(ProbeError::Timeout) && within < self.checks.attempt_timeout => before,
                _ => last,
            };
            before = Some(last.clone());
            let elapsed = started.elapsed();
            let over = |limit| Err(NotReady { limit, attempts: attempt, elapsed, last: last.clone() });
            if attempt >= self.checks.max_attempts {
                return over(Limit::Attempts);
            }
            let now = Instant::now();
            if is_last || now >= until {
                return over(Limit::Time);
            }
            let mut next = now + wait;
            if next >= until {
                // The time that is left is not given away: it is asked once more, shortly before its end.
                next = until - LAST_LOOK.min((until - now) / 2);
                is_last = true;
            }
            if matches!(self.readiness, Readiness::Line(_)) {
                // No need to wait for the next look once the line is there.
                if tokio::time::timeout_at(next, &mut line).await.is_ok() {
                    return Ok(attempt);
                }
            } else if last == Unwell::Probe(ProbeError::Refused) && !was_opened {
                // Nobody listened. Once somebody does, there is nothing to wait for; but only once, since it may be somebody else.
                was_opened = tokio::time::timeout_at(next, self.target.opened()).await.is_ok();
            } else {
                tokio::time::sleep_until(next).await;
            }
            wait = wait.mul_f64(self.checks.factor).min(self.checks.max_interval);
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use regex::Regex;

    use super::*;
    use crate::config::{Launch, SidecarConfig};

    /// Waits for a line that comes after `after`.
    async fn waited(checks: &Checks, after: Duration) -> (Result<u32, NotReady>, Vec<Duration>) {
        let config = SidecarConfig::new("x", Launch::Command(vec!["x".to_owned()]));
        let (target, prober) = (Target::of(&config, 1), Prober::new().unwrap());
        let readiness = Readiness::Line(Regex::new("ready").unwrap());
        let (started, told) = (Instant::now(), Mutex::new(Vec::new()));
        let waiting = Waiting { target: &target, prober: &prober, readiness: &readiness, checks };
        let result = waiting
            .until_ready(tokio::time::sleep(after), |_, why| {
                assert_eq!(*why, Unwell::NoLine);
                told.lock().unwrap().push(started.elapsed());
            })
            .await;
        (result, told.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_come_as_the_process_bridge_has_them_and_the_time_ends_them_first() {
        let (result, told) = waited(&Checks::default(), Duration::from_secs(100)).await;
        // 500 ms times 1.2 each, at most 2 s: the tenth would come after 10 s, and comes shortly before instead.
        let expected = [0, 500, 1100, 1820, 2684, 3720, 4964, 6457, 8249, 9500];
        let told: Vec<_> = told.iter().map(|at| at.as_millis()).collect();
        let near = |(at, expected): (&u128, u128)| at.abs_diff(expected) <= 15;
        assert!(told.len() == expected.len() && told.iter().zip(expected).all(near), "{told:?}");
        let error = result.unwrap_err();
        assert_eq!((error.limit, error.attempts), (Limit::Time, 10));
        let message = error.message(&Checks::default());
        assert!(
            message.contains("after 10 attempts of 20") && message.contains("10.0 s") && message.contains("health_check_timeout"),
            "{message}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_attempts_ends_them_when_there_is_time() {
        let checks = Checks { timeout: Duration::from_secs(60), ..Checks::default() };
        let (result, told) = waited(&checks, Duration::from_secs(100)).await;
        let error = result.unwrap_err();
        assert_eq!((error.limit, error.attempts, told.len()), (Limit::Attempts, 20, 20));
        let message = error.message(&checks);
        assert!(message.contains("after 20 attempts, which is the limit"), "{message}");
        assert_eq!(told[19] - told[18], Duration::from_secs(2), "no wait is longer than the longest");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_ends_the_wait_at_once() {
        let started = Instant::now();
        let (result, _) = waited(&Checks::default(), Duration::from_millis(1300)).await;
        assert_eq!(result, Ok(3));
        assert_eq!(started.elapsed(), Duration::from_millis(1300));
    }
}
