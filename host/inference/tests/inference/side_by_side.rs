//! Images that are computed side by side on the processor.

use std::sync::Arc;

use breakwater_core::DetectionKind;
use breakwater_inference::engine::Engine;
use breakwater_inference::{DeviceKind, Engines, Inference};

use crate::calls::{Call, call, config, soon, until, yunet};
use crate::fake::{FakeEngine, Poison, pool};
use crate::pictures::cut;

#[tokio::test]
async fn as_many_images_run_at_once_as_the_engine_wants_and_no_more() {
    for concurrency in [1, 2] {
        let engine = FakeEngine::new(DeviceKind::Cpu, Poison::Error).side_by_side(concurrency);
        let engines = |engine: &Arc<FakeEngine>| Engines { preferred: engine.clone(), fallback: None, reason: "a test".into() };
        let engine = Arc::new(engine);
        let inference = Inference::start_on(config(), pool(3), engines(&engine)).unwrap();
        engine.close_gate();
        let calls: Vec<Call> = (0..4).map(|number| call(&inference, &cut(number, 64), DetectionKind::Face, soon())).collect();
        until("the runs", || engine.running() == concurrency).await;
        until("the others wait", || yunet(&inference).queue_depth == 4 - concurrency as u64).await;
        assert_eq!(engine.running(), concurrency);
        engine.open_gate();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!((engine.most(), engine.batches(), yunet(&inference).images), (concurrency, vec![1; 4], 4));
        soon().bound("shutdown", inference.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn images_of_every_model_together_never_hold_more_than_the_permits_of_the_pool() {
    const THREADS: usize = 2;
    let engine = Arc::new(FakeEngine::new(DeviceKind::Cpu, Poison::Error).side_by_side(8));
    let engines = Engines { preferred: engine.clone(), fallback: None, reason: "a test".into() };
    let cpu = pool(THREADS);
    let inference = Inference::start_on(config(), cpu.clone(), engines).unwrap();
    engine.close_gate();
    let both = |number| [DetectionKind::Face, DetectionKind::Person].map(|kind| call(&inference, &cut(number, 64), kind, soon()));
    let calls: Vec<Call> = (0..6).flat_map(both).collect();
    until("every permit is held by a run", || engine.running() == THREADS).await;
    until("the rest waits for permits", || cpu.statistics().queued == 12 - THREADS).await;
    let statistics = cpu.statistics();
    assert_eq!((statistics.threads, statistics.running, engine.running()), (THREADS, THREADS, THREADS));
    engine.open_gate();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((engine.most(), engine.batches().len()), (THREADS, 12));
    until("every permit is back", || cpu.statistics().running == 0).await;
}

#[tokio::test]
async fn a_processor_that_takes_over_works_side_by_side() {
    let broken: Arc<dyn Engine> = Arc::new(FakeEngine::broken(DeviceKind::Gpu, Poison::Error));
    let processor = Arc::new(FakeEngine::new(DeviceKind::Cpu, Poison::Error).side_by_side(2));
    let engines = Engines { preferred: broken, fallback: Some(processor.clone()), reason: "a test".into() };
    let inference = Inference::start_on(config(), pool(3), engines).unwrap();
    processor.close_gate();
    let first = call(&inference, &cut(1, 64), DetectionKind::Face, soon());
    until("the move", || processor.running() == 1).await;
    let others = [2, 3].map(|number| call(&inference, &cut(number, 64), DetectionKind::Face, soon()));
    until("two runs at once", || processor.running() == 2).await;
    processor.open_gate();
    for call in others.into_iter().chain([first]) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((processor.most(), inference.statistics().devices_lost), (2, 1));
}
