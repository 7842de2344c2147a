//! What callers see when there are many of them.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Detection, DetectionKind, Failure};
use breakwater_inference::{DeviceKind, Inference, InferenceConfig, ModelStatistics};
use breakwater_vision::Image;
use tokio::task::JoinHandle;

use crate::fake::{FakeEngine, Poison, start};
use crate::pictures::cut;

pub(crate) type Call = JoinHandle<Result<Arc<[Detection]>, Failure>>;

pub(crate) fn config() -> InferenceConfig {
    // An hour: a test that needed it would not end, so every batch below is complete for another reason.
    InferenceConfig { max_delay: Duration::from_secs(3600), ..InferenceConfig::default() }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn cpu(poison: Poison) -> FakeEngine {
    FakeEngine::new(DeviceKind::Cpu, poison)
}

pub(crate) fn call(inference: &Arc<Inference>, image: &Arc<Image>, kind: DetectionKind, deadline: Deadline) -> Call {
    let (inference, image) = (Arc::clone(inference), Arc::clone(image));
    tokio::spawn(async move { inference.detect(&image, kind, deadline).await })
}

pub(crate) fn yunet(inference: &Inference) -> ModelStatistics {
    inference.statistics().models.iter().find(|(name, _)| &**name == "yunet").unwrap().1
}

pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(!deadline.has_passed(), "{what} never came true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets one call run into the closed gate, so that all later ones queue behind it.
async fn block(inference: &Arc<Inference>, engine: &FakeEngine) -> Call {
    engine.close_gate();
    let call = call(inference, &cut(200, 64), DetectionKind::Face, soon());
    until("the first run", || engine.running() == 1).await;
    call
}

#[tokio::test]
async fn concurrent_calls_of_one_shape_share_a_run() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let first = block(&inference, &engine).await;
    let calls: Vec<Call> = (0..6).map(|number| call(&inference, &cut(number, 64), DetectionKind::Face, soon())).collect();
    let other_shape = call(&inference, &cut(9, 128), DetectionKind::Face, soon());
    until("all calls are queued", || yunet(&inference).queue_depth == 7).await;
    engine.open_gate();
    for call in calls.into_iter().chain([first, other_shape]) {
        assert_eq!(call.await.unwrap().unwrap().len(), 0);
    }
    let mut batches = engine.batches();
    assert_eq!(batches.iter().sum::<usize>(), 8);
    batches.sort_unstable();
    assert_eq!(batches, [1, 1, 6]);
}

#[tokio::test]
async fn an_engine_that_gains_nothing_from_batches_gets_one_image_at_a_time() {
    let (inference, engine) = start(cpu(Poison::Error).one_by_one(), config());
    let first = block(&inference, &engine).await;
    let calls: Vec<Call> = (0..3).map(|number| call(&inference, &cut(number, 64), DetectionKind::Face, soon())).collect();
    until("all calls are queued", || yunet(&inference).queue_depth == 3).await;
    engine.open_gate();
    for call in calls.into_iter().chain([first]) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(engine.batches(), [1; 4]);
}

#[tokio::test]
async fn calls_over_the_queue_are_refused_at_once_and_the_others_are_served() {
    let (inference, engine) = start(cpu(Poison::Error), InferenceConfig { queue: 2, ..config() });
    let first = block(&inference, &engine).await;
    let waiting = [call(&inference, &cut(1, 64), DetectionKind::Face, soon()), call(&inference, &cut(2, 64), DetectionKind::Face, soon())];
    until("two calls wait", || yunet(&inference).queue_depth == 2).await;
    let failure = inference.detect(&cut(3, 64), DetectionKind::Face, soon()).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retryable), ("detector.overloaded", true));
    assert_eq!(yunet(&inference).rejected, 1);
    engine.open_gate();
    for call in waiting.into_iter().chain([first]) {
        call.await.unwrap().unwrap();
    }
    inference.detect(&cut(3, 64), DetectionKind::Face, soon()).await.unwrap();
}

#[tokio::test]
async fn a_call_whose_deadline_passes_in_the_queue_never_runs() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let first = block(&inference, &engine).await;
    let hasty = call(&inference, &cut(1, 64), DetectionKind::Face, Deadline::after(Duration::from_millis(30)));
    assert_eq!(hasty.await.unwrap().unwrap_err().code, "call.deadline");
    engine.open_gate();
    first.await.unwrap().unwrap();
    inference.detect(&cut(2, 64), DetectionKind::Face, soon()).await.unwrap();
    assert_eq!(engine.batches(), [1, 1], "the first call and the last");
    assert_eq!(yunet(&inference).queue_depth, 0);
}

#[tokio::test]
async fn an_inference_past_its_own_budget_is_a_timeout_and_does_not_run() {
    // Long enough for a busy machine to get the first call running before it is over.
    let budget = Duration::from_secs(2);
    let (inference, engine) = start(cpu(Poison::Error), InferenceConfig { budget, ..config() });
    engine.close_gate();
    let running = call(&inference, &cut(1, 64), DetectionKind::Face, soon());
    until("the first run", || engine.running() == 1).await;
    let queued = call(&inference, &cut(2, 64), DetectionKind::Face, soon());
    until("the second call waits", || yunet(&inference).queue_depth == 1).await;
    until("both budgets are spent", || running.is_finished() && queued.is_finished()).await;
    engine.open_gate();
    // Both callers would have waited longer.
    for call in [running, queued] {
        assert_eq!(call.await.unwrap().unwrap_err().code, "call.deadline");
    }
    until("the queued call is left out", || yunet(&inference).abandoned == 1).await;
    assert_eq!(engine.batches(), [1]);
}

#[tokio::test]
async fn a_caller_that_goes_takes_its_image_out_of_the_queue() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let first = block(&inference, &engine).await;
    let gone = call(&inference, &cut(1, 64), DetectionKind::Face, soon());
    until("the call waits", || yunet(&inference).queue_depth == 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    engine.open_gate();
    first.await.unwrap().unwrap();
    until("the queue is empty", || yunet(&inference).queue_depth == 0).await;
    assert_eq!(engine.batches(), [1]);
}

#[tokio::test]
async fn a_poisonous_image_fails_alone() {
    for poison in [Poison::Error, Poison::Panic] {
        let (inference, engine) = start(cpu(poison), config());
        let first = block(&inference, &engine).await;
        // 50 pixels are padded with black to 64, which is poison to this engine.
        let poisonous = cut(1, 50);
        let bad = call(&inference, &poisonous, DetectionKind::Face, soon());
        let good = [call(&inference, &cut(2, 64), DetectionKind::Face, soon()), call(&inference, &cut(3, 64), DetectionKind::Face, soon())];
        until("all calls are queued", || yunet(&inference).queue_depth == 3).await;
        engine.open_gate();
        for call in good.into_iter().chain([first]) {
            call.await.unwrap().unwrap();
        }
        let failure = bad.await.unwrap().unwrap_err();
        assert_eq!((&*failure.code, failure.origin.as_deref()), ("detector.failed", Some("detector:yunet")));
        assert_eq!(engine.batches(), [1, 3, 1, 1, 1], "the batch, then each image alone");
        // Failures are not remembered.
        assert_eq!(inference.cached(&poisonous, DetectionKind::Face), None);
        inference.detect(&poisonous, DetectionKind::Face, soon()).await.unwrap_err();
        assert_eq!(engine.batches().len(), 6);
        assert_eq!(yunet(&inference).failures, 2);
    }
}

#[tokio::test]
async fn calls_for_one_image_share_one_inference() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let image = cut(1, 64);
    engine.close_gate();
    let calls: Vec<Call> = (0..5).map(|_| call(&inference, &image, DetectionKind::Face, soon())).collect();
    until("the run", || engine.running() == 1).await;
    let hasty = inference.detect(&image, DetectionKind::Face, Deadline::after(Duration::from_millis(1))).await;
    assert_eq!(hasty.unwrap_err().code, "call.deadline", "each caller keeps its own deadline");
    engine.open_gate();
    let mut found = Vec::new();
    for call in calls {
        found.push(call.await.unwrap().unwrap());
    }
    assert!(found.iter().all(|one| Arc::ptr_eq(one, &found[0])));
    let statistics = yunet(&inference);
    assert_eq!((engine.batches(), statistics.cache_misses, statistics.joined), (vec![1], 1, 5));
}

#[tokio::test]
async fn what_was_found_is_remembered_for_every_kind_of_the_model() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let image = cut(1, 64);
    assert_eq!(inference.cached(&image, DetectionKind::Person), None);
    inference.detect(&image, DetectionKind::Person, soon()).await.unwrap();
    inference.detect(&image, DetectionKind::Object, soon()).await.unwrap();
    inference.detect(&image, DetectionKind::Person, soon()).await.unwrap();
    assert!(inference.cached(&image, DetectionKind::Object).is_some());
    assert_eq!(inference.cached(&image, DetectionKind::Face), None);
    assert_eq!(engine.batches(), [1]);
    let statistics = inference.statistics();
    let nanodet = statistics.models.iter().find(|(name, _)| &**name == "nanodet").unwrap().1;
    assert_eq!((nanodet.cache_hits, nanodet.cache_misses, statistics.cache_entries), (2, 1, 1));
}

#[tokio::test]
async fn memory_of_detections_is_bounded() {
    let (inference, _) = start(cpu(Poison::Error), InferenceConfig { detection_cache_bytes: 1024, ..config() });
    for number in 0..20 {
        inference.detect(&cut(number, 32), DetectionKind::Face, soon()).await.unwrap();
    }
    let statistics = inference.statistics();
    assert!(statistics.cache_bytes <= 1024 && statistics.cache_entries < 20, "{statistics:?}");
}

#[tokio::test]
async fn shutdown_refuses_new_calls_and_finishes_those_under_way() {
    let (inference, engine) = start(cpu(Poison::Error), config());
    let first = block(&inference, &engine).await;
    let waiting = call(&inference, &cut(1, 64), DetectionKind::Face, soon());
    until("the call waits", || yunet(&inference).queue_depth == 1).await;
    let shutdown = tokio::spawn({
        let inference = Arc::clone(&inference);
        async move { inference.shutdown().await }
    });
    // The shutdown has begun once nothing else can run on this single-threaded runtime but the calls that wait for the gate.
    tokio::task::yield_now().await;
    let failure = inference.detect(&cut(2, 64), DetectionKind::Face, soon()).await.unwrap_err();
    assert_eq!(failure.code, "detector.unavailable");
    assert!(!shutdown.is_finished(), "a call is still under way");
    engine.open_gate();
    first.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    soon().bound("shutdown", shutdown).await.unwrap().unwrap();
    let failure = inference.detect(&cut(3, 64), DetectionKind::Face, soon()).await.unwrap_err();
    assert_eq!(failure.code, "detector.unavailable");
    assert_eq!(inference.self_test().await.unwrap_err().code, "detector.unavailable");
}
