//! The provider chain: who is asked, in which order, for how long, and what a failure means for the next one.
//!
//! Providers are asked in order under one deadline. Each gets the smaller of its own timeout and what is left after the reserves of
//! those behind it, so that a slow provider cannot use up the time in which another could still have answered. A provider that was
//! not the first to be asked makes the answer degraded; the outcome says what failed before it. The chain never asks one provider
//! twice: retries belong to whoever talks to an upstream.

use std::time::Duration;

use breakwater_core::{Deadline, Effect, Failure, FailureKind, Outcome, Reason, ServedBy};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::operation::OperationEffect;

/// What asks a provider; it is given the deadline the provider must keep.
pub type Ask<'a, T> = Box<dyn FnOnce(Deadline) -> BoxFuture<'a, Result<T, Failure>> + Send + 'a>;

/// One way of answering.
pub struct Provider<'a, T> {
    /// Who answers, for the outcome and for the reasons of those after it.
    pub served_by: ServedBy,
    /// The longest it may take.
    pub timeout: Duration,
    /// Time kept back for it from those before it.
    pub reserve: Duration,
    /// Asks it.
    pub ask: Ask<'a, T>,
}

impl<T> std::fmt::Debug for Provider<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { served_by, timeout, reserve, .. } = self;
        f.debug_struct("Provider").field("served_by", served_by).field("timeout", timeout).field("reserve", reserve).finish()
    }
}

/// Asks the providers in order until one answers.
///
/// # Errors
/// * The failure of the first provider that calls the request invalid: another provider would be wrong to answer it.
/// * For an operation that changes something: `call.outcome-unknown` after a failure that may have had an effect.
/// * Otherwise the failure of the last provider, with what failed before it under `attempts` in its detail.
/// * `call.no-provider` when there is nobody to ask.
pub async fn run<T>(effect: OperationEffect, providers: Vec<Provider<'_, T>>, deadline: Deadline) -> Result<Outcome<T>, Failure> {
    let started = Instant::now();
    let mut behind: Duration = providers.iter().map(|provider| provider.reserve).sum();
    let mut reasons = Vec::new();
    let mut last = None;
    for (attempts, Provider { served_by, timeout, reserve, ask }) in (1..).zip(providers) {
        behind = behind.saturating_sub(reserve);
        let own = deadline.reserving(behind).tightened(timeout);
        let failure = match attempt(&served_by, own, ask, effect).await {
            Ok(value) => return Ok(Outcome { value, served_by, reasons, attempts, elapsed: started.elapsed() }),
            Err(failure) => failure.from_origin(served_by.label()),
        };
        if failure.kind == FailureKind::InvalidRequest {
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

async fn attempt<T>(served_by: &ServedBy, own: Deadline, ask: Ask<'_, T>, effect: OperationEffect) -> Result<T, Failure> {
    let late = |message: String| Failure::new(FailureKind::Timeout, "call.deadline", message);
    if own.has_passed() {
        return Err(late(format!("no time was left to ask {}", served_by.label())));
    }
    // The provider is cut off even if it does not look at its deadline.
    match tokio::time::timeout_at(own.instant(), ask(own)).await {
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
    failure.caused_by(cause)
}

fn all_failed(last: Option<Failure>, reasons: &[Reason]) -> Failure {
    let Some(failure) = last else {
        return Failure::new(FailureKind::Unavailable, "call.no-provider", "nobody is configured to answer this call");
    };
    if reasons.len() < 2 {
        return failure;
    }
    let detail = serde_json::json!({ "attempts": reasons });
    failure.with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(name: &str) -> ServedBy {
        ServedBy::Host { name: name.to_owned() }
    }

    fn provider<'a>(name: &str, timeout: u64, reserve: u64, takes: u64, result: Result<u32, Failure>) -> Provider<'a, u32> {
        let ask: Ask<'a, u32> = Box::new(move |_| {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(takes)).await;
                result
            })
        });
        Provider { served_by: host(name), timeout: Duration::from_millis(timeout), reserve: Duration::from_millis(reserve), ask }
    }

    fn down() -> Failure {
        Failure::new(FailureKind::Unavailable, "test.down", "it is down")
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_ends_the_chain() {
        let chain = vec![provider("a", 100, 0, 1, Ok(1)), provider("b", 100, 0, 1, Ok(2))];
        let outcome = run(OperationEffect::Read, chain, Deadline::after(Duration::from_secs(1))).await.unwrap();
        assert_eq!((outcome.value, outcome.attempts, outcome.is_degraded()), (1, 1, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_goes_on_and_is_recorded() {
        let chain = vec![provider("a", 100, 0, 1, Err(down())), provider("b", 100, 0, 1, Ok(2))];
        let outcome = run(OperationEffect::Read, chain, Deadline::after(Duration::from_secs(1))).await.unwrap();
        assert_eq!((outcome.value, outcome.attempts, outcome.served_by), (2, 2, host("b")));
        let reason = Reason { provider: "host:a".into(), code: "test.down".into(), message: "it is down".into() };
        assert_eq!(outcome.reasons, [reason]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invalid_request_ends_the_call() {
        let chain = vec![provider("a", 100, 0, 1, Err(Failure::invalid("test.wrong", "no"))), provider("b", 100, 0, 1, Ok(2))];
        let failure = run(OperationEffect::Read, chain, Deadline::after(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!((&*failure.code, failure.origin.as_deref()), ("test.wrong", Some("host:a")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_provider_leaves_the_reserve_of_the_next() {
        let started = Instant::now();
        let chain = vec![provider("slow", 10_000, 0, 60_000, Ok(1)), provider("next", 10_000, 40, 40, Ok(2))];
        let outcome = run(OperationEffect::Read, chain, Deadline::after(Duration::from_millis(100))).await.unwrap();
        assert_eq!((outcome.value, outcome.reasons[0].code.as_str()), (2, "call.deadline"));
        assert_eq!(started.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_may_have_happened_is_not_tried_elsewhere() {
        let chain = vec![provider("slow", 10, 0, 60_000, Ok(1)), provider("next", 10, 0, 1, Ok(2))];
        let failure = run(OperationEffect::Create, chain, Deadline::after(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!((&*failure.code, failure.effect), ("call.outcome-unknown", Effect::Unknown));
        let chain = vec![provider("refused", 10, 0, 1, Err(down())), provider("next", 10, 0, 1, Ok(2))];
        assert_eq!(run(OperationEffect::Create, chain, Deadline::after(Duration::from_secs(1))).await.unwrap().value, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_failure_lists_the_attempts() {
        let chain = vec![provider("a", 100, 0, 1, Err(down())), provider("b", 100, 0, 1, Err(Failure::limit("test.full", "full")))];
        let failure = run(OperationEffect::Read, chain, Deadline::after(Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(&*failure.code, "test.full");
        assert_eq!(failure.detail.unwrap()["attempts"][0]["code"], "test.down");
        assert_eq!(
            &*run::<u32>(OperationEffect::Read, vec![], Deadline::after(Duration::ZERO)).await.unwrap_err().code,
            "call.no-provider"
        );
    }

    proptest! {
        #[test]
        fn a_chain_never_outlasts_its_deadline_and_records_every_failure(
            budget in 0u64..200,
            spec in proptest::collection::vec((1u64..150, 0u64..60, 0u64..300, any::<bool>()), 1..6),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let started = Instant::now();
                let providers = spec.iter().enumerate().map(|(index, (timeout, reserve, takes, works))| {
                    let result = if *works { Ok(index as u32) } else { Err(down()) };
                    provider(&index.to_string(), *timeout, *reserve, *takes, result)
                });
                let result = run(OperationEffect::Read, providers.collect(), Deadline::after(Duration::from_millis(budget))).await;
                prop_assert!(started.elapsed() <= Duration::from_millis(budget + 1));
                if let Ok(outcome) = result {
                    prop_assert_eq!(outcome.reasons.len() as u32, outcome.value);
                    prop_assert_eq!(outcome.attempts, outcome.value + 1);
                }
                Ok(())
            })?;
        }
    }
}
