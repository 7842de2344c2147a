//! Inputs that a model fails on, among others; and who goes first.

use std::sync::Arc;

use breakwater_core::Failure;
use breakwater_inference::{DeviceKind, Embedding, Inference, InferenceConfig, ModelStatistics, Priority};
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::calls::{config, soon, until};
use crate::fake::{FakeEngine, Poison, start};
use crate::pictures::cut;

type Call = JoinHandle<Result<Arc<Embedding>, Failure>>;

/// One grey pixel. EfficientNet-Lite0 takes this grey for 0, which is poison to the engine of these tests.
const POISON: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\
\x90\x77\x53\xde\x00\x00\x00\x0c\x49\x44\x41\x54\x78\x9c\x63\xa8\xaf\xaf\x07\x00\x02\xfe\x01\x7e\xba\x25\x70\x25\x00\x00\x00\x00\x49\x45\x4e\
\x44\xae\x42\x60\x82";

fn poison() -> Arc<Image> {
    Arc::new(Image::decode(Bytes::from_static(POISON), Detail::Full, &Limits::default()).unwrap())
}

fn statistics(inference: &Inference) -> ModelStatistics {
    inference.statistics().models.iter().find(|(name, _)| &**name == "efficientnet-lite0").unwrap().1
}

fn call(inference: &Arc<Inference>, image: Arc<Image>, priority: Priority) -> Call {
    let inference = Arc::clone(inference);
    tokio::spawn(async move { inference.embed_image(None, &image, priority, soon()).await })
}

#[tokio::test]
async fn a_poisonous_image_fails_alone_and_is_not_tried_again() {
    for how in [Poison::Error, Poison::Panic, Poison::Nan] {
        let (inference, engine) = start(FakeEngine::new(DeviceKind::Cpu, how), config());
        engine.close_gate();
        let first = call(&inference, cut(200, 64), Priority::Interactive);
        until("the first run", || engine.running() == 1).await;
        let bad = call(&inference, poison(), Priority::Interactive);
        let good = [1, 2].map(|number| call(&inference, cut(number, 64), Priority::Interactive));
        until("all calls are queued", || statistics(&inference).queue_depth == 3).await;
        engine.open_gate();
        for call in good.into_iter().chain([first]) {
            call.await.unwrap().unwrap();
        }
        assert_eq!(bad.await.unwrap().unwrap_err().code, "embedder.failed", "{how:?}");
        let runs = statistics(&inference).runs;
        let again = inference.embed_image(None, &poison(), Priority::Bulk, soon()).await.unwrap_err();
        assert_eq!((&*again.code, again.origin.as_deref()), ("embedder.quarantined", Some("embedder:efficientnet-lite0")));
        let counted = statistics(&inference);
        assert_eq!((counted.runs, counted.quarantined, counted.quarantine_hits), (runs, 1, 1), "{how:?}");
        assert_eq!(inference.statistics().in_quarantine, 1);
        inference.embed_image(None, &cut(3, 64), Priority::Bulk, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn an_image_leaves_quarantine_after_its_time() {
    let quarantine = std::time::Duration::from_millis(1);
    let (inference, _) = start(FakeEngine::new(DeviceKind::Cpu, Poison::Error), InferenceConfig { quarantine, ..config() });
    assert_eq!(inference.embed_image(None, &poison(), Priority::Bulk, soon()).await.unwrap_err().code, "embedder.failed");
    until("it is let out", || inference.statistics().in_quarantine == 0).await;
    assert_eq!(inference.embed_image(None, &poison(), Priority::Bulk, soon()).await.unwrap_err().code, "embedder.failed");
    assert_eq!(statistics(&inference).quarantined, 2);
}

#[tokio::test]
async fn a_device_that_fails_on_everything_puts_nothing_into_quarantine() {
    let (inference, _) = start(FakeEngine::broken(DeviceKind::Cpu, Poison::Panic), config());
    for _ in 0..2 {
        assert_eq!(inference.embed_image(None, &cut(1, 64), Priority::Bulk, soon()).await.unwrap_err().code, "embedder.failed");
    }
    assert_eq!((statistics(&inference).quarantined, inference.statistics().in_quarantine), (0, 0));
}

#[tokio::test]
async fn bulk_leaves_places_to_those_who_wait() {
    let (inference, engine) = start(FakeEngine::new(DeviceKind::Cpu, Poison::Error).one_by_one(), InferenceConfig { queue: 4, ..config() });
    engine.close_gate();
    let mut calls = vec![call(&inference, cut(200, 64), Priority::Bulk)];
    until("the first run", || engine.running() == 1).await;
    for number in 0..3 {
        calls.push(call(&inference, cut(number, 64), Priority::Bulk));
    }
    until("three wait", || statistics(&inference).queue_depth == 3).await;
    let refused = inference.embed_image(None, &cut(4, 64), Priority::Bulk, soon()).await.unwrap_err();
    assert_eq!((&*refused.code, refused.retryable), ("embedder.overloaded", true));
    calls.push(call(&inference, cut(5, 64), Priority::Interactive));
    until("someone waits beside them", || statistics(&inference).queue_depth == 4).await;
    engine.open_gate();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((statistics(&inference).rejected, statistics(&inference).batch_sizes[0]), (1, 5));
}

#[tokio::test]
async fn a_call_that_waits_longer_than_any_may_is_told_to_come_back() {
    let max_wait = std::time::Duration::from_millis(20);
    let (inference, engine) = start(FakeEngine::new(DeviceKind::Cpu, Poison::Error), InferenceConfig { max_wait, ..config() });
    engine.close_gate();
    let running = call(&inference, cut(1, 64), Priority::Interactive);
    until("the first run", || engine.running() == 1).await;
    let queued = call(&inference, cut(2, 64), Priority::Interactive);
    until("the second waits", || statistics(&inference).queue_depth == 1).await;
    let since = std::time::Instant::now();
    until("its time is over", || since.elapsed() > 2 * max_wait).await;
    engine.open_gate();
    running.await.unwrap().unwrap();
    assert_eq!(queued.await.unwrap().unwrap_err().code, "embedder.overloaded");
    assert_eq!(engine.batches(), [1]);
}
