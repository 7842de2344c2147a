use proptest::prelude::*;

use super::*;

fn host(name: &str) -> ServedBy {
    ServedBy::Host { name: name.to_owned() }
}

fn provider<'a>(name: &str, timeout: u64, reserve: u64, takes: u64, result: Result<Option<u32>, Failure>) -> Provider<'a, u32> {
    let ask: Ask<'a, u32> = Box::new(move |_| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(takes)).await;
            result
        })
    });
    let (timeout, reserve) = (Duration::from_millis(timeout), Duration::from_millis(reserve));
    Provider { served_by: host(name), level: None, timeout, reserve, ends: is_about_the_request, ask }
}

fn chain(effect: OperationEffect, providers: Vec<Provider<'_, u32>>) -> Chain<'_, u32> {
    Chain { effect, providers, refused: None }
}

fn reads(providers: Vec<Provider<'_, u32>>) -> Chain<'_, u32> {
    chain(OperationEffect::Read, providers)
}

fn down() -> Failure {
    Failure::new(FailureKind::Unavailable, "test.down", "it is down")
}

fn in_ms(budget: u64) -> Deadline {
    Deadline::after(Duration::from_millis(budget))
}

#[tokio::test(start_paused = true)]
async fn the_first_that_answers_ends_the_chain() {
    let providers = vec![provider("a", 100, 0, 1, Ok(Some(1))), provider("b", 100, 0, 1, Ok(Some(2)))];
    let outcome = run(reads(providers), in_ms(1000)).await.unwrap();
    assert_eq!((outcome.value, outcome.attempts, outcome.is_degraded()), (1, 1, false));
}

#[tokio::test(start_paused = true)]
async fn a_failure_goes_on_and_is_recorded() {
    let providers = vec![provider("a", 100, 0, 1, Err(down())), provider("b", 100, 0, 1, Ok(Some(2)))];
    let outcome = run(reads(providers), in_ms(1000)).await.unwrap();
    assert_eq!((outcome.value, outcome.attempts, &outcome.served_by), (2, 2, &host("b")));
    let reason = Reason { provider: "host:a".into(), code: "test.down".into(), message: "it is down".into() };
    assert_eq!(outcome.reasons, [reason]);
}

#[tokio::test(start_paused = true)]
async fn one_that_passes_is_no_failure_and_the_next_still_sees_the_cause() {
    let sees: Ask<'_, u32> = Box::new(|asking| {
        Box::pin(async move {
            assert_eq!(asking.cause.unwrap().code, "test.down");
            Ok(Some(3))
        })
    });
    let last = Provider {
        served_by: host("c"),
        level: Some("basic".into()),
        timeout: Duration::from_secs(1),
        reserve: Duration::ZERO,
        ends: is_about_the_request,
        ask: sees,
    };
    let providers = vec![provider("a", 100, 0, 1, Err(down())), provider("b", 100, 0, 1, Ok(None)), last];
    let outcome = run(reads(providers), in_ms(1000)).await.unwrap();
    assert_eq!((outcome.value, outcome.reasons.len(), outcome.level.as_deref()), (3, 1, Some("basic")));
    assert!(outcome.is_degraded());
    let passed = run(reads(vec![provider("a", 100, 0, 1, Ok(None))]), in_ms(1000)).await.unwrap_err();
    assert_eq!(passed.code, "call.no-provider");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_ends_the_call() {
    let providers = vec![provider("a", 100, 0, 1, Err(Failure::invalid("test.wrong", "no"))), provider("b", 100, 0, 1, Ok(Some(2)))];
    let failure = run(reads(providers), in_ms(1000)).await.unwrap_err();
    assert_eq!((&*failure.code, failure.origin.as_deref()), ("test.wrong", Some("host:a")));
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_leaves_the_reserve_of_the_next() {
    let started = Instant::now();
    let providers = vec![provider("slow", 10_000, 0, 60_000, Ok(Some(1))), provider("next", 10_000, 40, 40, Ok(Some(2)))];
    let outcome = run(reads(providers), in_ms(100)).await.unwrap();
    assert_eq!((outcome.value, outcome.reasons[0].code.as_str()), (2, "call.deadline"));
    assert_eq!(started.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn reserves_never_take_more_than_half_of_the_time_from_the_first() {
    let providers = vec![provider("a", 10_000, 0, 49, Ok(Some(1))), provider("b", 10_000, 900, 1, Ok(Some(2)))];
    assert_eq!(run(reads(providers), in_ms(100)).await.unwrap().value, 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_may_have_happened_is_not_tried_elsewhere() {
    let providers = vec![provider("slow", 10, 0, 60_000, Ok(Some(1))), provider("next", 10, 0, 1, Ok(Some(2)))];
    let failure = run(chain(OperationEffect::Create, providers), in_ms(1000)).await.unwrap_err();
    assert_eq!((&*failure.code, failure.effect), ("call.outcome-unknown", Effect::Unknown));
    let providers = vec![provider("refused", 10, 0, 1, Err(down())), provider("next", 10, 0, 1, Ok(Some(2)))];
    assert_eq!(run(chain(OperationEffect::Create, providers), in_ms(1000)).await.unwrap().value, 2);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_last_failure_lists_the_attempts() {
    let full = Failure::limit("test.full", "full").with_detail(serde_json::json!({ "max": 3 }));
    let providers = vec![provider("a", 100, 0, 1, Err(down())), provider("b", 100, 0, 1, Err(full))];
    let failure = run(reads(providers), in_ms(1000)).await.unwrap_err();
    assert_eq!(&*failure.code, "test.full");
    let detail = failure.detail.unwrap();
    assert_eq!((&detail["attempts"][0]["code"], &detail["max"]), (&"test.down".into(), &3.into()));
    assert_eq!(&*run(reads(vec![]), Deadline::after(Duration::ZERO)).await.unwrap_err().code, "call.no-provider");
}

#[tokio::test(start_paused = true)]
async fn a_refused_chain_answers_degraded_or_says_why_it_was_refused() {
    let off = || Some(Failure::new(FailureKind::Unavailable, "operation.disabled", "a flag is off"));
    let providers = vec![provider("fallback", 100, 0, 1, Ok(Some(1)))];
    let outcome = run(Chain { effect: OperationEffect::Read, providers, refused: off() }, in_ms(100)).await.unwrap();
    assert_eq!((outcome.is_degraded(), outcome.reasons[0].code.as_str()), (true, "operation.disabled"));
    let failure = run(Chain::<u32> { effect: OperationEffect::Read, providers: vec![], refused: off() }, in_ms(100)).await.unwrap_err();
    assert_eq!(failure.code, "operation.disabled");
}

/// What a provider of the model does, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Answers,
    Passes,
    Fails(FailureKind, Effect),
}

#[derive(Debug, Clone, Copy)]
struct Modelled {
    does: Does,
    takes: u64,
    timeout: u64,
    reserve: u64,
}

fn does() -> impl Strategy<Value = Does> {
    let kind = prop::sample::select(vec![
        FailureKind::InvalidRequest,
        FailureKind::NotFound,
        FailureKind::Unavailable,
        FailureKind::Timeout,
        FailureKind::CircuitOpen,
        FailureKind::BudgetExhausted,
        FailureKind::Rejected,
        FailureKind::Limit,
        FailureKind::Internal,
    ]);
    let effect = prop::sample::select(vec![Effect::None, Effect::Unknown, Effect::Applied]);
    prop_oneof![2 => Just(Does::Answers), 1 => Just(Does::Passes), 4 => (kind, effect).prop_map(|(kind, effect)| Does::Fails(kind, effect))]
}

fn modelled() -> impl Strategy<Value = Modelled> {
    (does(), 0u64..200, 1u64..250, 0u64..50).prop_map(|(does, takes, timeout, reserve)| Modelled { does, takes, timeout, reserve })
}

/// How a chain must end: who answers, with how many failures before, or with which code.
#[derive(Debug, PartialEq)]
enum Ends {
    Answered { by: usize, failures: usize },
    Failed { code: &'static str },
}

/// The rules once more, in whole milliseconds and without any waiting.
fn expected(effect: OperationEffect, refused: bool, budget: u64, providers: &[Modelled]) -> Ends {
    let (mut now, mut failures) = (0.0, usize::from(refused));
    let mut last = if refused { "operation.disabled" } else { "call.no-provider" };
    let wanted: u64 = providers.iter().map(|provider| provider.reserve).sum();
    let scale = (budget as f64 / 2.0 / (wanted as f64).max(1.0)).min(1.0);
    for (index, provider) in providers.iter().enumerate() {
        let behind: u64 = providers[index + 1..].iter().map(|later| later.reserve).sum();
        let until = (budget as f64 - behind as f64 * scale).min(now + provider.timeout as f64);
        let (failed, effects) = if until <= now {
            (Some("call.deadline"), Effect::None)
        } else if now + provider.takes as f64 > until {
            now = until;
            (Some("call.deadline"), Effect::Unknown)
        } else {
            now += provider.takes as f64;
            match provider.does {
                Does::Answers => return Ends::Answered { by: index, failures },
                Does::Passes => (None, Effect::None),
                Does::Fails(FailureKind::InvalidRequest, _) => return Ends::Failed { code: "test.failed" },
                Does::Fails(_, effect) => (Some("test.failed"), effect),
            }
        };
        let Some(code) = failed else { continue };
        if effect != OperationEffect::Read && effects != Effect::None {
            return Ends::Failed { code: "call.outcome-unknown" };
        }
        (failures, last) = (failures + 1, code);
    }
    Ends::Failed { code: last }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cache entries, fallbacks and the configured answer are providers like any other here: what sets them apart is decided before.
    #[test]
    fn a_chain_does_what_its_rules_say_and_never_outlasts_its_deadline(
        effect in prop::sample::select(OperationEffect::ALL.to_vec()),
        refused in any::<bool>(),
        // Odd sums would put a reserve on half a millisecond, where timers round.
        budget in (0u64..200).prop_map(|half| half * 2),
        spec in prop::collection::vec(modelled(), 0..6),
    ) {
        let wanted: u64 = spec.iter().map(|provider| provider.reserve).sum();
        prop_assume!(wanted * 2 <= budget);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let started = Instant::now();
            let providers = spec.iter().enumerate().map(|(index, provider)| {
                let result = match provider.does {
                    Does::Answers => Ok(Some(index as u32)),
                    Does::Passes => Ok(None),
                    Does::Fails(kind, effect) => {
                        let mut failure = Failure::new(kind, "test.failed", "it failed");
                        failure.effect = effect;
                        Err(failure)
                    }
                };
                // A timer that ends with its limit would be a draw.
                super::tests::provider(&index.to_string(), provider.timeout, provider.reserve, provider.takes, result)
            });
            let off = Failure::new(FailureKind::Unavailable, "operation.disabled", "off");
            let chain = Chain { effect, providers: providers.collect(), refused: refused.then_some(off) };
            let ended = match run(chain, in_ms(budget)).await {
                Ok(outcome) => Ends::Answered { by: outcome.value as usize, failures: outcome.reasons.len() },
                Err(failure) if failure.code == "test.failed" => Ends::Failed { code: "test.failed" },
                Err(failure) if failure.code == "call.deadline" => Ends::Failed { code: "call.deadline" },
                Err(failure) if failure.code == "call.outcome-unknown" => Ends::Failed { code: "call.outcome-unknown" },
                Err(failure) if failure.code == "operation.disabled" => Ends::Failed { code: "operation.disabled" },
                Err(failure) if failure.code == "call.no-provider" => Ends::Failed { code: "call.no-provider" },
                Err(failure) => return Err(TestCaseError::fail(failure.code.into_owned())),
            };
            prop_assert!(started.elapsed() <= Duration::from_millis(budget + 1));
            prop_assert_eq!(ended, expected(effect, refused, budget, &spec));
            Ok(())
        })?;
    }
}
