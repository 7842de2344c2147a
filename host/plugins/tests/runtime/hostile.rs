//! Guests that misbehave: each costs its own call only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use breakwater_core::{CallContext, FailureKind, Principal};
use breakwater_plugins::RuntimeConfig;
use breakwater_resilience::State;

use crate::support::{Detectors, Host, context, guest, package, package_with, picture, plan, request, resident, shipped, term};

/// A host with the misbehaving plugin and a good one.
async fn host(adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let host = Host::with(Detectors::Find(Vec::new()), adjust).await;
    host.catalogue.deploy(package("misbehaving", "0.1.0", guest("misbehaving"))).await.unwrap();
    host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap();
    host
}

fn never_open(config: &mut RuntimeConfig) {
    config.breaker.trip = breakwater_resilience::Trip::ConsecutiveFailures { threshold: u32::MAX };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_misdeed_has_its_code_and_others_are_served_meanwhile() {
    let host = host(|config| {
        never_open(config);
        // Room enough for answers that are too large.
        config.limits.memory_bytes = 256 << 20;
        config.limits.cpu = Duration::from_millis(500);
    })
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU64::new(0));
    let others = {
        let (catalogue, stop, served) = (Arc::clone(&host.catalogue), Arc::clone(&stop), Arc::clone(&served));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                plan(&catalogue.snapshot(), "versioned", &[]).await.unwrap();
                served.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        })
    };
    let generation = Arc::clone(host.snapshot().strategy("well").unwrap().1);
    for (strategy, code, kind) in [
        ("endless_loop", "plugin.cpu-time", FailureKind::Limit),
        ("memory_bomb", "plugin.memory", FailureKind::Limit),
        ("deep_recursion", "plugin.stack", FailureKind::Limit),
        ("trap", "plugin.trap", FailureKind::Internal),
        ("panic", "plugin.trap", FailureKind::Internal),
        ("host_call_flood", "plugin.host-calls", FailureKind::Limit),
        ("giant_output", "plugin.output-too-large", FailureKind::Limit),
        ("giant_string", "plugin.output-too-large", FailureKind::Limit),
        ("giant_failure", "plugin.output-too-large", FailureKind::Limit),
        ("too_many_terms", "plugin.invalid-plan", FailureKind::Rejected),
        ("outside", "plugin.invalid-plan", FailureKind::Rejected),
        ("overflowing", "plugin.invalid-plan", FailureKind::Rejected),
        ("empty", "plugin.invalid-plan", FailureKind::Rejected),
        ("wrong_ratio", "plugin.invalid-plan", FailureKind::Rejected),
        ("nan_score", "plugin.invalid-plan", FailureKind::Rejected),
        ("infinite_term", "plugin.invalid-plan", FailureKind::Rejected),
    ] {
        let before = served.load(Ordering::Relaxed);
        let failure = host.plan(strategy).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), (code, kind), "{strategy}: {}", failure.chain());
        assert_eq!(failure.origin.as_deref(), Some("plugin:misbehaving"), "{strategy}");
        // The next call of the same plugin is not affected.
        assert!(host.plan("well").await.is_ok(), "after {strategy}");
        let start = Instant::now();
        while served.load(Ordering::Relaxed) == before {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody else was served during {strategy}");
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    others.await.unwrap();
    let faults: Vec<_> = host.catalogue.list().into_iter().flat_map(|plugin| plugin.generations).map(|info| info.faults).collect();
    assert_eq!(faults, [0, 16]);
    assert_eq!(generation.breaker_state(), State::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_does_not_hold_up_the_only_thread() {
    // One worker: without interruption the good plugin could not be served until the loop ends.
    let served = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = host(|config| {
                config.limits.cpu = Duration::from_millis(500);
                config.limits.timeout = Duration::from_secs(60);
            })
            .await;
            let looping = host.plan("endless_loop");
            let good = async {
                for _ in 0..20 {
                    host.plan("versioned").await.unwrap();
                }
                Instant::now()
            };
            let looping = async { (looping.await, Instant::now()) };
            let ((looped, ended), answered) = tokio::join!(looping, good);
            assert_eq!(&*looped.unwrap_err().code, "plugin.cpu-time");
            answered < ended
        })
    });
    assert!(served.join().unwrap(), "twenty good calls were not served before the loop was ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bytes_is_refused_and_counts_as_the_plugins_fault() {
    let host = host(|config| config.limits.host_bytes = 100_000).await;
    let failure = host.plan("host_byte_flood").await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("plugin.host-bytes", FailureKind::Limit));
    let generation = Arc::clone(host.snapshot().strategy("well").unwrap().1);
    for _ in 0..4 {
        host.plan("host_byte_flood").await.unwrap_err();
    }
    assert_eq!(generation.breaker_state(), State::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_lines_is_cut_and_the_answer_stands() {
    let host = host(|config| config.limits.cpu = Duration::from_secs(5)).await;
    assert!(host.plan("log_flood").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_makes_the_host_hold_is_bounded() {
    let host = host(|config| {
        never_open(config);
        config.limits.memory_bytes = 256 << 20;
    })
    .await;
    for strategy in ["giant_output", "giant_string", "giant_failure", "memory_bomb"] {
        host.plan(strategy).await.unwrap_err();
    }
    let before = resident();
    for _ in 0..5 {
        for strategy in ["giant_output", "giant_string", "giant_failure", "memory_bomb"] {
            host.plan(strategy).await.unwrap_err();
        }
    }
    let grown = resident().saturating_sub(before);
    // Other tests of this process run at the same time; the guests above would make it gigabytes.
    assert!(grown < 256 << 20, "resident memory grew by {} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_one_call_for_the_next() {
    let host = host(|_| ()).await;
    for _ in 0..30 {
        let answer = host.plan("dirty").await.unwrap();
        assert_eq!((term(&answer, "touched_before"), term(&answer, "bytes")), (0.0, 8_388_608.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_after_repeated_traps_and_nothing_is_switched() {
    let host = host(|_| ()).await;
    let before = host.snapshot();
    for _ in 0..5 {
        assert_eq!(&*host.plan("trap").await.unwrap_err().code, "plugin.trap");
    }
    let failure = host.plan("well").await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("plugin.breaker-open", FailureKind::CircuitOpen));
    assert!(failure.retry_after.is_some_and(|wait| wait > Duration::from_secs(20)));
    assert!(Arc::ptr_eq(&before, &host.snapshot()), "a breaker must not change the catalogue");
    assert!(host.plan("versioned").await.is_ok(), "another plugin's breaker is its own");
    let info = host.catalogue.list().into_iter().find(|plugin| plugin.id.as_str() == "misbehaving").unwrap();
    let generation = info.generations.first().unwrap();
    assert_eq!((generation.breaker, generation.calls, generation.faults), (Some("open"), 5, 5));
    host.snapshot().strategy("well").unwrap().1.reset_breaker();
    assert!(host.plan("well").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_that_are_not_the_plugins_fault_leave_its_breaker_alone() {
    let host = Host::with(Detectors::Fail, |_| ()).await;
    host.catalogue.deploy(package("misbehaving", "0.1.0", guest("misbehaving"))).await.unwrap();
    let given_in_the_probe = package("crop-people", "0.1.0", shipped("crop-people"));
    host.catalogue.deploy(given_in_the_probe).await.unwrap();
    for _ in 0..10 {
        let refused = host.plan("refuses").await.unwrap_err();
        assert_eq!((refused.kind, &*refused.code), (FailureKind::InvalidRequest, "test.refused"));
        assert_eq!(&*host.plan("fails").await.unwrap_err().code, "test.failed");
        assert_eq!(&*host.plan("center_faces").await.unwrap_err().code, "detector.failed");
        let hurried = CallContext::root(Principal::System, Duration::from_millis(5));
        let (_, generation) = host.snapshot().strategy("slow").map(|(s, g)| (s.clone(), Arc::clone(g))).unwrap();
        let failure = generation.plan(&hurried, &picture(), &[], &request("endless_loop")).await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
    }
    assert!(host.plan("well").await.is_ok());
    let snapshot = host.snapshot();
    assert!(snapshot.generations().all(|generation| generation.breaker_state() == State::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_in_the_host_is_not_the_guests_but_the_wall_timer_ends_it() {
    let host = Host::with(Detectors::Take(Duration::from_millis(300)), |config| config.limits.cpu = Duration::from_millis(30)).await;
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    assert!(host.plan("center_faces").await.is_ok(), "waiting for the detector was charged to the guest");

    let host = Host::with(Detectors::TakeForever, |config| config.limits.timeout = Duration::from_millis(300)).await;
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    let start = Instant::now();
    let failure = host.plan("center_faces").await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_timer_ends_a_guest_that_stays_under_its_processor_limit() {
    let host = Host::with(Detectors::Find(Vec::new()), |config| {
        config.limits.cpu = Duration::from_millis(300);
        config.limits.timeout = Duration::from_millis(300);
        // A tick so long that the processor limit is never reached.
        config.tick = Duration::from_millis(250);
    })
    .await;
    host.catalogue.deploy(package("misbehaving", "0.1.0", guest("misbehaving"))).await.unwrap();
    let failure = host.plan("endless_loop").await.unwrap_err();
    assert!(["plugin.timeout", "plugin.cpu-time"].contains(&&*failure.code), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_tightens_the_limits() {
    let host = Host::start().await;
    let more = "capabilities = [\"imaging\"]\n[limits]\nmemory_mib = 4\ncpu_ms = 20\nhost_calls = 3\n";
    host.catalogue.deploy(package_with("misbehaving", "0.1.0", guest("misbehaving"), more)).await.unwrap();
    assert_eq!(&*host.plan("dirty").await.unwrap_err().code, "plugin.memory");
    let start = Instant::now();
    assert_eq!(&*host.plan("endless_loop").await.unwrap_err().code, "plugin.cpu-time");
    assert!(start.elapsed() < Duration::from_millis(180), "the operator's limit of 200 ms ended it, not the manifest's of 20");
    assert_eq!(&*host.plan("host_call_flood").await.unwrap_err().code, "plugin.host-calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_the_places_wait_and_calls_over_the_queue_are_refused() {
    let host = host(|config| {
        config.pool.max_concurrent = 1;
        config.pool.max_queue = 1;
        config.limits.cpu = Duration::from_secs(2);
        config.limits.timeout = Duration::from_secs(60);
    })
    .await;
    let snapshot = host.snapshot();
    let busy = {
        let snapshot = Arc::clone(&snapshot);
        tokio::spawn(async move { plan(&snapshot, "endless_loop", &[]).await })
    };
    let until = |what: &'static str, condition: Box<dyn Fn() -> bool>| async move {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}");
            tokio::task::yield_now().await;
        }
    };
    let catalogue = Arc::clone(&host.catalogue);
    until("the loop starts", Box::new(move || catalogue.running_calls() == 1)).await;
    // A nested call takes a place or fails at once: its parent may hold the last one.
    let (_, good) = snapshot.strategy("versioned").unwrap();
    let nested = good.plan(&context().nested().unwrap(), &picture(), &[], &request("versioned")).await.unwrap_err();
    assert_eq!(&*nested.code, "plugin.overloaded");
    // One may wait; its deadline ends the wait.
    let waits = CallContext::root(Principal::System, Duration::from_millis(200));
    let start = Instant::now();
    let waited = good.plan(&waits, &picture(), &[], &request("versioned")).await.unwrap_err();
    assert_eq!(&*waited.code, "call.deadline");
    assert!(start.elapsed() >= Duration::from_millis(150));
    // The queue has one place: the first of two takes it, the second is refused at once.
    let hurried = CallContext::root(Principal::System, Duration::from_millis(100));
    let (picture, wanted) = (picture(), request("versioned"));
    let (first, second) = tokio::join!(good.plan(&hurried, &picture, &[], &wanted), good.plan(&hurried, &picture, &[], &wanted));
    assert_eq!(&*first.unwrap_err().code, "call.deadline");
    let second = second.unwrap_err();
    assert_eq!((&*second.code, second.kind), ("plugin.overloaded", FailureKind::Unavailable));
    let queued = {
        let snapshot = Arc::clone(&snapshot);
        tokio::spawn(async move { plan(&snapshot, "versioned", &[]).await })
    };
    assert_eq!(&*busy.await.unwrap().unwrap_err().code, "plugin.cpu-time");
    assert!(queued.await.unwrap().is_ok(), "the waiting call is served once the place is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_do_not_fit_never_reach_the_plugin() {
    let host = host(|_| ()).await;
    let snapshot = host.snapshot();
    let (_, generation) = snapshot.strategy("slow").unwrap();
    let mut wrong = request("slow");
    wrong.parameters = serde_json::json!({ "steps": "many" });
    let failure = generation.plan(&context(), &picture(), &[], &wrong).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "strategy.parameters-invalid"));
    assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/steps");
    let info = host.catalogue.list().into_iter().find(|plugin| plugin.id.as_str() == "misbehaving").unwrap();
    assert_eq!(info.generations.first().unwrap().calls, 0);
    assert_eq!(&*generation.plan(&context(), &picture(), &[], &request("absent")).await.unwrap_err().code, "strategy.not-found");
}
