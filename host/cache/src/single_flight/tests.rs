use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

fn key(n: usize) -> CacheKey {
    CacheKey::of([n.to_le_bytes().as_slice()])
}

fn far() -> Deadline {
    Deadline::after(Duration::from_secs(3_600))
}

fn flights(config: FlightConfig) -> Arc<SingleFlight<u32>> {
    Arc::new(SingleFlight::new(config))
}

/// Lets every task that can do something do it. Time stands still meanwhile.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stampede_of_a_thousand_is_one_call() {
    let flights = flights(FlightConfig::default());
    let calls = Arc::new(AtomicUsize::new(0));
    let call = |_| {
        let calls = calls.clone();
        let work = move || async move {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            7
        };
        flights.run(key(1), far(), work)
    };
    let landed = futures_util::future::join_all((0..1_000).map(call)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(landed.iter().filter(|landed| **landed == Ok(Landed { value: 7, joined: false })).count(), 1);
    assert_eq!(landed.iter().filter(|landed| **landed == Ok(Landed { value: 7, joined: true })).count(), 999);
    assert_eq!(flights.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_callers_leaving_ends_nothing() {
    let flights = flights(FlightConfig::default());
    let (finish, finished) = oneshot::channel();
    let leader = tokio::spawn({
        let flights = flights.clone();
        async move { flights.run(key(1), far(), || async { finished.await.unwrap() }).await }
    });
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    let follower = tokio::spawn({
        let flights = flights.clone();
        async move { flights.run(key(1), far(), || async { unreachable!("it is under way") }).await }
    });
    settle().await;
    finish.send(7).unwrap();
    assert_eq!(follower.await.unwrap(), Ok(Landed { value: 7, joined: true }));
}

#[tokio::test(start_paused = true)]
async fn waiters_keep_their_own_deadlines_and_the_flight_goes_on() {
    let flights = flights(FlightConfig::default());
    let started = Instant::now();
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        7
    };
    let within = |ms| flights.run(key(1), Deadline::after(Duration::from_millis(ms)), slow);
    let (first, second, third) = tokio::join!(within(1_000), within(2_000), within(30_000));
    assert_eq!((first, second), (Err(FlightError::Deadline), Err(FlightError::Deadline)));
    assert_eq!(third, Ok(Landed { value: 7, joined: true }));
    assert_eq!(started.elapsed().as_secs(), 10);
    // A call that is too late already starts nothing.
    assert_eq!(within(0).await, Err(FlightError::Deadline));
    assert_eq!(flights.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_for_everybody_and_the_next_call_starts_anew() {
    let flights = flights(FlightConfig::default());
    let panics = || async {
        tokio::task::yield_now().await;
        panic!("on purpose")
    };
    let (one, other) = tokio::join!(flights.run(key(1), far(), panics), flights.run(key(1), far(), panics));
    assert_eq!((one, other), (Err(FlightError::Panicked), Err(FlightError::Panicked)));
    // Also before there is a future.
    let work = || -> std::future::Ready<u32> { panic!("on purpose") };
    assert_eq!(flights.run(key(1), far(), work).await, Err(FlightError::Panicked));
    assert_eq!(flights.run(key(1), far(), || async { 7 }).await, Ok(Landed { value: 7, joined: false }));
}

#[tokio::test(start_paused = true)]
async fn work_that_never_ends_is_ended() {
    let flights = flights(FlightConfig { max_duration: Duration::from_secs(5), ..FlightConfig::default() });
    let started = Instant::now();
    assert_eq!(flights.run(key(1), far(), std::future::pending).await, Err(FlightError::TooLong));
    assert_eq!((started.elapsed().as_secs(), flights.in_flight()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn so_many_flights_and_no_more() {
    let flights = flights(FlightConfig { max_flights: 2, ..FlightConfig::default() });
    assert!(flights.start(key(1), std::future::pending) && flights.start(key(2), std::future::pending));
    assert!(!flights.start(key(1), std::future::pending) && !flights.start(key(3), std::future::pending));
    assert_eq!(flights.run(key(3), far(), || async { 7 }).await, Err(FlightError::TooMany));
    let soon = Deadline::after(Duration::from_secs(1));
    assert_eq!(flights.run(key(2), soon, || async { 7 }).await, Err(FlightError::Deadline));
    assert_eq!(flights.in_flight(), 2);
}

#[test]
fn a_shutdown_is_told_to_those_who_wait_elsewhere() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (dying, living) = (runtime(), runtime());
    let flights = flights(FlightConfig::default());
    assert!(dying.block_on(async { flights.start(key(1), std::future::pending) }));
    let waiter = living.spawn({
        let flights = flights.clone();
        async move { flights.run(key(1), far(), || async { 7 }).await }
    });
    drop(dying);
    let outcome = living.block_on(waiter).unwrap();
    // It may also have come after the end, and flown alone.
    assert!(matches!(outcome, Err(FlightError::ShutDown) | Ok(Landed { value: 7, joined: false })), "{outcome:?}");
    assert_eq!(flights.in_flight(), 0);
}

#[test]
fn every_error_is_a_typed_failure() {
    let code = |error: FlightError| {
        let failure = Failure::from(error);
        (failure.kind, failure.code.into_owned(), failure.retryable)
    };
    assert_eq!(code(FlightError::Deadline), (FailureKind::Timeout, "call.deadline".into(), true));
    assert_eq!(code(FlightError::TooLong), (FailureKind::Timeout, "call.deadline".into(), true));
    assert_eq!(code(FlightError::TooMany), (FailureKind::Limit, "flight.overloaded".into(), true));
    assert_eq!(code(FlightError::Panicked), (FailureKind::Internal, "internal".into(), false));
    assert_eq!(code(FlightError::ShutDown), (FailureKind::Unavailable, "flight.shut-down".into(), true));
}

/// What a test makes the work under a key do.
#[derive(Debug, Clone, Copy)]
enum End {
    Return(u32),
    Panic,
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody asks, and waits for so many times 10 ms.
    Ask { key: usize, patience: u64 },
    /// The work under a key ends.
    End { key: usize, end: End },
    /// One of those who asked goes away.
    Leave(prop::sample::Index),
    /// Time passes, in steps of 10 ms.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![3 => (0..100u32).prop_map(End::Return), 1 => Just(End::Panic)];
    let step = prop_oneof![
        4 => (0..3usize, 0..30u64).prop_map(|(key, patience)| Step::Ask { key, patience }),
        2 => (0..3usize, end).prop_map(|(key, end)| Step::End { key, end }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => (1..8u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..40)
}

const MAX_FLIGHTS: usize = 2;
/// Flights end 5 ms, and patience 3 ms, after the moments at which steps happen, so that nothing happens at once.
const MAX_DURATION_MS: u64 = 105;

type Controls = Arc<Mutex<HashMap<usize, oneshot::Sender<End>>>>;
type Outcome = Result<Landed<u32>, FlightError>;

struct Asked {
    task: Option<JoinHandle<Outcome>>,
    joined: bool,
    key: usize,
    deadline_ms: u64,
    /// What the model says it got.
    expected: Option<Outcome>,
}

/// The simple model: which keys are aloft since when, and what everybody who asked must get.
#[derive(Default)]
struct Model {
    now_ms: u64,
    aloft: HashMap<usize, u64>,
    started: usize,
    asked: Vec<Asked>,
}

impl Model {
    fn give(&mut self, key: usize, result: Result<u32, FlightError>) {
        self.aloft.remove(&key);
        for asked in self.asked.iter_mut().filter(|asked| asked.key == key && asked.expected.is_none()) {
            let joined = asked.joined;
            asked.expected = Some(result.map(|value| Landed { value, joined }));
        }
    }

    /// Ends one moment after the other, in their order.
    fn pass(&mut self, to_ms: u64) {
        let flights = self.aloft.iter().map(|(key, since)| (since + MAX_DURATION_MS, Some(*key)));
        let waits = self.asked.iter().filter(|asked| asked.expected.is_none()).map(|asked| (asked.deadline_ms, None));
        let mut moments: Vec<_> = flights.chain(waits).filter(|(at, _)| *at <= to_ms).collect();
        moments.sort_unstable();
        for (at, flight) in moments {
            match flight {
                Some(key) => self.give(key, Err(FlightError::TooLong)),
                None => {
                    let late = self.asked.iter_mut().filter(|asked| asked.expected.is_none() && asked.deadline_ms <= at);
                    late.for_each(|asked| asked.expected = Some(Err(FlightError::Deadline)));
                }
            }
        }
        self.now_ms = to_ms;
    }
}

async fn ask(flights: &Arc<SingleFlight<u32>>, controls: &Controls, calls: &Arc<AtomicUsize>, model: &mut Model, n: usize, patience: u64) {
    let patience = patience * 10 + 3;
    let (flights, controls, calls) = (flights.clone(), controls.clone(), calls.clone());
    let task = tokio::spawn(async move {
        let work = move || async move {
            calls.fetch_add(1, Ordering::SeqCst);
            let (end, ended) = oneshot::channel();
            controls.lock().unwrap().insert(n, end);
            match ended.await {
                Ok(End::Return(value)) => value,
                _ => panic!("on purpose"),
            }
        };
        flights.run(key(n), Deadline::after(Duration::from_millis(patience)), work).await
    });
    let joined = model.aloft.contains_key(&n);
    let full = !joined && model.aloft.len() >= MAX_FLIGHTS;
    if !joined && !full {
        model.aloft.insert(n, model.now_ms);
        model.started += 1;
    }
    let expected = full.then_some(Err(FlightError::TooMany));
    model.asked.push(Asked { task: Some(task), joined, key: n, deadline_ms: model.now_ms + patience, expected });
}

async fn follow(steps: Vec<Step>) {
    let max_duration = Duration::from_millis(MAX_DURATION_MS);
    let flights = flights(FlightConfig { max_flights: MAX_FLIGHTS, max_duration });
    let (controls, calls) = (Controls::default(), Arc::new(AtomicUsize::new(0)));
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Ask { key, patience } => ask(&flights, &controls, &calls, &mut model, key, patience).await,
            Step::End { key, end } => {
                if model.aloft.contains_key(&key) {
                    assert!(controls.lock().unwrap().remove(&key).unwrap().send(end).is_ok());
                    model.give(key, if let End::Return(value) = end { Ok(value) } else { Err(FlightError::Panicked) });
                }
            }
            Step::Leave(index) => {
                let waiting = model.asked.iter_mut().filter(|asked| asked.task.is_some() && asked.expected.is_none());
                let mut waiting: Vec<_> = waiting.collect();
                if !waiting.is_empty() {
                    let at = index.index(waiting.len());
                    waiting[at].task.take().unwrap().abort();
                }
            }
            Step::Pass(tens) => {
                // The timers of what was just asked must be there before time passes.
                settle().await;
                // In small steps, so that timers go off in their order.
                for _ in 0..tens * 10 {
                    tokio::time::advance(Duration::from_millis(1)).await;
                    settle().await;
                }
                model.pass(model.now_ms + tens * 10);
            }
        }
        settle().await;
        assert_eq!(flights.in_flight(), model.aloft.len());
        assert_eq!(calls.load(Ordering::SeqCst), model.started);
        for asked in &mut model.asked {
            if let Some(task) = &mut asked.task {
                assert_eq!(task.is_finished(), asked.expected.is_some());
                if task.is_finished() {
                    assert_eq!(Some(asked.task.take().unwrap().await.unwrap()), asked.expected);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flights_behave_as_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(follow(steps));
    }
}
