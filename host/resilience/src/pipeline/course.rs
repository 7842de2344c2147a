//! The attempts of one call.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Effect, Failure};
use futures_util::future::{Either, select};
use tokio::time::Instant;

use super::admission::{Admission, Verdict};
use super::running::Running;
use super::{Attempt, AttemptFailure, Completed, FailureClass, Shared, Terms, pause};
use crate::endpoint::Stats;
use crate::observer::{BudgetRefused, Payer, RetryScheduled};

/// How the attempts of a call ended.
pub(super) enum End<T> {
    /// With an answer.
    Success(T),
    /// With a failure that no retry can follow, or none that is worth one.
    Final(AttemptFailure),
    /// With a failure that a retry could have followed.
    Exhausted(AttemptFailure, Exhaustion),
    /// Before anything was sent.
    Unsent(Failure),
}

/// Why no retry followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exhaustion {
    Retries,
    Ledger,
    Budget,
    Deadline,
    Breaker,
    Endpoints,
}

impl Exhaustion {
    const fn name(self) -> &'static str {
        match self {
            Self::Retries => "retries",
            Self::Ledger => "ledger",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::Breaker => "breaker",
            Self::Endpoints => "endpoints",
        }
    }
}

/// An extra attempt that is paid for; paid back if it is dropped before it is sent.
struct Extra<'a, E> {
    shared: &'a Shared<E>,
    terms: &'a Terms,
    is_hedge: bool,
    sent: bool,
}

impl<'a, E> Extra<'a, E> {
    fn take(shared: &'a Shared<E>, terms: &'a Terms, is_hedge: bool) -> Result<Self, Payer> {
        let refused = |by| {
            shared.observer.budget_refused(BudgetRefused { is_hedge, by });
            by
        };
        if is_hedge && !shared.hedging.as_ref().is_some_and(|hedging| hedging.cap.try_take()) {
            return Err(refused(Payer::HedgeCap));
        }
        let give_back_cap = || {
            if let (true, Some(hedging)) = (is_hedge, &shared.hedging) {
                hedging.cap.give_back();
            }
        };
        if !terms.ledger.take_extra() {
            give_back_cap();
            return Err(refused(Payer::Ledger));
        }
        if !shared.budget.try_take() {
            terms.ledger.return_extra();
            give_back_cap();
            return Err(refused(Payer::Budget));
        }
        Ok(Self { shared, terms, is_hedge, sent: false })
    }

    fn sent(mut self) {
        self.sent = true;
    }
}

impl<E> Drop for Extra<'_, E> {
    fn drop(&mut self) {
        if self.sent {
            return;
        }
        self.shared.budget.give_back();
        self.terms.ledger.return_extra();
        if let (true, Some(hedging)) = (self.is_hedge, &self.shared.hedging) {
            hedging.cap.give_back();
        }
    }
}

/// The attempts of one call, made one after the other, with a hedge beside one where that pays.
pub(super) struct Course<'a, E> {
    shared: &'a Shared<E>,
    terms: &'a Terms,
    attempts: u32,
    retries: u32,
    tried: Vec<Arc<Stats>>,
    effect: Effect,
    /// When the last attempt ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl<'a, E: Clone> Course<'a, E> {
    pub(super) fn new(shared: &'a Shared<E>, terms: &'a Terms) -> Self {
        Self { shared, terms, attempts: 0, retries: 0, tried: Vec::new(), effect: Effect::None, last: None }
    }

    /// Makes attempts until one succeeds or no further one may be made.
    pub(super) async fn run<T, F, Fut>(&mut self, attempt: &F, admission: &Admission<'_, E>) -> End<T>
    where
        F: Fn(Attempt<E>) -> Fut,
        Fut: Future<Output = Result<T, AttemptFailure>>,
    {
        let mut running = match self.begin(false, admission.since()) {
            Ok(running) => running,
            Err(failure) => return End::Unsent(failure),
        };
        self.shared.budget.record_call();
        if let Some(hedging) = &self.shared.hedging {
            hedging.cap.record_call();
        }
        loop {
            let failure = match self.round(running, attempt).await {
                Ok(value) => return End::Success(value),
                Err(failure) => failure,
            };
            if !may_repeat(self.terms, &failure) {
                return End::Final(failure);
            }
            let (extra, wait) = match self.next(&failure) {
                Ok(next) => next,
                Err(reason) => return End::Exhausted(failure, reason),
            };
            pause(wait).await;
            if !admission.holds() {
                return End::Exhausted(failure, Exhaustion::Breaker);
            }
            running = match self.begin(false, Instant::now()) {
                Ok(running) => running,
                Err(refused) => {
                    let no_endpoint = refused.code == "endpoint.none";
                    return End::Exhausted(failure, if no_endpoint { Exhaustion::Endpoints } else { Exhaustion::Deadline });
                }
            };
            extra.sent();
        }
    }

    fn begin(&mut self, is_hedge: bool, now: Instant) -> Result<Running<'a, E>, Failure> {
        // Once all have been tried, any but the last one will do.
        if self.tried.len() > 1 && !self.can_go_elsewhere() {
            self.tried.drain(..self.tried.len() - 1);
        }
        let running = self.shared.begin(self.terms, &self.tried, self.attempts + 1, is_hedge, now)?;
        self.attempts += 1;
        Ok(running)
    }

    /// One attempt to its end, with a hedge beside it when it takes long.
    async fn round<T, F, Fut>(&mut self, running: Running<'a, E>, attempt: &F) -> Result<T, AttemptFailure>
    where
        F: Fn(Attempt<E>) -> Fut,
        Fut: Future<Output = Result<T, AttemptFailure>>,
    {
        let terms = self.terms;
        let hedge_at = self.hedge_at(&running);
        // Ends with the futures dropped: an attempt that was overtaken is cut off before it is counted as ended.
        let round = {
            let mut work = pin!(running.limit(terms).bound(attempt(running.attempt())));
            let early = match hedge_at {
                None => Some(work.as_mut().await),
                Some(at) => tokio::time::timeout_at(at, work.as_mut()).await.ok(),
            };
            match early {
                Some(result) => Round::One(result),
                None => match self.begin_hedge(&running) {
                    None => Round::One(work.await),
                    Some(hedge) => {
                        let other = pin!(hedge.limit(terms).bound(attempt(hedge.attempt())));
                        Round::Two(race(work, other).await, hedge)
                    }
                },
            }
        };
        match round {
            Round::One(result) => self.settle(running, result),
            Round::Two(raced, hedge) => self.settle_race(running, hedge, raced),
        }
    }

    fn settle<T>(&mut self, running: Running<'a, E>, result: Result<T, AttemptFailure>) -> Result<T, AttemptFailure> {
        if let Err(failure) = &result {
            self.effect = worse(self.effect, failure.failure.effect);
            self.mark_tried(running.stats());
        }
        self.last = Some(running.end(&result));
        result
    }

    fn settle_race<T>(
        &mut self,
        running: Running<'a, E>,
        hedge: Running<'a, E>,
        raced: Raced<Result<T, AttemptFailure>>,
    ) -> Result<T, AttemptFailure> {
        match raced {
            Raced::First(result) => {
                hedge.overtaken();
                self.settle(running, result)
            }
            Raced::Second(result) => {
                running.overtaken();
                if result.is_ok() {
                    self.shared.observer.hedge_won(hedge.endpoint_id());
                }
                self.settle(hedge, result)
            }
            Raced::FirstThenSecond(first, second) => {
                // Only a failure waits for the other one.
                drop(self.settle(running, first));
                if second.is_ok() {
                    self.shared.observer.hedge_won(hedge.endpoint_id());
                }
                self.settle(hedge, second)
            }
            Raced::SecondThenFirst(second, first) => {
                drop(self.settle(hedge, second));
                self.settle(running, first)
            }
        }
    }

    /// When a hedge is due, if there may be one.
    fn hedge_at(&self, running: &Running<'a, E>) -> Option<Instant> {
        let hedging = self.shared.hedging.as_ref()?;
        if !self.terms.repeatable {
            return None;
        }
        let at = running.started() + hedging.config.delay(&running.stats().latency)?;
        (at < running.deadline().instant()).then_some(at)
    }

    fn mark_tried(&mut self, stats: &Arc<Stats>) {
        if !self.tried.iter().any(|tried| Arc::ptr_eq(tried, stats)) {
            self.tried.push(Arc::clone(stats));
        }
    }

    /// Begins a second attempt beside `running`, elsewhere if there is an elsewhere.
    fn begin_hedge(&mut self, running: &Running<'a, E>) -> Option<Running<'a, E>> {
        let extra = Extra::take(self.shared, self.terms, true).ok()?;
        self.mark_tried(running.stats());
        let hedge = self.begin(true, Instant::now()).ok()?;
        extra.sent();
        self.shared.observer.hedge_sent(hedge.endpoint_id());
        Some(hedge)
    }

    /// Pays for the next attempt and says how long to wait before it.
    fn next(&mut self, failure: &AttemptFailure) -> Result<(Extra<'a, E>, Duration), Exhaustion> {
        let policy = self.shared.config.retry.of(self.terms.effect);
        let retry = self.retries + 1;
        if retry > policy.max_retries {
            return Err(Exhaustion::Retries);
        }
        let fails_over = failure.class == FailureClass::Connection && failure.failure.effect == Effect::None && self.can_go_elsewhere();
        // Waiting lets an endpoint recover; another one needs no such time.
        let wait = if fails_over { Duration::ZERO } else { policy.wait(retry, failure.failure.retry_after) };
        if wait >= self.terms.deadline.remaining() {
            return Err(Exhaustion::Deadline);
        }
        let extra = Extra::take(self.shared, self.terms, false).map_err(|payer| match payer {
            Payer::Ledger => Exhaustion::Ledger,
            Payer::Budget | Payer::HedgeCap => Exhaustion::Budget,
        })?;
        self.retries = retry;
        self.shared.observer.retry_scheduled(&RetryScheduled { retry, wait, class: failure.class, code: &failure.failure.code });
        Ok((extra, wait))
    }

    fn can_go_elsewhere(&self) -> bool {
        self.shared.endpoints.load().has_untried(&self.tried, self.shared.clock.now())
    }

    /// When the last attempt ended and how long it took, if there was one.
    pub(super) fn last(&self) -> Option<(Instant, Duration)> {
        self.last
    }

    /// What the caller gets.
    pub(super) fn conclude<T>(self, end: End<T>) -> Result<Completed<T>, Failure> {
        let attempts = self.attempts;
        match end {
            End::Success(value) => Ok(Completed { value, attempts }),
            End::Unsent(failure) => Err(failure),
            End::Final(AttemptFailure { mut failure, .. }) => {
                failure.effect = self.effect;
                Err(failure)
            }
            End::Exhausted(last, _) if attempts < 2 => Err(last.failure),
            End::Exhausted(last, reason) => Err(exhausted(last.failure, attempts, reason, self.effect)),
        }
    }
}

impl<T> End<T> {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Success(_) => Verdict::Answered,
            Self::Unsent(_) => Verdict::Nothing,
            Self::Final(failure) | Self::Exhausted(failure, _) => match failure.class {
                FailureClass::Client => Verdict::Answered,
                FailureClass::Cancelled => Verdict::Nothing,
                class => Verdict::Failed(class),
            },
        }
    }
}

/// Whether a failure may be followed by another attempt at all.
fn may_repeat(terms: &Terms, failure: &AttemptFailure) -> bool {
    match failure.class {
        FailureClass::Client | FailureClass::Cancelled => false,
        // Nothing was sent.
        FailureClass::Connection if failure.failure.effect == Effect::None => true,
        FailureClass::Connection | FailureClass::Timeout | FailureClass::ServerError | FailureClass::Throttled => terms.repeatable,
    }
}

/// How a round ended.
enum Round<'a, E, R> {
    One(R),
    Two(Raced<R>, Running<'a, E>),
}

/// How two attempts side by side ended.
enum Raced<R> {
    First(R),
    Second(R),
    FirstThenSecond(R, R),
    SecondThenFirst(R, R),
}

/// Waits for an answer of either; a failure that a retry could follow waits for the other one.
async fn race<T>(
    first: impl Future<Output = Result<T, AttemptFailure>> + Unpin,
    second: impl Future<Output = Result<T, AttemptFailure>> + Unpin,
) -> Raced<Result<T, AttemptFailure>> {
    let settles = |result: &Result<T, AttemptFailure>| match result {
        Ok(_) => true,
        Err(failure) => !failure.class.blames_endpoint(),
    };
    match select(first, second).await {
        Either::Left((result, _)) if settles(&result) => Raced::First(result),
        Either::Right((result, _)) if settles(&result) => Raced::Second(result),
        Either::Left((result, second)) => Raced::FirstThenSecond(result, second.await),
        Either::Right((result, first)) => Raced::SecondThenFirst(result, first.await),
    }
}

const fn worse(one: Effect, other: Effect) -> Effect {
    match (one, other) {
        (Effect::Applied, _) | (_, Effect::Applied) => Effect::Applied,
        (Effect::Unknown, _) | (_, Effect::Unknown) => Effect::Unknown,
        (Effect::None, Effect::None) => Effect::None,
    }
}

fn exhausted(last: Failure, attempts: u32, reason: Exhaustion, effect: Effect) -> Failure {
    let mut detail = match last.detail.clone() {
        Some(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    detail.insert("last_code".to_owned(), last.code.as_ref().into());
    detail.insert("attempts".to_owned(), attempts.into());
    detail.insert("ended_by".to_owned(), reason.name().into());
    let message = format!("it failed {attempts} times; the last time: {}", last.message);
    let mut failure = Failure::new(last.kind, "retry.exhausted", message).with_detail(serde_json::Value::Object(detail));
    failure.retryable = last.retryable;
    failure.retry_after = last.retry_after;
    failure.origin.clone_from(&last.origin);
    failure.effect = effect;
    failure.caused_by(last)
}
