use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A limiter whose every window is closed by ten answers of one latency.
struct Driver(AdaptiveLimit);

impl Driver {
    fn new(config: AdaptiveConfig) -> Self {
        Self(AdaptiveLimit::new(config))
    }

    /// One window with so many calls in flight; returns the limit after it.
    async fn window(&self, millis: u64, in_flight: u32, overloaded: bool) -> u32 {
        advance(SECOND).await;
        for _ in 0..AdaptiveConfig::MIN_SAMPLES {
            self.0.sample(Duration::from_millis(millis), in_flight, overloaded, Instant::now());
        }
        self.0.limit()
    }
}

#[test]
fn the_defaults_are_those_of_gradient2() {
    let config = AdaptiveConfig::default();
    assert_eq!((config.initial, config.max, config.queue), (20, 200, 4));
    assert_eq!((config.tolerance, config.smoothing), (1.5, 0.2));
    assert_eq!((config.window, AdaptiveConfig::MIN_SAMPLES), (SECOND, 10));
}

#[tokio::test(start_paused = true)]
async fn it_grows_while_answers_stay_fast_and_shrinks_when_they_get_slow() {
    let driver = Driver::new(AdaptiveConfig::default());
    let mut limit = 20;
    for _ in 0..50 {
        let next = driver.window(10, limit, false).await;
        assert!(next >= limit);
        limit = next;
    }
    assert!(limit > 50, "{limit}");
    for _ in 0..200 {
        limit = driver.window(100, limit, false).await;
    }
    assert!(limit < 20, "ten times as slow as usual: {limit}");
    for _ in 0..50 {
        limit = driver.window(10, limit, false).await;
    }
    assert!(limit > 40, "fast again: {limit}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_nobody_comes_near_does_not_grow() {
    let driver = Driver::new(AdaptiveConfig::default());
    for _ in 0..50 {
        assert_eq!(driver.window(10, 9, false).await, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn overload_takes_a_tenth_off_down_to_the_least() {
    let driver = Driver::new(AdaptiveConfig::default());
    assert_eq!(driver.window(10, 20, true).await, 18);
    for _ in 0..50 {
        driver.window(10, 20, true).await;
    }
    assert_eq!(driver.0.limit(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_the_limit_get_a_permit_and_a_dropped_one_frees_its_place() {
    let limit = AdaptiveLimit::new(AdaptiveConfig { initial: 5, ..AdaptiveConfig::default() });
    let mut permits: Vec<_> = (0..5).map(|_| limit.try_acquire().unwrap()).collect();
    assert!(limit.try_acquire().is_none());
    permits.pop();
    assert!(limit.try_acquire().is_some());
    permits.clear();
    assert_eq!(limit.in_flight.load(Ordering::Relaxed), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The model: Netflix' formula, window by window, on every latency ever seen.
    #[test]
    fn it_follows_the_formula(
        windows in prop::collection::vec((1u64..1000, 0u32..300, prop::bool::weighted(0.1)), 1..60), tolerance in 1.0f64..3.0,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let driver = Driver::new(AdaptiveConfig { tolerance, ..AdaptiveConfig::default() });
            let (mut limit, mut usual, mut seen) = (20.0f64, 0.0f64, Vec::new());
            for (millis, in_flight, overloaded) in windows {
                let recent = millis as f64 / 1000.0;
                if seen.len() < 10 {
                    // The mean of the first windows; a decay before counts as if all of them had been shorter.
                    usual = (usual * seen.len() as f64 + recent) / (seen.len() as f64 + 1.0);
                } else {
                    usual = usual * (1.0 - 2.0 / 601.0) + recent * 2.0 / 601.0;
                }
                seen.push(recent);
                let long = usual;
                if long / recent > 2.0 {
                    usual *= 0.95;
                }
                if overloaded {
                    limit = (limit * 0.9).clamp(4.0, 200.0);
                } else if f64::from(in_flight) >= limit / 2.0 {
                    let gradient = (tolerance * long / recent).clamp(0.5, 1.0);
                    limit = (0.8 * limit + 0.2 * (limit * gradient + 4.0)).clamp(4.0, 200.0);
                }
                let got = driver.window(millis, in_flight, overloaded).await;
                assert!((f64::from(got) - limit).abs() <= 1.0 + 1e-6, "{got} for {limit}");
                let exact = driver.0.gradient.lock().unwrap().limit;
                assert!((exact - limit).abs() < 1e-6 * limit, "{exact} for {limit}");
            }
        });
    }
}
