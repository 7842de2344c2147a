//! What a call passes before its first attempt.

use futures_util::FutureExt as _;

use super::*;
use crate::adaptive::AdaptiveConfig;
use crate::breaker::OpossumOptions;
use crate::bulkhead::BulkheadConfig;
use crate::shed::ShedConfig;

async fn once(pipeline: &Pipeline<&'static str>, result: Result<(), AttemptFailure>) -> Result<Completed<()>, Failure> {
    pipeline.call(&create(60), |_| std::future::ready(result.clone())).await
}

#[tokio::test(start_paused = true)]
async fn five_failed_calls_open_the_breaker_for_thirty_seconds_then_one_probe_closes_it() {
    let (pipeline, events) = pipeline(plain(), &["a"]);
    for _ in 0..5 {
        assert_eq!(&*once(&pipeline, Err(fail(FailureClass::ServerError))).await.unwrap_err().code, "server-error");
    }
    let refused = once(&pipeline, Ok(())).await.unwrap_err();
    assert_eq!((refused.kind, &*refused.code), (FailureKind::CircuitOpen, "breaker.open"));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(30)));
    tokio::time::advance(Duration::from_secs(30)).await;
    let terms = read(60);
    let probe = pipeline.call(&terms, |_| std::future::pending::<Result<(), AttemptFailure>>());
    let mut probe = Box::pin(probe);
    assert!((&mut probe).now_or_never().is_none());
    assert_eq!(&*once(&pipeline, Ok(())).await.unwrap_err().code, "breaker.open", "one probe at a time");
    drop(probe);
    once(&pipeline, Ok(())).await.expect("the probe that was dropped made room");
    assert_eq!(events.take("breaker"), ["breaker open", "breaker half-open", "breaker closed"]);
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn with_opossums_options_three_of_five_failures_open_it() {
    let (pipeline, _) = pipeline(PipelineConfig { breaker: OpossumOptions::default().into(), ..plain() }, &["a"]);
    for failed in [true, false, true, false, true] {
        assert_eq!(pipeline.breaker().state(), crate::State::Closed);
        let _ = once(&pipeline, if failed { Err(fail(FailureClass::Timeout)) } else { Ok(()) }).await;
    }
    assert_eq!(pipeline.breaker().state(), crate::State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_closes_a_half_open_breaker_because_it_was_answered() {
    let (pipeline, _) = pipeline(plain(), &["a"]);
    for _ in 0..5 {
        let _ = once(&pipeline, Err(fail(FailureClass::Timeout))).await;
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(&*once(&pipeline, Err(fail(FailureClass::Client))).await.unwrap_err().code, "client");
    assert_eq!(pipeline.breaker().state(), crate::State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_bulkhead_lets_so_many_run_and_so_many_wait() {
    let bulkhead = BulkheadConfig { max_concurrent: 1, max_queue: 2 };
    let (pipeline, events) = pipeline(PipelineConfig { bulkhead, ..plain() }, &["a"]);
    let hang = || Box::pin(async { pipeline.call(&read(5), |_| std::future::pending::<Result<(), AttemptFailure>>()).await });
    let (mut running, mut waiting) = (hang(), hang());
    assert!((&mut running).now_or_never().is_none() && (&mut waiting).now_or_never().is_none());
    let status = pipeline.status();
    assert_eq!((status.in_flight, status.queued, status.endpoints[0].pending), (1, 1, 1));
    let sheddable = Terms { priority: Priority::Sheddable, ..read(5) };
    let refused = pipeline.call(&sheddable, |_| std::future::ready(Ok(()))).await.unwrap_err();
    assert_eq!(&*refused.code, "bulkhead.full", "a sheddable call may not use the other half of the queue");
    let mut second = hang();
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(&*once(&pipeline, Ok(())).await.unwrap_err().code, "bulkhead.full");
    assert_eq!(events.take("shed"), ["shed queue-full sheddable", "shed queue-full normal"]);
    let late = tokio::join!(running, waiting, second);
    assert_eq!((&*late.0.unwrap_err().code, &*late.1.unwrap_err().code), ("call.deadline", "bulkhead.deadline"));
    assert_eq!(events.take("shed"), ["shed queue-deadline normal", "shed queue-deadline normal"]);
    assert_eq!(pipeline.status().consecutive_failures, 1, "those that waited say nothing about the other side");
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn the_adaptive_limit_turns_away_what_is_above_it() {
    let adaptive = Some(AdaptiveConfig { initial: 4, ..AdaptiveConfig::default() });
    let (pipeline, events) = pipeline(PipelineConfig { adaptive, ..plain() }, &["a"]);
    let mut running: Vec<_> = (0..4)
        .map(|_| Box::pin(async { pipeline.call(&read(5), |_| std::future::pending::<Result<(), AttemptFailure>>()).await }))
        .collect();
    assert!(running.iter_mut().all(|call| call.now_or_never().is_none()));
    let refused = once(&pipeline, Ok(())).await.unwrap_err();
    assert_eq!((refused.kind, &*refused.code, refused.retryable), (FailureKind::Unavailable, "load.shed", true));
    assert_eq!(events.take("shed"), ["shed limit normal"]);
    assert_eq!(pipeline.status().adaptive_limit, Some(4));
    drop(running);
    once(&pipeline, Ok(())).await.unwrap();
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn the_adaptive_limit_follows_the_latency_of_answers() {
    let (pipeline, _) = pipeline(PipelineConfig { adaptive: Some(AdaptiveConfig::default()), ..plain() }, &["a"]);
    let work = async |seconds: u64, latency: u64| {
        let until = Instant::now() + Duration::from_secs(seconds);
        let caller = async || {
            while Instant::now() < until {
                let terms = read(60);
                let call = pipeline.call(&terms, |_| async {
                    sleep(Duration::from_millis(latency)).await;
                    Ok(())
                });
                if call.await.is_err() {
                    sleep(Duration::from_millis(latency)).await;
                }
            }
        };
        futures_util::future::join_all((0..60).map(|_| caller())).await;
        pipeline.status().adaptive_limit.unwrap()
    };
    let fast = work(30, 10).await;
    assert!(fast > 40, "{fast}");
    let slow = work(30, 200).await;
    assert!(slow < fast / 2, "{slow} after {fast}");
}

#[tokio::test(start_paused = true)]
async fn shedding_keeps_back_what_would_be_refused() {
    fastrand::seed(7);
    let (pipeline, events) = pipeline(PipelineConfig { shed: Some(ShedConfig::default()), breaker: unbreakable(), ..plain() }, &["a"]);
    let mut codes = Vec::new();
    for _ in 0..200 {
        codes.push(once(&pipeline, Err(fail(FailureClass::Throttled))).await.unwrap_err().code);
    }
    let shed = codes.iter().filter(|code| *code == "load.shed").count();
    assert!(shed > 180, "{shed}");
    assert_eq!(events.take("shed overload normal").len(), shed);
    tokio::time::advance(Duration::from_secs(130)).await;
    once(&pipeline, Ok(())).await.expect("what was refused long ago counts no more");
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_time_is_not_sent() {
    let (pipeline, events) = pipeline(plain(), &["a"]);
    let failure = pipeline.call(&read(0), |_| async { Ok(()) }).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
    let answer = async |millis: u64, takes: u64| {
        let terms = Terms { deadline: Deadline::after(Duration::from_millis(millis)), ..create(60) };
        let call = pipeline.call(&terms, |_| async move {
            sleep(Duration::from_millis(takes)).await;
            Ok(())
        });
        call.await.map_err(|failure| failure.code)
    };
    assert_eq!(answer(50, 100).await.unwrap_err(), "call.deadline");
    assert_eq!(events.take("attempt").len(), 1, "the latency is not known yet");
    for _ in 0..64 {
        answer(1000, 100).await.unwrap();
    }
    events.take("");
    assert_eq!(answer(50, 100).await.unwrap_err(), "call.deadline");
    assert!(events.take("attempt").is_empty(), "half of the answers take longer than that");
    answer(150, 100).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    events.take("");
    answer(50, 10).await.expect("now and then one goes to see");
    assert_eq!(events.take("attempt"), ["attempt 1 a 10 ok"]);
    assert_idle(&pipeline);
}
