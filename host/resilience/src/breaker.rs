//! A circuit breaker: after too many failures it refuses calls for a while, then lets a few probes through.
//!
//! ```
//! # use breakwater_resilience::{Breaker, BreakerConfig, State};
//! let breaker = Breaker::new(BreakerConfig::default());
//! for _ in 0..5 {
//!     breaker.try_acquire().unwrap().failure();
//! }
//! assert_eq!(breaker.state(), State::Open);
//! let rejected = breaker.try_acquire().unwrap_err();
//! assert!(rejected.retry_after > std::time::Duration::from_secs(29));
//! ```

mod config;
mod machine;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use tokio::time::Instant;

pub use config::{BreakerConfig, InvalidBreakerConfig, OpossumOptions, SlowCalls, Trip};
use machine::{Gate, Machine, Verdict};

/// What a breaker does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass and their outcomes are counted.
    Closed,
    /// Calls are refused until the reset timeout has passed.
    Open,
    /// A few probes pass; their outcomes decide whether it closes or opens again.
    HalfOpen,
    /// An operator closed the way: calls are refused until [`Breaker::reset`].
    ForcedOpen,
    /// An operator keeps the way open: calls pass whatever their outcomes are, until [`Breaker::reset`].
    ForcedClosed,
}

impl State {
    /// As metrics and answers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::ForcedClosed => "forced-closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A breaker went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where it was.
    pub from: State,
    /// Where it is.
    pub to: State,
    /// Counts up by one with every change of this breaker. Observers run outside the lock, so two changes made by two
    /// threads at once may be reported in either order; the larger number is the later one.
    pub sequence: u64,
}

/// The call was refused; the protected part was not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is {state}")]
pub struct Rejected {
    /// Why: [`State::Open`], [`State::HalfOpen`] with every probe taken, or [`State::ForcedOpen`].
    pub state: State,
    /// When a call has a chance again. Exact while open; a guess of at most a second while probes run.
    pub retry_after: Duration,
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        Self::new(FailureKind::CircuitOpen, "breaker.open", format!("{rejected}; it failed too often lately"))
            .retry_after(rejected.retry_after)
    }
}

type Observer = Box<dyn Fn(Change) + Send + Sync>;

struct Shared {
    /// A [`Gate`].
    gate: AtomicU64,
    /// What makes a call slow, if anything does.
    slower_than: Option<Duration>,
    machine: Mutex<Machine>,
    observer: Option<Observer>,
}

impl Shared {
    fn gate(&self) -> Gate {
        Gate::from_bits(self.gate.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // The machine holds plain numbers and every change of it is complete before anything can panic.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one step of the machine, then publishes its gate and reports its changes outside the lock.
    fn step<T>(&self, step: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let before = (machine.state(), machine.sequence());
        let result = step(&mut machine);
        let after = (machine.state(), machine.sequence());
        let gate = machine.gate().bits();
        if self.gate.load(Ordering::Relaxed) != gate {
            self.gate.store(gate, Ordering::Release);
        }
        drop(machine);
        if let (true, Some(observer)) = (before.1 != after.1, &self.observer) {
            observer(Change { from: before.0, to: after.0, sequence: after.1 });
        }
        result
    }
}

/// A circuit breaker. Clones share one state.
#[derive(Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self::build(config, None)
    }

    /// A closed breaker that reports each change of state to `observer`, on the thread that caused it and outside the lock.
    #[must_use]
    pub fn observed(config: BreakerConfig, observer: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self::build(config, Some(Box::new(observer)))
    }

    fn build(config: BreakerConfig, observer: Option<Observer>) -> Self {
        let machine = Machine::new(config, Instant::now());
        let gate = AtomicU64::new(machine.gate().bits());
        let slower_than = config.slow.map(|slow| slow.slower_than);
        Self { shared: Arc::new(Shared { gate, slower_than, machine: Mutex::new(machine), observer }) }
    }

    /// Asks to make a call. The permit takes its outcome; dropping it counts as [`Permit::ignore`].
    ///
    /// # Errors
    /// [`Rejected`] while the breaker refuses calls.
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        self.try_acquire_at(Instant::now)
    }

    /// As [`Self::try_acquire`]; the clock is read only if it matters, which it does not while the breaker is closed.
    pub(crate) fn try_acquire_at(&self, now: impl Fn() -> Instant) -> Result<Permit, Rejected> {
        let gate = self.shared.gate();
        let sequence = if gate.passes() { gate.sequence() } else { self.shared.step(|machine| machine.admit(now()))? };
        // Only who looks for slow calls needs the clock.
        let started = self.shared.slower_than.map(|_| now());
        Ok(Permit { shared: Arc::clone(&self.shared), sequence, started, reported: false })
    }

    /// The state the next call would meet.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.step(|machine| {
            machine.advance(Instant::now());
            machine.state()
        })
    }

    /// Closes the breaker and forgets every outcome, also after a forced state.
    pub fn reset(&self) {
        self.shared.step(|machine| machine.turn(State::Closed, Instant::now()));
    }

    /// Refuses every call until [`Self::reset`].
    pub fn force_open(&self) {
        self.shared.step(|machine| machine.turn(State::ForcedOpen, Instant::now()));
    }

    /// Lets every call pass until [`Self::reset`].
    pub fn force_closed(&self) {
        self.shared.step(|machine| machine.turn(State::ForcedClosed, Instant::now()));
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("state", &self.shared.lock().state()).finish_non_exhaustive()
    }
}

/// The right to make one call, which takes the call's outcome.
///
/// An outcome counts only if the breaker has not changed state since the permit was given: a slow call from before an
/// outage must neither close nor reopen the breaker after it.
#[must_use = "a permit that is dropped counts as ignored"]
pub struct Permit {
    shared: Arc<Shared>,
    sequence: u64,
    started: Option<Instant>,
    reported: bool,
}

impl Permit {
    /// The work begins now: what came before, such as waiting for a place, does not make the call slow.
    pub fn restart(&mut self) {
        self.restart_at(Instant::now);
    }

    pub(crate) fn restart_at(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(started) = &mut self.started {
            *started = now();
        }
    }

    /// Whether the breaker still lets this call do more: it is closed, or half-open with this call as a probe. Asked before a retry, so
    /// that a call from before an outage does not go on during it.
    #[must_use]
    pub fn holds(&self) -> bool {
        let gate = self.shared.gate();
        gate.passes() || gate.sequence() == self.sequence
    }

    /// The protected part did its work.
    pub fn success(self) {
        self.success_at(Instant::now);
    }

    /// The protected part failed.
    pub fn failure(mut self) {
        self.finish(Verdict::Failure, Instant::now);
    }

    /// The call says nothing about the protected part: cancelled, or wrong by the caller's fault.
    pub fn ignore(self) {
        drop(self);
    }

    pub(crate) fn success_at(mut self, now: impl Fn() -> Instant) {
        self.finish(Verdict::Success, now);
    }

    fn finish(&mut self, verdict: Verdict, now: impl Fn() -> Instant) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let gate = self.shared.gate();
        let counts = match verdict {
            Verdict::Success => !gate.unmoved_by_success(),
            Verdict::Ignored => !gate.passes(),
            Verdict::Failure => true,
        };
        // An outcome from before the last change counts for nothing either.
        if counts && gate.sequence() == self.sequence {
            let slow = self.started.zip(self.shared.slower_than).is_some_and(|(started, limit)| now() - started > limit);
            self.shared.step(|machine| machine.finish(self.sequence, verdict, slow, now));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.finish(Verdict::Ignored, Instant::now);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
