//! One attempt under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breakwater_core::{Deadline, Effect, Failure, FailureKind, OperationEffect};
use tokio::time::Instant;

use super::{Attempt, AttemptFailure, FailureClass, LastError, Shared, Terms};
use crate::endpoint::{Endpoint, EndpointSet, Stats};
use crate::observer::{AttemptEnded, AttemptOutcome};

/// An attempt that was counted as running, until it ends or is dropped.
pub(super) struct Running<'a, E> {
    shared: &'a Shared<E>,
    endpoint: Arc<Endpoint<E>>,
    started: Instant,
    deadline: Deadline,
    number: u32,
    is_hedge: bool,
    ended: bool,
}

/// How old the newest answer may be for the latency to count as known when calls are refused by it. Whoever refuses everything learns
/// nothing, so that now and then one call must go and see.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// Answers that make a latency known.
const KNOWN_BY: u64 = 64;

impl<E: Clone> Shared<E> {
    /// Picks an endpoint and begins an attempt at it.
    pub(super) fn begin<'a>(
        &'a self,
        terms: &Terms,
        tried: &[Arc<Stats>],
        number: u32,
        is_hedge: bool,
        started: Instant,
    ) -> Result<Running<'a, E>, Failure> {
        let now = self.clock.at(started);
        let set = self.endpoints.load();
        if set.endpoints.iter().any(|endpoint| endpoint.stats.record.marked()) {
            self.welcome_back(&set, now);
        }
        let Some(endpoint) = set.pick(self.config.balance, tried, now) else {
            let message = if set.endpoints.is_empty() { "there is no endpoint to call" } else { "no endpoint is healthy" };
            return Err(Failure::new(FailureKind::Unavailable, "endpoint.none", message));
        };
        let left = terms.deadline.instant().saturating_duration_since(started);
        let stats = &endpoint.stats;
        if stats.latency.samples() >= KNOWN_BY {
            let age = Duration::from_nanos(now.saturating_sub(stats.ewma.updated()));
            if left < stats.latency.p50() && age < KNOWN_FOR {
                return Err(Failure::new(FailureKind::Timeout, "call.deadline", "less time is left than an answer usually takes"));
            }
        }
        stats.pending.fetch_add(1, Ordering::Relaxed);
        terms.ledger.record_attempt();
        // `started` plus the attempt timeout, or the call's deadline if that comes first.
        let deadline = terms.deadline.reserving(left.saturating_sub(self.config.attempt_timeout));
        Ok(Running { shared: self, endpoint: Arc::clone(endpoint), started, deadline, number, is_hedge, ended: false })
    }

    /// Ejects an endpoint that has failed too often, if that leaves enough others.
    fn eject(&self, endpoint: &Endpoint<E>) {
        let changing = self.change();
        let set = self.endpoints.load();
        let now = self.clock.now();
        let duration = may_eject(&set, endpoint, self.config.ejection.allowed(set.endpoints.len()), now)
            .then(|| endpoint.stats.record.eject(&self.config.ejection, now));
        drop(changing);
        if let Some(duration) = duration {
            self.observer.endpoint_ejected(&endpoint.id, duration);
        }
    }
}

fn may_eject<E>(set: &EndpointSet<E>, endpoint: &Endpoint<E>, allowed: usize, now: u64) -> bool {
    let belongs = set.endpoints.iter().any(|one| Arc::ptr_eq(&one.stats, &endpoint.stats));
    if !belongs || endpoint.stats.record.ejected_until(now).is_some() {
        return false;
    }
    let ejected = set.endpoints.iter().filter(|one| one.stats.record.ejected_until(now).is_some()).count();
    let others = set.endpoints.iter().filter(|one| !Arc::ptr_eq(&one.stats, &endpoint.stats));
    let calls_remain = others.into_iter().any(|one| one.takes_calls() && one.stats.record.ejected_until(now).is_none());
    ejected < allowed && calls_remain
}

/// Until when an attempt may run, and what it means when it does not end by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    deadline: Deadline,
    is_the_calls: bool,
    effect: OperationEffect,
}

impl Limit {
    /// Runs `work` until then.
    pub(super) async fn bound<T>(self, work: impl Future<Output = Result<T, AttemptFailure>>) -> Result<T, AttemptFailure> {
        tokio::time::timeout_at(self.deadline.instant(), work).await.unwrap_or_else(|_| Err(self.failure()))
    }

    fn failure(self) -> AttemptFailure {
        let (code, message) = if self.is_the_calls {
            ("call.deadline", "the call's deadline came before an answer")
        } else {
            ("call.attempt-timeout", "no answer came within the time of an attempt")
        };
        let mut failure = Failure::new(FailureKind::Timeout, code, message);
        if self.effect != OperationEffect::Read {
            failure.effect = Effect::Unknown;
        }
        AttemptFailure::new(FailureClass::Timeout, failure)
    }
}

impl<E: Clone> Running<'_, E> {
    /// What the function that makes the attempt is told.
    pub(super) fn attempt(&self) -> Attempt<E> {
        Attempt {
            endpoint: self.endpoint.value.clone(),
            endpoint_id: Arc::clone(&self.endpoint.id),
            number: self.number,
            is_hedge: self.is_hedge,
            deadline: self.deadline,
        }
    }

    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.endpoint.stats
    }

    pub(super) fn endpoint_id(&self) -> &str {
        &self.endpoint.id
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Until when it may run.
    pub(super) fn limit(&self, terms: &Terms) -> Limit {
        Limit { deadline: self.deadline, is_the_calls: self.deadline == terms.deadline, effect: terms.effect }
    }

    /// Takes the result; returns when it ended and how long it took.
    pub(super) fn end<T>(mut self, result: &Result<T, AttemptFailure>) -> (Instant, Duration) {
        let ended = Instant::now();
        let elapsed = ended - self.started;
        match result {
            Ok(_) => self.answered(elapsed),
            Err(AttemptFailure { class: FailureClass::Client, .. }) => self.answered(elapsed),
            Err(AttemptFailure { class: FailureClass::Cancelled, .. }) => {}
            Err(failure) => self.failed(failure, elapsed),
        }
        let outcome = result.as_ref().err().map_or(AttemptOutcome::Success, |failure| AttemptOutcome::Failure(failure.class));
        self.leave(elapsed, outcome);
        (ended, elapsed)
    }

    /// Another attempt of the call was faster.
    pub(super) fn overtaken(mut self) {
        let elapsed = self.started.elapsed();
        // It would have taken at least so long. Left out, hedged endpoints would look faster than they are.
        self.took(elapsed);
        self.leave(elapsed, AttemptOutcome::Failure(FailureClass::Cancelled));
    }

    fn took(&self, elapsed: Duration) {
        self.stats().latency.record(elapsed);
        self.stats().ewma.record(elapsed, self.shared.clock.at(self.started + elapsed));
    }

    fn answered(&self, elapsed: Duration) {
        self.took(elapsed);
        self.stats().record.success();
    }

    fn failed(&self, failure: &AttemptFailure, elapsed: Duration) {
        let stats = self.stats();
        // Failing fast must not make an endpoint look fast; failing slowly makes it look slow.
        if failure.class == FailureClass::Timeout {
            self.took(elapsed);
        }
        stats.set_last_error(LastError {
            class: failure.class,
            code: failure.failure.code.clone().into_owned(),
            message: failure.failure.message.clone(),
            at: Instant::now(),
        });
        if stats.record.failure(&self.shared.config.ejection) {
            self.shared.eject(&self.endpoint);
        }
    }
}

impl<E> Running<'_, E> {
    fn leave(&mut self, elapsed: Duration, outcome: AttemptOutcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.endpoint.stats.pending.fetch_sub(1, Ordering::Relaxed);
        self.shared.observer.attempt_ended(&AttemptEnded {
            endpoint_id: &self.endpoint.id,
            number: self.number,
            is_hedge: self.is_hedge,
            elapsed,
            outcome,
        });
    }
}

impl<E> Drop for Running<'_, E> {
    fn drop(&mut self) {
        if !self.ended {
            self.leave(self.started.elapsed(), AttemptOutcome::Failure(FailureClass::Cancelled));
        }
    }
}
