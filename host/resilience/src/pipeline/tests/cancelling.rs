//! A call may be dropped at any moment: what it took is free again, and it says nothing about the other side.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::*;
use crate::adaptive::AdaptiveConfig;
use crate::bulkhead::BulkheadConfig;
use crate::hedge::HedgeConfig;
use crate::shed::ShedConfig;

/// Polls `work` so often and then gives up; tells whether it was done by then.
struct Polls<F> {
    work: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.left.checked_sub(1) {
            None => return Poll::Ready(None),
            Some(left) => self.left = left,
        }
        self.work.as_mut().poll(context).map(Some)
    }
}

fn everything() -> PipelineConfig {
    PipelineConfig {
        hedge: Some(HedgeConfig { max_extra_percent: 100, ..HedgeConfig::default() }),
        adaptive: Some(AdaptiveConfig::default()),
        shed: Some(ShedConfig::default()),
        bulkhead: BulkheadConfig { max_concurrent: 1, max_queue: 4 },
        ..plain()
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_at_any_await_it_releases_everything_it_took() {
    let mut done = false;
    let mut most = 0;
    for polls in 0..100 {
        let (pipeline, _) = pipeline(everything(), &["a", "b"]);
        for _ in 0..128 {
            pipeline
                .call(&read(60), |_| async {
                    sleep(Duration::from_millis(10)).await;
                    Ok(())
                })
                .await
                .unwrap();
        }
        let (balance, shed) = (pipeline.budget().balance(), pipeline.shared.consecutive_failures.load(Ordering::Relaxed));
        // Somebody else holds the only place for a while, so that the call waits for it first.
        let other = pipeline.clone();
        let holder = tokio::spawn(async move {
            other
                .call(&read(60), |_| async {
                    sleep(Duration::from_millis(5)).await;
                    Ok(())
                })
                .await
        });
        tokio::task::yield_now().await;
        assert_eq!(pipeline.status().in_flight, 1);
        let terms = read(60);
        // Both the first attempt and its hedge fail late, then a retry succeeds.
        let call = pipeline.call(&terms, |attempt| async move {
            sleep(Duration::from_millis(30)).await;
            if attempt.number < 3 { Err(fail(FailureClass::ServerError)) } else { Ok(attempt.number) }
        });
        let result = Polls { work: Box::pin(call), left: polls }.await;
        holder.await.unwrap().unwrap();
        assert_idle(&pipeline);
        // What was sent is paid for, what was not is not; time has filled the budget up to its burst again at most.
        let extra = Ledger::DEFAULT_EXTRA - terms.ledger.extra_left();
        assert_eq!(extra, terms.ledger.attempts().saturating_sub(1), "after {polls} polls");
        assert!(pipeline.budget().balance() >= balance - f64::from(extra));
        most = most.max(extra);
        if let Some(result) = result {
            assert_eq!(result.unwrap(), Completed { value: 3, attempts: 4 }, "the retry is hedged as well");
            done = true;
            break;
        }
        assert_eq!(pipeline.status().consecutive_failures, shed, "a cancelled call is no failed call");
        assert_eq!(pipeline.breaker().state(), crate::State::Closed);
    }
    assert!(done, "it must have got through in the end");
    assert_eq!(most, 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_place_to_the_next() {
    let (pipeline, events) = pipeline(PipelineConfig { shed: None, ..everything() }, &["a", "b"]);
    for _ in 0..5 {
        let _ = pipeline.call(&create(60), |_| std::future::ready(Err::<(), _>(fail(FailureClass::Timeout)))).await;
    }
    tokio::time::advance(Duration::from_secs(130)).await;
    for _ in 0..20 {
        let terms = read(60);
        let probe = pin!(pipeline.call(&terms, |_| std::future::pending::<Result<(), AttemptFailure>>()));
        assert!(tokio::time::timeout(Duration::from_millis(1), probe).await.is_err());
    }
    assert_eq!(pipeline.breaker().state(), crate::State::HalfOpen);
    assert_eq!(events.take("attempt 1").iter().filter(|event| event.ends_with("cancelled")).count(), 20);
    pipeline.call(&read(60), |_| std::future::ready(Ok(()))).await.unwrap();
    assert_eq!(pipeline.breaker().state(), crate::State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_attempt_releases_everything_it_took() {
    let (pipeline, _) = pipeline(everything(), &["a"]);
    let other = pipeline.clone();
    let task =
        tokio::spawn(async move { other.call(&read(60), |_| async { if true { panic!("as the test says") } else { Ok(()) } }).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_idle(&pipeline);
    pipeline.call(&read(60), |_| std::future::ready(Ok(()))).await.unwrap();
}
