//! Where attempts go.

use super::*;
use crate::balance::BalanceKind;

/// Calls so often; an endpoint named in `down` fails. Returns the endpoints asked, in order.
async fn ask(pipeline: &Pipeline<&'static str>, calls: usize, down: &[&str], class: FailureClass) -> Vec<&'static str> {
    let asked = Mutex::new(Vec::new());
    for _ in 0..calls {
        let _ = pipeline
            .call(&read(60), |attempt| {
                asked.lock().unwrap().push(attempt.endpoint);
                let result = if down.contains(&attempt.endpoint) { Err(fail(class)) } else { Ok(()) };
                async move { result }
            })
            .await;
    }
    asked.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_goes_elsewhere_at_once() {
    let (pipeline, events) = pipeline(plain(), &["a", "b", "c"]);
    let started = Instant::now();
    assert_eq!(ask(&pipeline, 1, &["a", "b"], FailureClass::Connection).await, ["a", "b", "c"]);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(events.take("retry"), ["retry 1 0 connection connection", "retry 2 0 connection connection"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_an_endpoint_that_this_call_has_not_tried() {
    let (pipeline, _) = pipeline(plain(), &["a", "b"]);
    assert_eq!(
        ask(&pipeline, 1, &["a", "b"], FailureClass::ServerError).await,
        ["a", "b", "a", "b"],
        "the one that failed last comes last"
    );
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_an_endpoint_for_thirty_seconds() {
    let (pipeline, events) = pipeline(plain(), &["a", "b"]);
    let asked = ask(&pipeline, 20, &["a"], FailureClass::Connection).await;
    assert_eq!(asked.iter().filter(|one| **one == "a").count(), 5);
    assert_eq!(events.take("ejected"), ["ejected a 30"]);
    let status = pipeline.status();
    assert_eq!(status.endpoints[0].ejected_until.unwrap() - Instant::now(), Duration::from_secs(30));
    assert_eq!(status.endpoints[0].last_error.as_ref().map(|error| error.code.as_str()), Some("connection"));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(ask(&pipeline, 4, &[], FailureClass::Connection).await.contains(&"a"));
    assert_eq!(events.take("returned"), ["returned a"]);
    assert_eq!(pipeline.status().endpoints[0].ejected_until, None);
}

#[tokio::test(start_paused = true)]
async fn the_last_endpoint_is_never_ejected_nor_more_than_a_tenth() {
    // Without retries no time passes, so nobody comes back.
    let retry = RetryPolicies::same(RetryPolicy::NEVER);
    let unbroken = PipelineConfig { breaker: unbreakable(), retry, ..plain() };
    let (single, events) = pipeline(unbroken, &["a"]);
    ask(&single, 20, &["a"], FailureClass::ServerError).await;
    assert!(events.take("ejected").is_empty());
    let (two, events) = pipeline(unbroken, &["a", "b"]);
    ask(&two, 20, &["a", "b"], FailureClass::ServerError).await;
    assert_eq!(events.take("ejected").len(), 1, "one of two may go");
    let (two, events) = pipeline(unbroken, &["a", "b"]);
    two.set_healthy("b", false);
    ask(&two, 20, &["a"], FailureClass::ServerError).await;
    assert!(events.take("ejected").is_empty(), "the other one takes no calls");
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let (many, events) = pipeline(unbroken, &ids);
    ask(&many, 200, &["a", "b", "c", "d"], FailureClass::Connection).await;
    assert_eq!(events.take("ejected").len(), 1, "a tenth of eleven is one");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_taken_away_is_not_ejected_any_more() {
    let (pipeline, events) = pipeline(PipelineConfig { retry: RetryPolicies::same(RetryPolicy::NEVER), ..plain() }, &["a", "b"]);
    ask(&pipeline, 8, &["a"], FailureClass::ServerError).await;
    let terms = read(60);
    let call = pipeline.call(&terms, |attempt| {
        assert_eq!(attempt.endpoint, "a");
        pipeline.set_endpoints(endpoints(&["b", "c"]));
        std::future::ready(Err::<(), _>(fail(FailureClass::ServerError)))
    });
    assert!(call.await.is_err());
    assert!(events.take("ejected").is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_wrong_themselves_eject_nobody_and_open_no_breaker() {
    let (pipeline, events) = pipeline(plain(), &["a", "b"]);
    assert_eq!(ask(&pipeline, 100, &["a", "b"], FailureClass::Client).await.len(), 100);
    assert!(events.take("ejected").is_empty());
    assert_eq!(pipeline.breaker().state(), crate::State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_endpoint_gets_nothing_until_it_is_healthy_again() {
    let (pipeline, _) = pipeline(plain(), &["a", "b"]);
    pipeline.set_healthy("a", false);
    pipeline.set_healthy("nobody", false);
    assert_eq!(ask(&pipeline, 3, &[], FailureClass::Client).await, ["b", "b", "b"]);
    pipeline.set_healthy("b", false);
    let failure = pipeline.call(&read(60), |_| async { Ok(()) }).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, "endpoint.none"));
    assert_eq!(pipeline.status().consecutive_failures, 0, "nothing was sent");
    pipeline.set_healthy("a", true);
    assert_eq!(ask(&pipeline, 2, &[], FailureClass::Client).await, ["a", "a"]);
    pipeline.set_endpoints(Vec::new());
    assert_eq!(&*pipeline.call(&read(60), |_| async { Ok(()) }).await.unwrap_err().code, "endpoint.none");
    assert_idle(&pipeline);
}

#[tokio::test(start_paused = true)]
async fn latency_decides_with_p2c_and_is_told_in_the_status() {
    let (pipeline, _) = pipeline(PipelineConfig { balance: BalanceKind::P2cPeakEwma, ..plain() }, &["slow", "fast"]);
    let count = AtomicUsize::new(0);
    for _ in 0..200 {
        let terms = read(60);
        let call = pipeline.call(&terms, |attempt| {
            let slow = attempt.endpoint == "slow";
            count.fetch_add(usize::from(slow), Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(if slow { 100 } else { 10 })).await;
                Ok(())
            }
        });
        call.await.unwrap();
    }
    assert!(count.load(Ordering::Relaxed) < 10, "{count:?}");
    let fast = pipeline.status().endpoints.pop().unwrap();
    assert_eq!((fast.id.as_str(), fast.healthy, fast.weight), ("fast", true, 1));
    for quantile in [fast.p50, fast.p90, fast.p99] {
        assert!(quantile.unwrap().abs_diff(Duration::from_millis(10)) < Duration::from_millis(1));
    }
}
