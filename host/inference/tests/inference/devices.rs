//! Devices that fail, and inputs that should not make any fail.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, DetectionKind, Size};
use breakwater_inference::engine::convnet::ConvnetEngine;
use breakwater_inference::{DeviceKind, DevicePreference, Engines, Inference, InferenceConfig, Isa};

use crate::fake::{FakeEngine, Poison, pool};
use crate::pictures::{cut_to, shipped};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

#[tokio::test]
async fn a_device_lost_at_run_time_moves_the_service_to_the_cpu_and_the_call_is_answered() {
    for poison in [Poison::Error, Poison::Panic] {
        let broken = FakeEngine::broken(DeviceKind::Gpu, poison);
        let processor = ConvnetEngine::new(Isa::best(), None, 2);
        let engines = Engines { preferred: Arc::new(broken), fallback: Some(Arc::new(processor)), reason: "the best GPU found".into() };
        let inference = Inference::start_on(InferenceConfig::default(), pool(2), engines).unwrap();
        let before = inference.device();
        assert_eq!((before.kind, before.name.as_str(), before.reason.as_str()), (DeviceKind::Gpu, "fake", "the best GPU found"));

        let faces = inference.detect(&shipped("astronaut"), DetectionKind::Face, soon()).await.unwrap();
        assert_eq!(faces.len(), 1);
        let after = inference.device();
        assert_eq!(after.kind, DeviceKind::Cpu);
        assert!(after.reason.contains("fake was lost at run time") && after.reason.contains("poisoned"), "{}", after.reason);
        let statistics = inference.statistics();
        assert_eq!((statistics.devices_lost, statistics.models[0].1.failures), (1, 0));
        // The other model follows without another loss.
        assert_eq!(inference.detect(&shipped("camera"), DetectionKind::Person, soon()).await.unwrap().len(), 1);
        assert_eq!(inference.statistics().devices_lost, 1);
    }
}

#[tokio::test]
async fn the_smallest_and_the_thinnest_images_are_answered_and_the_worker_lives_on() {
    let config = InferenceConfig { device: DevicePreference::Cpu, ..InferenceConfig::default() };
    let inference = Inference::start(config, pool(2)).unwrap();
    for area in [Size::new(1, 1), Size::new(1, 300), Size::new(500, 1), Size::new(2, 33)] {
        let image = cut_to(0, area);
        for kind in DetectionKind::ALL {
            let found = inference.detect(&image, kind, soon()).await.unwrap();
            assert!(found.iter().all(|one| one.bounds.is_valid() && one.bounds.right() <= area.width as f32), "{area}: {found:?}");
        }
    }
    inference.self_test().await.unwrap();
    assert_eq!(inference.device().reason, "the configuration asks for the CPU");
}

#[tokio::test]
async fn the_self_test_fails_on_an_engine_that_computes_nonsense() {
    let nonsense = FakeEngine::new(DeviceKind::Cpu, Poison::Error);
    let engines = Engines { preferred: Arc::new(nonsense), fallback: None, reason: "a test".into() };
    let inference = Inference::start_on(InferenceConfig::default(), pool(2), engines).unwrap();
    let failure = inference.self_test().await.unwrap_err();
    assert!(failure.message.contains("does not find a known face"), "{failure}");
}
