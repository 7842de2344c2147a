//! The state machine of a breaker: plain numbers, the time given from outside.

use std::time::Duration;

use tokio::time::Instant;

use super::config::{BreakerConfig, SlowCalls, Trip};
use super::{Rejected, State};
use crate::rolling::Rolling;

/// How a call ended, as far as the breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Failure,
    Ignored,
}

/// What a call needs to know of a breaker while all is well, in one number that is read without the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gate(u64);

impl Gate {
    const PASSES: u64 = 1;
    const UNMOVED: u64 = 2;

    fn new(sequence: u64, passes: bool, unmoved: bool) -> Self {
        let flag = |set, flag| if set { flag } else { 0 };
        Self((sequence << 2) | flag(passes, Self::PASSES) | flag(unmoved, Self::UNMOVED))
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// How often the state has changed.
    pub(super) const fn sequence(self) -> u64 {
        self.0 >> 2
    }

    /// Calls pass without being counted in.
    pub(super) const fn passes(self) -> bool {
        self.0 & Self::PASSES != 0
    }

    /// A success would change nothing.
    pub(super) const fn unmoved_by_success(self) -> bool {
        self.0 & Self::UNMOVED != 0
    }
}

#[derive(Debug)]
enum Tally {
    Consecutive { failures: u32, threshold: u32 },
    Rate { window: Rolling<2>, percentage: f64, volume: u32 },
}

impl Tally {
    fn new(trip: Trip, now: Instant) -> Self {
        match trip {
            Trip::ConsecutiveFailures { threshold } => Self::Consecutive { failures: 0, threshold: threshold.max(1) },
            Trip::ErrorRate { percentage, window, buckets, volume_threshold } => Self::Rate {
                window: Rolling::new(window, buckets, now),
                // Not a number: as if nothing may fail.
                percentage: if percentage.is_nan() { 0.0 } else { percentage },
                volume: volume_threshold.max(1),
            },
        }
    }

    /// Counts an outcome; true when the breaker must open.
    fn count(&mut self, failed: bool, now: impl FnOnce() -> Instant) -> bool {
        match self {
            Self::Consecutive { failures, threshold } => {
                *failures = if failed { failures.saturating_add(1) } else { 0 };
                *failures >= *threshold
            }
            Self::Rate { window, percentage, volume } => {
                let [failures, calls] = window.add([u32::from(failed), 1], now());
                failed && calls >= *volume && f64::from(failures) * 100.0 > *percentage * f64::from(calls)
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Consecutive { failures, .. } => *failures = 0,
            Self::Rate { window, .. } => window.clear(),
        }
    }
}

/// Counts slow calls, where that is asked for.
#[derive(Debug)]
struct SlowTally {
    config: SlowCalls,
    window: Rolling<2>,
}

impl SlowTally {
    fn new(config: SlowCalls, now: Instant) -> Self {
        Self { config, window: Rolling::new(config.window, config.buckets, now) }
    }

    /// Counts a call; true when the breaker must open.
    fn count(&mut self, slow: bool, now: Instant) -> bool {
        let [slow_calls, calls] = self.window.add([u32::from(slow), 1], now);
        let enough = calls >= self.config.volume_threshold.max(1);
        // What is no number compares as false: then nothing is ever slow enough.
        slow && enough && f64::from(slow_calls) * 100.0 >= self.config.percentage * f64::from(calls)
    }
}

/// Probes of the present half-open state.
#[derive(Debug, Default)]
struct Probes {
    running: u32,
    succeeded: u32,
}

#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    sequence: u64,
    tally: Tally,
    slow: Option<SlowTally>,
    probes: Probes,
    needed: u32,
    reset_timeout: Duration,
    opened: Instant,
}

impl Machine {
    /// How long a caller waits when it cannot be known: a probe usually ends soon.
    const PROBE_WAIT: Duration = Duration::from_secs(1);

    pub(super) fn new(config: BreakerConfig, now: Instant) -> Self {
        Self {
            state: State::Closed,
            sequence: 0,
            tally: Tally::new(config.trip, now),
            slow: config.slow.map(|slow| SlowTally::new(slow, now)),
            probes: Probes::default(),
            needed: config.probes.max(1),
            reset_timeout: config.reset_timeout,
            opened: now,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn gate(&self) -> Gate {
        let passes = matches!(self.state, State::Closed | State::ForcedClosed);
        // A success changes nothing that is counted in a row and stands at nothing, nor in a state that an operator holds.
        let unmoved = matches!(self.tally, Tally::Consecutive { failures: 0, .. }) && self.slow.is_none();
        Gate::new(self.sequence, passes, passes && (unmoved || self.state == State::ForcedClosed))
    }

    /// Goes to `state`, unless it is there, and starts counting anew in any case.
    pub(super) fn turn(&mut self, state: State, now: Instant) {
        if self.state != state {
            self.sequence += 1;
        }
        self.state = state;
        self.tally.clear();
        if let Some(slow) = &mut self.slow {
            slow.window.clear();
        }
        self.probes = Probes::default();
        self.opened = now;
    }

    /// Lets the time that has passed have its effect.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.state == State::Open && self.open_for(now) >= self.reset_timeout {
            self.turn(State::HalfOpen, now);
        }
    }

    fn open_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// Admits a call and returns the sequence its outcome must name.
    pub(super) fn admit(&mut self, now: Instant) -> Result<u64, Rejected> {
        self.advance(now);
        let rejected = |retry_after| Err(Rejected { state: self.state, retry_after });
        match self.state {
            State::Closed | State::ForcedClosed => {}
            State::Open => return rejected(self.reset_timeout.saturating_sub(self.open_for(now))),
            State::ForcedOpen => return rejected(self.reset_timeout),
            State::HalfOpen if self.probes.running + self.probes.succeeded >= self.needed => {
                return rejected(self.reset_timeout.min(Self::PROBE_WAIT));
            }
            State::HalfOpen => self.probes.running += 1,
        }
        Ok(self.sequence)
    }

    fn count(&mut self, failed: bool, slow: bool, now: impl Fn() -> Instant) {
        let failed_too_often = self.tally.count(failed, &now);
        let slow_too_often = self.slow.as_mut().is_some_and(|tally| tally.count(slow, now()));
        if failed_too_often || slow_too_often {
            self.turn(State::Open, now());
        }
    }

    /// Takes the outcome of a call that was admitted at `sequence` and was slow or not.
    pub(super) fn finish(&mut self, sequence: u64, verdict: Verdict, slow: bool, now: impl Fn() -> Instant) {
        if sequence != self.sequence {
            return;
        }
        match (self.state, verdict) {
            (State::Closed, Verdict::Success | Verdict::Failure) => self.count(verdict == Verdict::Failure, slow, now),
            (State::HalfOpen, verdict) => {
                self.probes.running = self.probes.running.saturating_sub(1);
                match verdict {
                    Verdict::Failure => self.turn(State::Open, now()),
                    Verdict::Success if slow => self.turn(State::Open, now()),
                    Verdict::Success => {
                        self.probes.succeeded += 1;
                        if self.probes.succeeded >= self.needed {
                            self.turn(State::Closed, now());
                        }
                    }
                    Verdict::Ignored => {}
                }
            }
            _ => {}
        }
    }
}
