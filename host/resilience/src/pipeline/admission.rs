//! Everything a call passes before its first attempt, and what it reports at its end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use breakwater_core::Failure;
use tokio::time::Instant;

use super::{FailureClass, Shared, Terms};
use crate::adaptive::AdaptivePermit;
use crate::breaker::Permit;
use crate::bulkhead::{BulkheadError, BulkheadPermit};
use crate::observer::ShedReason;
use crate::shed::{ShedPermit, shed};

/// How a call ended, as far as those who admitted it care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other side answered, be it that the request is wrong.
    Answered,
    /// It did not, for this reason.
    Failed(FailureClass),
    /// The call says nothing about it: nothing was sent, or the caller went away.
    Nothing,
}

/// The right to make attempts. However it ends, also by being dropped, everything that was taken for it is free again.
pub(super) struct Admission<'a, E> {
    shared: &'a Shared<E>,
    breaker: Option<Permit>,
    shed: Option<ShedPermit<'a>>,
    adaptive: Option<AdaptivePermit<'a>>,
    _place: BulkheadPermit,
    /// When it was given.
    since: Instant,
}

impl<E> Shared<E> {
    /// Lets a call that comes at `now` begin, perhaps after waiting for its turn.
    pub(super) async fn admit(&self, terms: &Terms, now: Instant) -> Result<Admission<'_, E>, Failure> {
        let mut breaker = self.breaker.try_acquire_at(|| now)?;
        let turned_away = |reason, failure: Failure| {
            self.observer.shed(reason, terms.priority);
            failure
        };
        let admitted = match &self.shedder {
            None => None,
            Some(shedder) => match shedder.try_acquire(terms.priority, now) {
                Some(permit) => Some(permit),
                None => {
                    return Err(turned_away(ShedReason::Overload, shed("the other side refuses too many calls; this one was kept back")));
                }
            },
        };
        let adaptive = match &self.adaptive {
            None => None,
            Some(limit) => match limit.try_acquire() {
                Some(permit) => Some(permit),
                None => {
                    return Err(turned_away(ShedReason::Limit, shed("as many calls run as the other side can take without getting slow")));
                }
            },
        };
        let (place, since) = match self.bulkhead.try_acquire() {
            Ok(place) => (place, now),
            Err(_) => {
                let queue = terms.priority.queue(self.config.bulkhead.max_queue);
                let place = self.bulkhead.acquire_within(terms.deadline, queue).await.map_err(|error| {
                    let reason = match error {
                        BulkheadError::Full => ShedReason::QueueFull,
                        BulkheadError::Deadline => ShedReason::QueueDeadline,
                    };
                    turned_away(reason, error.into())
                })?;
                let since = Instant::now();
                breaker.restart_at(|| since);
                (place, since)
            }
        };
        Ok(Admission { shared: self, breaker: Some(breaker), shed: admitted, adaptive, _place: place, since })
    }
}

impl<E> Admission<'_, E> {
    /// When the call's turn came.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Whether another attempt may still be sent.
    pub(super) fn holds(&self) -> bool {
        self.breaker.as_ref().is_some_and(Permit::holds)
    }

    /// Takes the end of the call; `last` is when its last attempt ended and how long that took.
    pub(super) fn settle(&mut self, verdict: Verdict, last: Option<(Instant, Duration)>) {
        // The clock has been read at the end of the last attempt; reading it again would cost more than all else here.
        let now = last.map_or(self.since, |(ended, _)| ended);
        let latency = last.map(|(_, latency)| latency);
        let failures = &self.shared.consecutive_failures;
        let Some(breaker) = self.breaker.take() else { return };
        match verdict {
            Verdict::Answered => {
                breaker.success_at(|| now);
                if let Some(shed) = self.shed.take() {
                    shed.accepted(now);
                }
                // Reading is cheaper than writing what is there already.
                if failures.load(Ordering::Relaxed) != 0 {
                    failures.store(0, Ordering::Relaxed);
                }
            }
            Verdict::Failed(_) => {
                // A wait may lie between the last attempt and here, and what opens now must stay open from now on.
                breaker.failure();
                failures.fetch_add(1, Ordering::Relaxed);
                if let Some(shed) = self.shed.take() {
                    shed.refused(Instant::now());
                }
            }
            Verdict::Nothing => breaker.ignore(),
        }
        if let (Some(adaptive), Some(latency)) = (&self.adaptive, latency) {
            match verdict {
                Verdict::Answered => adaptive.sample(latency, false, now),
                Verdict::Failed(FailureClass::Timeout | FailureClass::Throttled) => adaptive.sample(latency, true, now),
                // A failure that comes fast is no fast answer.
                Verdict::Failed(_) | Verdict::Nothing => {}
            }
        }
    }
}
