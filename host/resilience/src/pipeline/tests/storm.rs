//! However much fails, the attempts that are sent stay a bounded multiple of the calls.

use proptest::prelude::*;

use super::*;
use crate::budget::BudgetConfig;
use crate::hedge::HedgeConfig;

/// What a minute of calls came to.
#[derive(Debug, Default)]
struct Tally {
    /// Calls that sent at least one attempt.
    sent: u64,
    attempts: u64,
    answered: u64,
    late: u64,
}

/// Calls at a steady rate for a minute; `outcome` says what an attempt at a second of it does, and how many ms that takes.
async fn minute(
    pipeline: &Pipeline<&'static str>,
    per_second: u64,
    outcome: impl Fn(u64) -> (u64, Option<FailureClass>) + Copy + Send + Sync + 'static,
) -> Tally {
    let started = Instant::now();
    let attempts = Arc::new(AtomicUsize::new(0));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 * per_second {
        let (pipeline, attempts) = (pipeline.clone(), Arc::clone(&attempts));
        calls.spawn(async move {
            let (begun, terms) = (Instant::now(), read(10));
            let result = pipeline
                .call(&terms, |_| {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    let (takes, class) = outcome(started.elapsed().as_secs());
                    async move {
                        sleep(Duration::from_millis(takes)).await;
                        class.map_or(Ok(()), |class| Err(fail(class)))
                    }
                })
                .await;
            (terms.ledger.attempts() > 0, result.is_ok(), begun.elapsed() > Duration::from_secs(10))
        });
        sleep(Duration::from_micros(1_000_000 / per_second)).await;
    }
    let mut tally = Tally::default();
    while let Some(result) = calls.join_next().await {
        let (sent, answered, late) = result.unwrap();
        tally.sent += u64::from(sent);
        tally.answered += u64::from(answered);
        tally.late += u64::from(late);
    }
    tally.attempts = attempts.load(Ordering::Relaxed) as u64;
    assert_idle(pipeline);
    tally
}

fn bound(tally: &Tally, budget: BudgetConfig, seconds: f64) -> f64 {
    budget.ratio * tally.sent as f64 + f64::from(budget.floor_per_second) * seconds + f64::from(budget.burst)
}

#[tokio::test(start_paused = true)]
async fn in_a_minute_of_outage_extra_attempts_are_at_most_0_2_calls_and_10_per_second_and_100() {
    for breaker in [unbreakable(), BreakerConfig::default()] {
        let config = PipelineConfig { breaker, ..PipelineConfig::default() };
        let (pipeline, _) = pipeline(config, &["a", "b", "c"]);
        let started = Instant::now();
        let tally = minute(&pipeline, 200, |second| (20, (10..50).contains(&second).then_some(FailureClass::ServerError))).await;
        let extra = (tally.attempts - tally.sent) as f64;
        let most = bound(&tally, config.budget, started.elapsed().as_secs_f64());
        assert!(extra <= most, "{tally:?}: {extra} > {most}");
        assert_eq!(tally.late, 0);
        // Twenty of sixty seconds are good; a breaker lets the other side alone in the rest and comes back within its 30 s.
        assert!(tally.answered >= 200 * 10, "{tally:?}");
        if breaker == unbreakable() {
            assert!(extra > most / 2.0, "the bound is near, not far: {extra} of {most}");
            assert!(tally.answered >= 200 * 20, "{tally:?}");
        } else {
            assert!(tally.sent < 200 * 35, "{tally:?}");
        }
    }
}

#[test]
fn threads_at_once_leave_nothing_behind_and_keep_to_the_budget() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let retry = RetryPolicies::same(RetryPolicy { base: Duration::from_micros(10), ..RetryPolicy::default() });
    let budget = BudgetConfig { ratio: 0.2, floor_per_second: 0, burst: 50 };
    let hedge = Some(HedgeConfig { min_samples: 8, min_delay: Duration::ZERO, ..HedgeConfig::default() });
    let config = PipelineConfig { retry, budget, hedge, breaker: unbreakable(), ..PipelineConfig::default() };
    runtime.block_on(async {
        let (pipeline, _) = pipeline(config, &["a", "b", "c"]);
        let attempts = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (pipeline, attempts) = (pipeline.clone(), Arc::clone(&attempts));
                tokio::spawn(async move {
                    for _ in 0..500 {
                        let _ = pipeline
                            .call(&read(60), |_| {
                                let number = attempts.fetch_add(1, Ordering::Relaxed);
                                async move {
                                    tokio::task::yield_now().await;
                                    if number.is_multiple_of(3) { Err(fail(FailureClass::ServerError)) } else { Ok(()) }
                                }
                            })
                            .await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_idle(&pipeline);
        let extra = attempts.load(Ordering::Relaxed) - 8000;
        assert!(extra <= 8000 / 5 + 50, "{extra}");
        assert!(extra > 50, "{extra}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_fails_the_bound_holds_with_hedges_and_failover(
        percent in 0u64..50, floor in 0u32..10, burst in 0u32..30, phases in prop::collection::vec((0u64..300, 0usize..6), 60), per_second in 5u64..60,
    ) {
        const CLASSES: [Option<FailureClass>; 6] = [
            None, None, Some(FailureClass::Connection), Some(FailureClass::Timeout), Some(FailureClass::ServerError), Some(FailureClass::Throttled),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let budget = BudgetConfig { ratio: percent as f64 / 100.0, floor_per_second: floor, burst };
            let config = PipelineConfig {
                budget,
                hedge: Some(HedgeConfig { min_samples: 8, ..HedgeConfig::default() }),
                breaker: unbreakable(),
                attempt_timeout: Duration::from_millis(200),
                ..PipelineConfig::default()
            };
            let (pipeline, _) = pipeline(config, &["a", "b"]);
            let phases: &'static [(u64, usize)] = phases.leak();
            let started = Instant::now();
            let tally = minute(&pipeline, per_second, move |second| {
                let (takes, class) = phases[second as usize % phases.len()];
                (takes, CLASSES[class])
            }).await;
            let most = bound(&tally, budget, started.elapsed().as_secs_f64());
            assert!((tally.attempts - tally.sent) as f64 <= most + 1e-6, "{tally:?}, at most {most}");
            assert_eq!(tally.late, 0);
        });
    }
}
