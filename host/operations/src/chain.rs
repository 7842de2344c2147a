//! The provider chain: who is asked, in which order, for how long, and what a failure means for the next one.
//!
//! Providers are asked in order under one deadline: those that answer in full, then what a cache still holds, then fallbacks by
//! level, then the configured answer. Each gets the smaller of its own timeout and what is left after the reserves of those behind
//! it, so that a slow provider cannot use up the time in which another could still have answered. A provider that was not the first
//! to be asked makes the answer degraded; the outcome says what failed before it. The chain never asks one provider twice: retries
//! belong to whoever talks to an upstream.

use std::time::Duration;

use breakwater_core::{Deadline, Effect, Failure, FailureKind, Outcome, Reason, ServedBy};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::operation::OperationEffect;

/// The share of a call's time that may be kept back for all the providers behind the first, as a divisor.
const RESERVED_SHARE: u32 = 2;

/// What a provider is told when it is asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// When it must have answered.
    pub deadline: Deadline,
    /// Why the provider before it did not answer; none for the first.
    pub cause: Option<Failure>,
}

/// Asks a provider. `None` passes the call on.
pub type Ask<'a, T> = Box<dyn FnOnce(Asking) -> BoxFuture<'a, Result<Option<T>, Failure>> + Send + 'a>;

/// One way of answering.
pub struct Provider<'a, T> {
    /// Who answers, for the outcome and for the reasons of those after it.
    pub served_by: ServedBy,
    /// The level it answers at, when it does not answer in full.
    pub level: Option<String>,
    /// The longest it may take.
    pub timeout: Duration,
    /// Time kept back for it from those before it. All reserves together keep back at most half of the call's time.
    pub reserve: Duration,
    /// Whether a failure of it is about the call itself, so that asking anybody else would be wrong.
    pub ends: fn(&Failure) -> bool,
    /// Asks it.
    pub ask: Ask<'a, T>,
}

/// A request that is wrong is wrong for everybody.
#[must_use]
pub fn is_about_the_request(failure: &Failure) -> bool {
    failure.kind == FailureKind::InvalidRequest
}

impl<T> std::fmt::Debug for Provider<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { served_by, level, timeout, reserve, .. } = self;
        f.debug_struct("Provider")
            .field("served_by", served_by)
            .field("level", level)
            .field("timeout", timeout)
            .field("reserve", reserve)
            .finish_non_exhaustive()
    }
}

/// The providers of one call.
#[derive(Debug)]
pub struct Chain<'a, T> {
    /// What the operation does to the world.
    pub effect: OperationEffect,
    /// In the order in which they are asked.
    pub providers: Vec<Provider<'a, T>>,
    /// Why those that answer in full are not among the providers, such as a flag that is off. The answer is degraded then.
    pub refused: Option<Failure>,
}

/// Asks the providers in order until one answers.
///
/// # Errors
/// * The first failure that is about the call itself, such as an invalid request: another provider would be wrong to answer it.
/// * For an operation that changes something: `call.outcome-unknown` after a failure that may have had an effect.
/// * Otherwise the failure of the last provider that failed, with every attempt under `attempts` in its detail.
/// * `call.no-provider` when there is nobody to ask, or everyone passed.
pub async fn run<T>(chain: Chain<'_, T>, deadline: Deadline) -> Result<Outcome<T>, Failure> {
    let started = Instant::now();
    let Chain { effect, providers, refused } = chain;
    let mut reserves = Reserves::of(&providers, deadline);
    let mut reasons: Vec<Reason> = refused.iter().map(|failure| Reason::of("chain", failure)).collect();
    let mut last = refused;
    for (attempts, Provider { served_by, level, timeout, reserve, ends, ask }) in (1..).zip(providers) {
        let asking = Asking { deadline: deadline.reserving(reserves.behind(reserve)).tightened(timeout), cause: last.clone() };
        let failure = match attempt(&served_by, asking, ask, effect).await {
            Ok(Some(value)) => {
                return Ok(Outcome { value, served_by, reasons, attempts, level, cached_age: None, elapsed: started.elapsed() });
            }
            Ok(None) => continue,
            Err(failure) => failure.from_origin(served_by.label()),
        };
        if ends(&failure) {
            return Err(failure);
        }
        if effect != OperationEffect::Read && failure.effect != Effect::None {
            return Err(outcome_unknown(failure));
        }
        reasons.push(Reason::of(served_by.label(), &failure));
        last = Some(failure);
    }
    Err(all_failed(last, &reasons))
}

/// The time kept back for the providers not asked yet.
struct Reserves {
    left: Duration,
    /// How much of each reserve is kept, so that all of them fit into their share of the call's time.
    scale: f64,
}

impl Reserves {
    fn of<T>(providers: &[Provider<'_, T>], deadline: Deadline) -> Self {
        let wanted: Duration = providers.iter().map(|provider| provider.reserve).sum();
        let allowed = deadline.remaining() / RESERVED_SHARE;
        let scale = if wanted <= allowed { 1.0 } else { allowed.as_secs_f64() / wanted.as_secs_f64() };
        Self { left: wanted, scale }
    }

    /// What is kept back from the next provider, whose own reserve is `own`.
    fn behind(&mut self, own: Duration) -> Duration {
        self.left = self.left.saturating_sub(own);
        self.left.mul_f64(self.scale)
    }
}

async fn attempt<T>(served_by: &ServedBy, asking: Asking, ask: Ask<'_, T>, effect: OperationEffect) -> Result<Option<T>, Failure> {
    let late = |message: String| Failure::new(FailureKind::Timeout, "call.deadline", message);
    let own = asking.deadline;
    if own.has_passed() {
        return Err(late(format!("no time was left to ask {}", served_by.label())));
    }
    // The provider is cut off even if it does not look at its deadline.
    match tokio::time::timeout_at(own.instant(), ask(asking)).await {
        Ok(result) => result,
        Err(_) => {
            let mut failure = late(format!("{} did not answer in time", served_by.label()));
            if effect != OperationEffect::Read {
                failure.effect = Effect::Unknown;
            }
            Err(failure)
        }
    }
}

fn outcome_unknown(cause: Failure) -> Failure {
    let mut failure = Failure::new(FailureKind::Other, "call.outcome-unknown", "the call failed after it may have had an effect");
    failure.effect = cause.effect;
    failure.origin.clone_from(&cause.origin);
    let mut detail = serde_json::json!({ "last_code": cause.code });
    if let (serde_json::Value::Object(fields), Some(service)) =
        (&mut detail, cause.detail.as_ref().and_then(|detail| detail.get("service_name")))
    {
        fields.insert("service_name".to_owned(), service.clone());
    }
    failure.with_detail(detail).caused_by(cause)
}

fn all_failed(last: Option<Failure>, reasons: &[Reason]) -> Failure {
    let Some(failure) = last else {
        return Failure::new(FailureKind::Unavailable, "call.no-provider", "nobody is configured to answer this call");
    };
    if reasons.len() < 2 {
        return failure;
    }
    let mut detail = match failure.detail.clone() {
        Some(serde_json::Value::Object(detail)) => detail,
        _ => serde_json::Map::new(),
    };
    detail.insert("attempts".to_owned(), serde_json::json!(reasons));
    failure.with_detail(detail.into())
}

#[cfg(test)]
mod tests;
