//! Whole calls over real pictures, a real catalogue without plugins, and detectors that do as they are told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Bounds, CallContext, Deadline, Detection, DetectionKind, Failure, FailureKind, Principal, ServedBy, Size};
use breakwater_inference::{DeviceKind, DeviceReport};
use breakwater_operations::{
    CpuPermits, CropInput, DetectInput, Detectors, ImageSource, MediaRoot, Operations, OperationsConfig, Readiness, ReadinessConfig,
    WantedSize, readiness,
};
use breakwater_plugins::{Catalogue, Compiler, Detect, MemoryRecords, Ports, RuntimeConfig};
use breakwater_telemetry::Metrics;
use breakwater_vision::{Image, Limits};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

/// How a kind of detection behaves.
#[derive(Debug, Clone)]
enum Behaviour {
    Finds(f32),
    Fails,
    Hangs,
    /// Answers when as many searches run at once as the barrier wants.
    Meets(Arc<Barrier>),
}

#[derive(Debug)]
struct Told {
    faces: Behaviour,
    people: Behaviour,
}

impl Detect for Told {
    fn detect<'a>(&'a self, _: &'a Arc<Image>, kind: DetectionKind, _: Deadline) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>> {
        let behaviour = if kind == DetectionKind::Face { &self.faces } else { &self.people };
        let found = move |confidence| {
            let bounds = Bounds { x: 10.0, y: 10.0, width: 20.0, height: 30.0 };
            let detection = Detection { kind, label: kind.to_string(), confidence, bounds, landmarks: Vec::new() };
            Ok(Arc::from([detection]))
        };
        Box::pin(async move {
            match behaviour {
                Behaviour::Finds(confidence) => found(*confidence),
                Behaviour::Fails => Err(Failure::new(FailureKind::Unavailable, "detector.unavailable", "it is down")),
                Behaviour::Hangs => std::future::pending().await,
                Behaviour::Meets(barrier) => {
                    barrier.wait().await;
                    found(0.9)
                }
            }
        })
    }
}

impl Detectors for Told {
    fn model(&self, kind: DetectionKind) -> String {
        format!("told-{kind}")
    }

    fn has_cached(&self, _: &Image, _: DetectionKind) -> bool {
        false
    }

    fn device(&self) -> DeviceReport {
        DeviceReport { kind: DeviceKind::Cpu, name: "told".into(), reason: "a test".into() }
    }

    fn self_test(&self) -> BoxFuture<'_, Result<Duration, Failure>> {
        Box::pin(async { Ok(Duration::from_millis(1)) })
    }
}

/// Operations with a media root that holds `coffee.png`, 600x400.
struct Stage {
    operations: Arc<Operations>,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new(faces: Behaviour, people: Behaviour) -> Self {
        Self::with(faces, people, 16, true).await
    }

    async fn with(faces: Behaviour, people: Behaviour, queue: usize, media: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("media");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("coffee.png"), coffee()).unwrap();
        let cpu = CpuPermits::start("cpu", 2, queue).unwrap();
        let detectors = Arc::new(Told { faces, people });
        let runtime = RuntimeConfig::new(folder.path().join("compiled"), Compiler::InProcess);
        let records = Arc::new(MemoryRecords::default());
        let catalogue = Catalogue::open(runtime, records, Ports::offline(detectors.clone(), cpu.clone())).await.unwrap();
        let media = media.then(|| MediaRoot::open(&root, "output", Limits::default().max_bytes).unwrap());
        let config = OperationsConfig { limits: Limits::default(), media };
        let metrics = Metrics::new("0");
        let operations = Operations::with_detectors(config, detectors, catalogue, cpu, metrics.clone());
        Self { operations, metrics, folder }
    }

    fn context(&self) -> CallContext {
        CallContext::root(Principal::Anonymous, Duration::from_secs(20))
    }
}

fn coffee() -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images/coffee.png");
    std::fs::read(path).unwrap().into()
}

fn detect(kinds: &[DetectionKind]) -> DetectInput {
    DetectInput { image: ImageSource::Path("/coffee.png".into()), kinds: kinds.to_vec(), threshold: None }
}

fn crop() -> CropInput {
    CropInput {
        image: ImageSource::Bytes(coffee()),
        ratio: Some("1:1".parse().unwrap()),
        strategy: None,
        parameters: None,
        detections: Vec::new(),
        size: WantedSize::default(),
        format: None,
        quality: None,
        keep_metadata: false,
        store: false,
    }
}

#[tokio::test]
async fn detection_answers_in_pixels_of_the_original_with_its_models_and_counts_itself() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Finds(0.4)).await;
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert_eq!(outcome.value.size, Size::new(600, 400));
    assert_eq!(outcome.value.kinds, [DetectionKind::Face, DetectionKind::Person]);
    assert_eq!(outcome.value.detections.len(), 1, "0.4 is below the default threshold");
    assert_eq!(outcome.served_by, ServedBy::Model { name: "told-face+told-person".into(), device: "told".into() });
    assert!(outcome.value.timings.total >= outcome.value.timings.decode + outcome.value.timings.detect);
    assert!(stage.metrics.encode().contains("operation=\"detect-objects\",outcome=\"ok\""), "{}", stage.metrics.encode());
}

#[tokio::test]
async fn several_kinds_are_searched_for_at_the_same_time() {
    let barrier = Arc::new(Barrier::new(2));
    let stage = Stage::new(Behaviour::Meets(barrier.clone()), Behaviour::Meets(barrier)).await;
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert_eq!(outcome.value.detections.len(), 2);
}

#[tokio::test]
async fn a_kind_that_fails_degrades_the_answer_and_all_of_them_fail_it() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Fails).await;
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert!(outcome.is_degraded());
    assert_eq!((outcome.value.kinds, outcome.reasons[0].code.as_str()), (vec![DetectionKind::Face], "detector.unavailable"));
    let failure = stage.operations.detect(&stage.context(), detect(&[DetectionKind::Person])).await.unwrap_err();
    assert_eq!(failure.code, "detector.unavailable");
}

#[tokio::test]
async fn a_detector_that_hangs_costs_no_more_than_the_deadline() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Hangs).await;
    let context = CallContext::root(Principal::Anonymous, Duration::from_millis(500));
    let outcome = stage.operations.detect(&context, detect(&[])).await.unwrap();
    assert_eq!(outcome.reasons[0].code, "call.deadline");
}

#[tokio::test]
async fn what_cannot_be_cut_is_refused_by_name() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Finds(0.9)).await;
    let too_wide = WantedSize { width: Some(40_000), height: None };
    for (input, code) in [
        (crop(), "strategy.unknown"),
        (CropInput { ratio: None, ..crop() }, "crop.ratio-missing"),
        (CropInput { quality: Some(0), ..crop() }, "crop.quality-invalid"),
        (CropInput { size: too_wide, ..crop() }, "crop.output-too-large"),
        (CropInput { parameters: Some(serde_json::json!([])), ..crop() }, "strategy.parameters-invalid"),
    ] {
        assert_eq!(stage.operations.crop(&stage.context(), input).await.unwrap_err().code, code);
    }
    assert!(stage.operations.strategies().is_empty());
}

#[tokio::test]
async fn without_a_media_root_nothing_is_read_or_written_by_path() {
    let stage = Stage::with(Behaviour::Finds(0.9), Behaviour::Finds(0.9), 16, false).await;
    let failure = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Denied, "media.not-configured"));
    let failure = stage.operations.crop(&stage.context(), CropInput { store: true, ..crop() }).await.unwrap_err();
    assert_eq!(failure.code, "media.not-configured");
}

#[tokio::test]
async fn a_full_cpu_pool_refuses_with_a_wait() {
    let stage = Stage::with(Behaviour::Finds(0.9), Behaviour::Finds(0.9), 0, true).await;
    let failure = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retry_after), ("cpu.overloaded", Some(Duration::from_secs(1))));
}

#[tokio::test]
async fn a_picture_that_is_none_is_refused_and_one_that_is_gone_is_not_found() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Finds(0.9)).await;
    for (image, code) in [
        (ImageSource::Bytes(Bytes::new()), "image.unsupported"),
        (ImageSource::Bytes(Bytes::from_static(b"<svg/>")), "image.unsupported"),
        (ImageSource::Bytes(coffee().slice(..1000)), "image.corrupt"),
        (ImageSource::Path("tea.png".into()), "media.not-found"),
    ] {
        let input = DetectInput { image, kinds: Vec::new(), threshold: None };
        assert_eq!(stage.operations.detect(&stage.context(), input).await.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn the_check_of_readiness_names_what_does_not_work() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Finds(0.9)).await;
    let report = readiness::check(&stage.operations, Duration::from_secs(20)).await;
    let codes: Vec<_> =
        report.results.iter().map(|result| (result.name, result.failure.as_ref().map(|failure| failure.code.to_string()))).collect();
    assert_eq!(codes, [("decode", None), ("inference", None), ("plugins", Some("plugin.none-active".to_owned()))]);

    let (draining, stop) = (CancellationToken::new(), CancellationToken::new());
    let checked = Readiness::new(ReadinessConfig::default(), draining);
    let watching = tokio::spawn(checked.clone().watch(stage.operations.clone(), stop.clone()));
    while checked.last().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(checked.state().is_err());
    stop.cancel();
    watching.await.unwrap();
    assert!(stage.folder.path().exists());
}
