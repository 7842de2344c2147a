//! Second attempts beside slow ones.

use super::*;
use crate::hedge::HedgeConfig;

/// Calls whose first attempt takes so long and whose hedge takes so long, in ms.
async fn race(pipeline: &Pipeline<&'static str>, terms: &Terms, first: u64, second: u64) -> Result<Completed<&'static str>, Failure> {
    let call = pipeline.call(terms, |attempt| async move {
        sleep(Duration::from_millis(if attempt.is_hedge { second } else { first })).await;
        Ok(if attempt.is_hedge { "hedge" } else { "first" })
    });
    call.await
}

/// A pipeline that knows its endpoints to take 10 ms.
async fn known(config: HedgeConfig) -> (Pipeline<&'static str>, Arc<Events>) {
    let (pipeline, events) = pipeline(PipelineConfig { hedge: Some(config), ..plain() }, &["a", "b"]);
    for _ in 0..200 {
        assert_eq!(race(&pipeline, &read(60), 10, 10).await.unwrap().attempts, 1);
    }
    assert!(events.take("hedge").is_empty());
    (pipeline, events)
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_goes_to_another_endpoint_at_the_p90_and_the_faster_one_counts() {
    let (pipeline, events) = known(HedgeConfig::default()).await;
    let started = Instant::now();
    let terms = read(60);
    let completed = race(&pipeline, &terms, 1000, 10).await.unwrap();
    assert_eq!((completed.value, completed.attempts, terms.ledger.attempts()), ("hedge", 2, 2));
    assert!((19..22).contains(&started.elapsed().as_millis()), "p90 of 10 ms, then 10 ms: {:?}", started.elapsed());
    let told = events.take("");
    assert_eq!(told[0], "hedge sent b");
    assert!(told[1].starts_with("attempt 1 a ") && told[1].ends_with("cancelled"), "{told:?}");
    assert_eq!(told[2..], ["hedge won b", "attempt 2 hedge b 10 ok"]);
    assert_eq!(terms.ledger.extra_left(), Ledger::DEFAULT_EXTRA - 1);
    assert!(pipeline.budget().balance() < 99.5, "ten per second came back meanwhile: {:?}", pipeline.budget());
    let completed = race(&pipeline, &read(60), 15, 1000).await.unwrap();
    assert_eq!((completed.value, completed.attempts), ("first", 2));
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn hedges_are_at_most_a_tenth_of_the_calls() {
    let (pipeline, events) = known(HedgeConfig::default()).await;
    // 10 are saved up, the most there can be.
    for _ in 0..100 {
        // The rest of the calls stays fast, so that the p90 stays where it is.
        for call in 0..20 {
            let slow = call < 5;
            race(&pipeline, &read(60), if slow { 300 } else { 10 }, 10).await.unwrap();
        }
    }
    let told = events.take("");
    let sent = told.iter().filter(|event| event.starts_with("hedge sent")).count();
    assert!((150..=210).contains(&sent), "{sent} of 2000");
    assert!(told.iter().any(|event| event == "refused hedge hedge-cap"));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_repeated_is_not_hedged() {
    let (pipeline, events) = known(HedgeConfig::default()).await;
    assert_eq!(race(&pipeline, &create(60), 1000, 10).await.unwrap().value, "first");
    assert!(events.take("hedge").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_enough_answers_nothing_is_hedged() {
    let (pipeline, events) = pipeline(PipelineConfig { hedge: Some(HedgeConfig::default()), ..plain() }, &["a"]);
    for _ in 0..63 {
        race(&pipeline, &read(60), 10, 10).await.unwrap();
    }
    assert_eq!(race(&pipeline, &read(60), 1000, 10).await.unwrap().value, "first");
    assert!(events.take("hedge").is_empty());
    assert_eq!(race(&pipeline, &read(60), 1000, 10).await.unwrap().value, "hedge", "one endpoint may be asked twice");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_or_a_budget_without_extras_refuses_a_hedge() {
    let (pipeline, events) = known(HedgeConfig::default()).await;
    let terms = Terms { ledger: Ledger::new(0), ..read(60) };
    assert_eq!(race(&pipeline, &terms, 100, 10).await.unwrap().value, "first");
    assert_eq!(events.take("refused"), ["refused hedge ledger"]);
    while pipeline.budget().try_take() {}
    let terms = read(60);
    assert_eq!(race(&pipeline, &terms, 100, 10).await.unwrap().value, "first");
    assert_eq!(events.take("refused"), ["refused hedge budget"]);
    assert_eq!(terms.ledger.extra_left(), Ledger::DEFAULT_EXTRA);
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_for_the_other_attempt_and_two_failures_are_retried() {
    let (pipeline, events) = known(HedgeConfig::default()).await;
    let terms = read(60);
    let call = |first_fails: bool, hedge_fails: bool| {
        pipeline.call(&terms, move |attempt| async move {
            let (takes, fails) = match attempt.number {
                1 => (30, first_fails),
                2 => (50, hedge_fails),
                _ => (1, false),
            };
            sleep(Duration::from_millis(takes)).await;
            if fails { Err(fail(FailureClass::ServerError)) } else { Ok(attempt.number) }
        })
    };
    assert_eq!(call(true, false).await.unwrap(), Completed { value: 2, attempts: 2 });
    assert_eq!(events.take("hedge won").len(), 1);
    assert_eq!(call(false, true).await.unwrap(), Completed { value: 1, attempts: 2 });
    assert_eq!(call(true, true).await.unwrap(), Completed { value: 3, attempts: 3 });
    assert_eq!(events.take("retry").len(), 1);
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_ends_the_race() {
    let (pipeline, _) = known(HedgeConfig::default()).await;
    let started = Instant::now();
    let terms = read(60);
    let call = pipeline.call(&terms, |attempt| async move {
        if attempt.is_hedge {
            return Err::<(), _>(fail(FailureClass::Client));
        }
        std::future::pending().await
    });
    assert_eq!(&*call.await.unwrap_err().code, "client");
    assert!(started.elapsed() < Duration::from_millis(20));
    assert_idle(&pipeline);
}
