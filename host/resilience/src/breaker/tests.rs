use std::time::Duration;

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const RESET: Duration = Duration::from_secs(30);

fn rate() -> BreakerConfig {
    BreakerConfig { trip: Trip::ERROR_RATE, ..BreakerConfig::default() }
}

fn fail(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.try_acquire().unwrap().failure();
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_for_thirty_seconds() {
    let breaker = Breaker::new(BreakerConfig::default());
    fail(&breaker, 4);
    breaker.try_acquire().unwrap().success();
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    advance(Duration::from_secs(10)).await;
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected, Rejected { state: State::Open, retry_after: Duration::from_secs(20) });
    let failure = Failure::from(rejected);
    assert_eq!((failure.kind, failure.retry_after), (FailureKind::CircuitOpen, Some(Duration::from_secs(20))));
    advance(Duration::from_secs(20)).await;
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_rate_opens_it_only_above_the_percentage_and_with_enough_calls() {
    let breaker = Breaker::new(rate());
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed, "four calls are too few to judge");
    for _ in 0..4 {
        breaker.try_acquire().unwrap().success();
    }
    advance(Duration::from_secs(1)).await;
    for _ in 0..2 {
        breaker.try_acquire().unwrap().success();
    }
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed, "6 of 12 is half, not more than half");
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open, "7 of 13 is more than half");
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_it_again_and_enough_good_ones_close_it() {
    let breaker = Breaker::new(BreakerConfig { probes: 2, ..BreakerConfig::default() });
    fail(&breaker, 5);
    advance(RESET).await;
    let (one, two) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    let third = breaker.try_acquire().unwrap_err();
    assert_eq!(third, Rejected { state: State::HalfOpen, retry_after: Duration::from_secs(1) });
    one.success();
    two.failure();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, RESET);
    advance(RESET).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed, "old failures are forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_ignored_or_dropped_probe_makes_room_for_the_next() {
    let breaker = Breaker::new(BreakerConfig::default());
    fail(&breaker, 5);
    advance(RESET).await;
    breaker.try_acquire().unwrap().ignore();
    drop(breaker.try_acquire().unwrap());
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_outage_decides_nothing_after_it() {
    let breaker = Breaker::new(BreakerConfig::default());
    let old: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    fail(&breaker, 5);
    advance(RESET).await;
    let probe = breaker.try_acquire().unwrap();
    for (index, permit) in old.into_iter().enumerate() {
        if index == 0 { permit.success() } else { permit.failure() }
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(breaker.try_acquire().is_err(), "an old call releases no probe");
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn half_of_ten_slow_calls_open_it_and_a_slow_probe_keeps_it_open() {
    let slow = Some(SlowCalls::slower_than(Duration::from_millis(100)));
    let breaker = Breaker::new(BreakerConfig { slow, ..BreakerConfig::default() });
    let call = async |millis| {
        let permit = breaker.try_acquire().unwrap();
        advance(Duration::from_millis(millis)).await;
        permit.success();
    };
    for millis in [101, 101, 101, 101, 100, 100, 100, 100, 100] {
        call(millis).await;
    }
    assert_eq!(breaker.state(), State::Closed, "nine are too few, and 100 ms is not slower than that");
    call(101).await;
    assert_eq!(breaker.state(), State::Open);
    advance(RESET).await;
    call(500).await;
    assert_eq!(breaker.state(), State::Open);
    advance(RESET).await;
    let mut probe = breaker.try_acquire().unwrap();
    advance(Duration::from_secs(1)).await;
    probe.restart();
    probe.success();
    assert_eq!(breaker.state(), State::Closed, "waiting for a place is not the other side's slowness");
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_outage_must_not_go_on_during_it() {
    let breaker = Breaker::new(BreakerConfig { probes: 2, ..BreakerConfig::default() });
    let old = breaker.try_acquire().unwrap();
    assert!(old.holds());
    fail(&breaker, 5);
    assert!(!old.holds());
    advance(RESET).await;
    let probe = breaker.try_acquire().unwrap();
    assert!(probe.holds() && !old.holds());
    breaker.force_closed();
    assert!(old.holds());
}

#[tokio::test(start_paused = true)]
async fn forced_states_hold_until_reset() {
    let breaker = Breaker::new(BreakerConfig::default());
    breaker.force_open();
    advance(RESET * 10).await;
    assert_eq!(breaker.try_acquire().unwrap_err().state, State::ForcedOpen);
    breaker.force_closed();
    fail(&breaker, 50);
    assert_eq!(breaker.state(), State::ForcedClosed);
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed, "failures while forced are not counted");
}

#[tokio::test(start_paused = true)]
async fn each_change_is_reported_once_and_in_order() {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let breaker =
        Breaker::observed(BreakerConfig::default(), move |change| seen.lock().unwrap().push((change.sequence, change.from, change.to)));
    fail(&breaker, 5);
    advance(RESET).await;
    breaker.try_acquire().unwrap().success();
    breaker.force_open();
    breaker.force_open();
    breaker.reset();
    let expected = [
        (1, State::Closed, State::Open),
        (2, State::Open, State::HalfOpen),
        (3, State::HalfOpen, State::Closed),
        (4, State::Closed, State::ForcedOpen),
        (5, State::ForcedOpen, State::Closed),
    ];
    assert_eq!(*changes.lock().unwrap(), expected);
}

#[test]
fn threads_that_hammer_it_never_get_more_probes_than_allowed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let breaker = Breaker::new(BreakerConfig { reset_timeout: Duration::ZERO, probes: 3, ..BreakerConfig::default() });
    fail(&breaker, 5);
    let probes: Vec<_> = runtime.block_on(async {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                tokio::spawn({
                    let breaker = breaker.clone();
                    async move { breaker.try_acquire().ok() }
                })
            })
            .collect();
        let mut permits = Vec::new();
        for task in tasks {
            permits.extend(task.await.unwrap());
        }
        permits
    });
    assert_eq!(probes.len(), 3);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Acquire,
    Finish(usize, Verdict),
    Wait(u64),
    Force(State),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![2 => Just(Verdict::Success), 4 => Just(Verdict::Failure), 1 => Just(Verdict::Ignored)];
    let forced = prop_oneof![3 => Just(State::Closed), 1 => Just(State::ForcedOpen), 1 => Just(State::ForcedClosed)];
    prop_oneof![
        20 => Just(Step::Acquire),
        20 => (0usize..4, verdict).prop_map(|(index, verdict)| Step::Finish(index, verdict)),
        4 => (0u64..6_000).prop_map(Step::Wait),
        1 => forced.prop_map(Step::Force),
    ]
}

fn config() -> impl Strategy<Value = BreakerConfig> {
    let consecutive = (1u32..4).prop_map(|threshold| Trip::ConsecutiveFailures { threshold });
    let rate = (0u8..=100, 1u64..5, 1u32..6, 1u32..5).prop_map(|(percentage, seconds, buckets, volume_threshold)| Trip::ErrorRate {
        percentage: f64::from(percentage),
        window: Duration::from_secs(seconds * 60) / 60,
        buckets,
        volume_threshold,
    });
    let slow = (0u64..3_000, 1u8..=100, 1u64..5, 1u32..6, 1u32..5).prop_map(|(millis, percentage, seconds, buckets, volume_threshold)| {
        let window = Duration::from_secs(seconds * 60) / 60;
        SlowCalls { slower_than: Duration::from_millis(millis), percentage: f64::from(percentage), window, buckets, volume_threshold }
    });
    (prop_oneof![consecutive, rate], prop::option::of(slow), 0u64..8_000, 1u32..4).prop_map(|(trip, slow, reset, probes)| BreakerConfig {
        trip,
        slow,
        reset_timeout: Duration::from_millis(reset),
        probes,
    })
}

/// What a breaker must do, written as plainly as possible: every outcome is kept and counted again each time.
struct Model {
    config: BreakerConfig,
    state: State,
    since: Duration,
    epoch: u64,
    /// When it ended, whether it failed, whether it was slow.
    outcomes: Vec<(Duration, bool, bool)>,
    probes: Vec<bool>,
    probes_running: u32,
}

impl Model {
    fn turn(&mut self, state: State, now: Duration) {
        self.epoch += u64::from(self.state != state);
        (self.state, self.since, self.probes_running) = (state, now, 0);
        self.outcomes.clear();
        self.probes.clear();
    }

    fn tick(&mut self, now: Duration) {
        if self.state == State::Open && now - self.since >= self.config.reset_timeout {
            self.turn(State::HalfOpen, now);
        }
    }

    fn acquire(&mut self, now: Duration) -> Option<u64> {
        self.tick(now);
        match self.state {
            State::Open | State::ForcedOpen => return None,
            State::HalfOpen if self.probes_running + self.probes.len() as u32 >= self.config.probes => return None,
            State::HalfOpen => self.probes_running += 1,
            State::Closed | State::ForcedClosed => {}
        }
        Some(self.epoch)
    }

    fn finish(&mut self, epoch: u64, verdict: Verdict, took: Duration, now: Duration) {
        let slow = self.config.slow.is_some_and(|slow| took > slow.slower_than);
        if epoch != self.epoch {
            return;
        }
        if self.state == State::HalfOpen {
            self.probes_running -= 1;
            match verdict {
                Verdict::Failure => self.turn(State::Open, now),
                Verdict::Success if slow => self.turn(State::Open, now),
                Verdict::Success => {
                    self.probes.push(true);
                    if self.probes.len() as u32 == self.config.probes {
                        self.turn(State::Closed, now);
                    }
                }
                Verdict::Ignored => {}
            }
        } else if self.state == State::Closed && verdict != Verdict::Ignored {
            self.outcomes.push((now, verdict == Verdict::Failure, slow));
            if self.trips(now) || self.trips_slowly(now) {
                self.turn(State::Open, now);
            }
        }
    }

    fn trips(&self, now: Duration) -> bool {
        match self.config.trip {
            Trip::ConsecutiveFailures { threshold } => {
                self.outcomes.iter().rev().take_while(|(_, failed, _)| *failed).count() >= threshold as usize
            }
            Trip::ErrorRate { percentage, window, buckets, volume_threshold } => {
                let (failures, calls) = self.within(window, buckets, now, |(_, failed, _)| *failed);
                let newest_failed = self.outcomes.last().is_some_and(|(_, failed, _)| *failed);
                newest_failed && calls >= f64::from(volume_threshold) && failures / calls > percentage / 100.0 + 1e-12
            }
        }
    }

    fn trips_slowly(&self, now: Duration) -> bool {
        let Some(SlowCalls { percentage, window, buckets, volume_threshold, .. }) = self.config.slow else { return false };
        let (slow, calls) = self.within(window, buckets, now, |(_, _, slow)| *slow);
        let newest_slow = self.outcomes.last().is_some_and(|(_, _, slow)| *slow);
        newest_slow && calls >= f64::from(volume_threshold) && slow / calls >= percentage / 100.0 - 1e-12
    }

    /// How many of the outcomes in a window are such, and how many there are.
    fn within(&self, window: Duration, buckets: u32, now: Duration, such: fn(&(Duration, bool, bool)) -> bool) -> (f64, f64) {
        let bucket = |at: Duration| at.as_nanos() / (window / buckets).as_nanos();
        let within = || self.outcomes.iter().filter(|(at, ..)| bucket(*at) + u128::from(buckets) > bucket(now));
        (within().filter(|outcome| such(outcome)).count() as f64, within().count() as f64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn it_follows_the_model(config in config(), steps in prop::collection::vec(step(), 1..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let breaker = Breaker::new(config);
            let (state, since) = (State::Closed, Duration::ZERO);
            let mut model = Model { config, state, since, epoch: 0, outcomes: vec![], probes: vec![], probes_running: 0 };
            let mut permits: Vec<(Permit, u64, Duration)> = Vec::new();
            for step in steps {
                let now = start.elapsed();
                match step {
                    Step::Acquire => match (breaker.try_acquire(), model.acquire(now)) {
                        (Ok(permit), Some(epoch)) => permits.push((permit, epoch, now)),
                        (Err(rejected), None) => {
                            assert_eq!(rejected.state, model.state);
                            assert!(rejected.retry_after <= config.reset_timeout);
                        }
                        (got, expected) => panic!("breaker {got:?}, model {expected:?}"),
                    },
                    Step::Finish(index, verdict) if index < permits.len() => {
                        let (permit, epoch, since) = permits.swap_remove(index);
                        let (state, holds) = (breaker.state(), permit.holds());
                        let passes = matches!(state, State::Closed | State::ForcedClosed);
                        assert_eq!(holds, passes || epoch == model.epoch, "{state}");
                        match verdict {
                            Verdict::Success => permit.success(),
                            Verdict::Failure => permit.failure(),
                            Verdict::Ignored => drop(permit),
                        }
                        model.finish(epoch, verdict, now - since, now);
                    }
                    Step::Finish(..) => {}
                    Step::Wait(millis) => advance(Duration::from_millis(millis)).await,
                    Step::Force(state) => {
                        match state {
                            State::ForcedOpen => breaker.force_open(),
                            State::ForcedClosed => breaker.force_closed(),
                            _ => breaker.reset(),
                        }
                        model.turn(state, now);
                    }
                }
                model.tick(start.elapsed());
                assert_eq!(breaker.state(), model.state);
            }
        });
    }
}
