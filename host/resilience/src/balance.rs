//! Which endpoint an attempt goes to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::endpoint::{Endpoint, EndpointSet, Stats};

/// How endpoints are chosen among those that are healthy, not ejected, and not tried by this call yet. When there are none, one that was
/// tried is tried again, and an ejected one only when no other is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BalanceKind {
    /// In turn by weight, evenly mixed: weights 5, 1, 1 give `a a b a c a a` (nginx' smooth weighted round robin).
    #[default]
    WeightedRoundRobin,
    /// The better of two at random, by peak EWMA of the latency times attempts running, over the weight (Finagle, Linkerd).
    P2cPeakEwma,
    /// The fewest attempts running for its weight; at random among equals.
    LeastPending,
}

/// How far an endpoint may be from what one would like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Fresh,
    NotEjected,
    Healthy,
}

impl<E> EndpointSet<E> {
    /// An endpoint for the next attempt of a call that has tried `tried`. `None` when none is healthy.
    pub(crate) fn pick(&self, kind: BalanceKind, tried: &[Arc<Stats>], now: u64) -> Option<&Arc<Endpoint<E>>> {
        if let [only] = self.endpoints.as_slice() {
            return only.takes_calls().then_some(only);
        }
        let fresh = self.choose(kind, now, |endpoint| eligible(endpoint, Ask::Fresh, tried, now));
        // With nothing tried yet the second question would be the first once more.
        let tried_before =
            || if tried.is_empty() { None } else { self.choose(kind, now, |one| eligible(one, Ask::NotEjected, tried, now)) };
        fresh.or_else(tried_before).or_else(|| self.choose(kind, now, |endpoint| eligible(endpoint, Ask::Healthy, tried, now)))
    }

    /// Whether a call that has tried `tried` could go somewhere else.
    pub(crate) fn has_untried(&self, tried: &[Arc<Stats>], now: u64) -> bool {
        self.endpoints.iter().any(|endpoint| eligible(endpoint, Ask::Fresh, tried, now))
    }

    fn choose(&self, kind: BalanceKind, now: u64, eligible: impl Fn(&Endpoint<E>) -> bool) -> Option<&Arc<Endpoint<E>>> {
        match kind {
            BalanceKind::WeightedRoundRobin => self.in_turn(eligible),
            BalanceKind::P2cPeakEwma => self.better_of_two(eligible, |endpoint| {
                let pending = endpoint.stats.pending.load(Ordering::Relaxed);
                // At least a nanosecond, so that pending attempts count for the fastest as well.
                endpoint.stats.ewma.read(now).max(1.0) * (f64::from(pending) + 1.0) / f64::from(endpoint.weight)
            }),
            BalanceKind::LeastPending => self.least_pending(eligible),
        }
    }

    fn in_turn(&self, eligible: impl Fn(&Endpoint<E>) -> bool) -> Option<&Arc<Endpoint<E>>> {
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        let mut best: Option<(&Arc<Endpoint<E>>, &mut i64)> = None;
        for (endpoint, credit) in self.endpoints.iter().zip(credits.iter_mut()) {
            if !eligible(endpoint) {
                continue;
            }
            *credit += i64::from(endpoint.weight);
            total += i64::from(endpoint.weight);
            if best.as_ref().is_none_or(|(_, most)| *credit > **most) {
                best = Some((endpoint, credit));
            }
        }
        let (endpoint, credit) = best?;
        *credit -= total;
        Some(endpoint)
    }

    fn better_of_two(&self, eligible: impl Fn(&Endpoint<E>) -> bool, cost: impl Fn(&Endpoint<E>) -> f64) -> Option<&Arc<Endpoint<E>>> {
        let candidates = || self.endpoints.iter().filter(|endpoint| eligible(endpoint));
        let count = candidates().count();
        if count < 2 {
            return candidates().next();
        }
        let first = fastrand::usize(..count);
        let second = (first + fastrand::usize(1..count)) % count;
        // Between the two countings an endpoint may have dropped out; then the other one it is.
        match (candidates().nth(first), candidates().nth(second)) {
            (Some(one), Some(other)) => Some(if cost(other) < cost(one) { other } else { one }),
            (one, other) => one.or(other),
        }
    }

    fn least_pending(&self, eligible: impl Fn(&Endpoint<E>) -> bool) -> Option<&Arc<Endpoint<E>>> {
        let mut best: Option<(&Arc<Endpoint<E>>, f64)> = None;
        let mut equals = 1usize;
        for endpoint in self.endpoints.iter().filter(|endpoint| eligible(endpoint)) {
            let load = (f64::from(endpoint.stats.pending.load(Ordering::Relaxed)) + 1.0) / f64::from(endpoint.weight);
            match best {
                Some((_, least)) if load > least => {}
                Some((_, least)) if load < least => (best, equals) = (Some((endpoint, load)), 1),
                // The n-th of equals replaces the chosen one with a chance of 1/n: each ends up with the same.
                Some(_) => {
                    equals += 1;
                    if fastrand::usize(..equals) == 0 {
                        best = Some((endpoint, load));
                    }
                }
                None => best = Some((endpoint, load)),
            }
        }
        best.map(|(endpoint, _)| endpoint)
    }
}

fn eligible<E>(endpoint: &Endpoint<E>, ask: Ask, tried: &[Arc<Stats>], now: u64) -> bool {
    endpoint.takes_calls()
        && match ask {
            Ask::Healthy => true,
            Ask::NotEjected => endpoint.stats.record.ejected_until(now).is_none(),
            Ask::Fresh => {
                endpoint.stats.record.ejected_until(now).is_none() && !tried.iter().any(|stats| Arc::ptr_eq(stats, &endpoint.stats))
            }
        }
}

#[cfg(test)]
mod tests;
