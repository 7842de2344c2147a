//! What is tried again, when, and how it ends.

use breakwater_core::Effect;
use proptest::prelude::*;

use super::*;
use crate::budget::BudgetConfig;

/// Fails with these classes, one attempt after the other, then succeeds; tells when each attempt began, in ms.
async fn run(
    pipeline: &Pipeline<&'static str>,
    terms: &Terms,
    failures: &[AttemptFailure],
) -> (Result<Completed<u32>, Failure>, Vec<u128>) {
    let (started, begun) = (Instant::now(), Mutex::new(Vec::new()));
    let result = pipeline
        .call(terms, |attempt| {
            begun.lock().unwrap().push(started.elapsed().as_millis());
            let failure = failures.get(attempt.number as usize - 1).cloned();
            async move { failure.map_or(Ok(attempt.number), Err) }
        })
        .await;
    assert_idle(pipeline);
    (result, begun.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn three_retries_wait_1000_2000_and_4000_ms_then_the_last_failure_is_told() {
    let (pipeline, events) = pipeline(plain(), &["a"]);
    let failures = vec![fail(FailureClass::ServerError); 4];
    let (result, begun) = run(&pipeline, &read(60), &failures).await;
    assert_eq!(begun, [0, 1000, 3000, 7000]);
    let failure = result.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Rejected, "retry.exhausted"));
    assert_eq!(failure.detail, Some(serde_json::json!({ "last_code": "server-error", "attempts": 4, "ended_by": "retries" })));
    assert!(failure.chain().ends_with("as the test says (server-error)"));
    let retries =
        ["retry 1 1000 server-error server-error", "retry 2 2000 server-error server-error", "retry 3 4000 server-error server-error"];
    assert_eq!(events.take("retry"), retries);
    assert_eq!(pipeline.status().consecutive_failures, 1, "one call has failed, not four");
}

#[tokio::test(start_paused = true)]
async fn connection_errors_timeouts_5xx_408_and_429_are_retried_and_no_other_4xx_is() {
    let (pipeline, _) = pipeline(plain(), &["a"]);
    for class in [FailureClass::Connection, FailureClass::Timeout, FailureClass::ServerError, FailureClass::Throttled] {
        let (result, _) = run(&pipeline, &read(60), &[fail(class)]).await;
        assert_eq!(result.unwrap(), Completed { value: 2, attempts: 2 }, "{class:?}");
    }
    for class in [FailureClass::Client, FailureClass::Cancelled] {
        let (result, begun) = run(&pipeline, &read(60), &[fail(class)]).await;
        assert_eq!((result.unwrap_err().code.as_ref(), begun.len()), (class.name(), 1));
    }
    assert_eq!(pipeline.status().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_repeated_is_retried_only_when_nothing_was_sent() {
    let (pipeline, _) = pipeline(plain(), &["a"]);
    let (result, _) = run(&pipeline, &create(60), &[fail(FailureClass::Connection)]).await;
    assert_eq!(result.unwrap().attempts, 2);
    let mut broke = fail(FailureClass::Connection);
    broke.failure.effect = Effect::Unknown;
    for failure in [broke.clone(), fail(FailureClass::ServerError), fail(FailureClass::Timeout), fail(FailureClass::Throttled)] {
        let (result, begun) = run(&pipeline, &create(60), std::slice::from_ref(&failure)).await;
        let ended = result.unwrap_err();
        assert_eq!((ended.code, ended.effect, begun.len()), (failure.failure.code, failure.failure.effect, 1));
    }
    let keyed = Terms { repeatable: true, ..create(60) };
    let (result, _) = run(&pipeline, &keyed, &[broke, fail(FailureClass::Client)]).await;
    let ended = result.unwrap_err();
    assert_eq!((&*ended.code, ended.effect), ("client", Effect::Unknown), "the first attempt may have done it");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_within_its_bounds() {
    let (pipeline, _) = pipeline(plain(), &["a"]);
    let asks = |seconds| {
        let mut failure = fail(FailureClass::Throttled);
        failure.failure = failure.failure.retry_after(Duration::from_secs(seconds));
        failure
    };
    let (_, begun) = run(&pipeline, &read(60), &[asks(3), asks(3600), asks(0)]).await;
    assert_eq!(begun, [0, 3000, 3000 + 7000, 10_000 + 4000]);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_operation_is_retried_by_its_own_policy() {
    let (pipeline, _) = pipeline(PipelineConfig { retry: RetryPolicies::service_integration(), breaker: unbreakable(), ..plain() }, &["a"]);
    let failures = vec![fail(FailureClass::ServerError); 9];
    for (effect, attempts) in OperationEffect::ALL.into_iter().zip([3, 4, 4, 3]) {
        let (_, begun) = run(&pipeline, &Terms { effect, ..read(60) }, &failures).await;
        assert_eq!(begun.len(), attempts, "{effect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_come_after_the_deadline_is_not_waited_for() {
    let (pipeline, _) = pipeline(plain(), &["a"]);
    let failures = vec![fail(FailureClass::ServerError); 4];
    let started = Instant::now();
    let (result, begun) = run(&pipeline, &read(3), &failures).await;
    assert_eq!(begun, [0, 1000]);
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert_eq!(result.unwrap_err().detail.unwrap()["ended_by"], "deadline");
}

#[tokio::test(start_paused = true)]
async fn the_ledger_of_the_call_and_the_budget_of_the_upstream_each_end_the_retries() {
    let budget = BudgetConfig { ratio: 0.0, floor_per_second: 0, burst: 3 };
    let (pipeline, events) = pipeline(PipelineConfig { budget, ..plain() }, &["a"]);
    let failures = vec![fail(FailureClass::ServerError); 4];
    let terms = Terms { ledger: Ledger::new(2), ..read(60) };
    let (result, begun) = run(&pipeline, &terms, &failures).await;
    assert_eq!((begun.len(), result.unwrap_err().detail.unwrap()["ended_by"].clone()), (3, "ledger".into()));
    assert_eq!((terms.ledger.attempts(), terms.ledger.extra_left()), (3, 0));
    assert_eq!(events.take("refused"), ["refused retry ledger"]);
    let terms = read(60);
    let (result, begun) = run(&pipeline, &terms, &failures).await;
    assert_eq!((begun.len(), result.unwrap_err().detail.unwrap()["ended_by"].clone()), (2, "budget".into()));
    assert_eq!(terms.ledger.extra_left(), Ledger::DEFAULT_EXTRA - 1, "what the budget refused is not charged");
    assert_eq!(events.take("refused"), ["refused retry budget"]);
    let (result, begun) = run(&pipeline, &read(60), &failures).await;
    assert_eq!((begun.len(), &*result.unwrap_err().code), (1, "server-error"), "one attempt is no exhaustion");
}

#[tokio::test(start_paused = true)]
async fn no_retry_is_sent_through_a_breaker_that_has_opened() {
    let budget = BudgetConfig { ratio: 0.0, floor_per_second: 0, burst: 9 };
    let (pipeline, _) = pipeline(PipelineConfig { budget, ..plain() }, &["a"]);
    let failures = vec![fail(FailureClass::ServerError); 4];
    let terms = read(60);
    let slow = run(&pipeline, &terms, &failures);
    let opening = async {
        sleep(Duration::from_millis(1500)).await;
        pipeline.breaker().force_open();
    };
    let ((result, begun), ()) = tokio::join!(slow, opening);
    assert_eq!(begun, [0, 1000]);
    assert_eq!(result.unwrap_err().detail.unwrap()["ended_by"], "breaker");
    assert_eq!(terms.ledger.extra_left(), Ledger::DEFAULT_EXTRA - 1, "the retry that was not sent is given back");
    assert_eq!(pipeline.budget().balance(), 8.0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_at_its_timeout_and_a_call_at_its_deadline() {
    let (pipeline, events) = pipeline(PipelineConfig { attempt_timeout: Duration::from_secs(2), ..plain() }, &["a"]);
    let hang = |terms: Terms| async move {
        let started = Instant::now();
        let result = pipeline.call(&terms, |_| std::future::pending::<Result<(), AttemptFailure>>()).await;
        (result.unwrap_err(), started.elapsed().as_millis())
    };
    // 2 s, wait 1 s, 2 s, wait 2 s, and 1.5 s of the third attempt.
    let (failure, took) = hang(Terms { deadline: Deadline::after(Duration::from_millis(8500)), ..read(60) }).await;
    assert_eq!((failure.kind, took), (FailureKind::Timeout, 8500));
    assert_eq!(failure.detail.unwrap()["last_code"], "call.deadline");
    assert_eq!(events.take("attempt"), ["attempt 1 a 2000 timeout", "attempt 2 a 2000 timeout", "attempt 3 a 1500 timeout"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_cut_off_may_have_happened() {
    let (pipeline, _) = pipeline(PipelineConfig { attempt_timeout: Duration::from_secs(2), ..plain() }, &["a"]);
    for (terms, effect) in [(create(60), Effect::Unknown), (Terms { repeatable: false, ..read(60) }, Effect::None)] {
        let failure = pipeline.call(&terms, |_| std::future::pending::<Result<(), AttemptFailure>>()).await.unwrap_err();
        assert_eq!((&*failure.code, failure.effect), ("call.attempt-timeout", effect));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// The model: a loop over what each attempt does, with a clock of its own.
    #[test]
    fn attempts_follow_the_model_and_never_outlast_the_deadline(
        script in prop::collection::vec((0u64..4_000, 0usize..7, any::<bool>()), 1..8),
        max_retries in 0u32..5, repeatable in any::<bool>(), timeout in 1u64..3_000, deadline in 1u64..20_000, extra in 0u32..5, burst in 0u32..5,
    ) {
        const CLASSES: [FailureClass; 6] = [
            FailureClass::Connection, FailureClass::Timeout, FailureClass::ServerError, FailureClass::Throttled, FailureClass::Client,
            FailureClass::Cancelled,
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let policy = RetryPolicy { max_retries, ..plain().retry.read };
            let budget = BudgetConfig { ratio: 0.0, floor_per_second: 0, burst };
            let attempt_timeout = Duration::from_millis(timeout);
            let config = PipelineConfig { retry: RetryPolicies::same(policy), budget, attempt_timeout, ..PipelineConfig::default() };
            let (pipeline, _) = pipeline(config, &["a"]);
            let terms = Terms {
                deadline: Deadline::after(Duration::from_millis(deadline)), ledger: Ledger::new(extra), effect: OperationEffect::Update,
                repeatable, priority: Priority::Normal,
            };
            let step = |number: usize| script.get(number - 1).copied().unwrap_or((0, 6, false));

            let (mut now, mut number, mut succeeds) = (0u64, 1usize, false);
            loop {
                let (takes, outcome, applied) = step(number);
                let cut = timeout.min(deadline - now);
                // Work and timer due at the same time: the work is looked at first.
                let timed_out = takes > cut;
                now += takes.min(cut);
                let class = if timed_out { Some(FailureClass::Timeout) } else { CLASSES.get(outcome).copied() };
                let Some(class) = class else { succeeds = true; break };
                let unsent = class == FailureClass::Connection && !applied;
                let may = !matches!(class, FailureClass::Client | FailureClass::Cancelled) && (unsent || repeatable);
                let retries = number as u32 - 1;
                let wait = 1000 << retries;
                if !may || retries >= max_retries || wait >= deadline - now || retries >= extra || retries >= burst {
                    break;
                }
                now += wait;
                number += 1;
            }

            let started = Instant::now();
            let result = pipeline.call(&terms, |attempt| async move {
                let (takes, outcome, applied) = step(attempt.number as usize);
                sleep(Duration::from_millis(takes)).await;
                CLASSES.get(outcome).map_or(Ok(attempt.number), |class| {
                    let mut failure = fail(*class);
                    failure.failure.effect = if applied { Effect::Unknown } else { Effect::None };
                    Err(failure)
                })
            }).await;
            assert_eq!(result.as_ref().is_ok(), succeeds, "{result:?}");
            assert_eq!(terms.ledger.attempts() as usize, number);
            assert_eq!(started.elapsed(), Duration::from_millis(now));
            assert!(now <= deadline);
            assert_eq!(u64::from(extra) + 1, u64::from(terms.ledger.extra_left()) + number as u64);
            assert_eq!(pipeline.budget().balance(), f64::from(burst) - (number as f64 - 1.0));
            assert_idle(&pipeline);
        });
    }
}
