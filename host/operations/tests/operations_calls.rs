//! Whole calls over real pictures, a real catalogue without plugins, and detectors that do as they are told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "calls/archives.rs"]
mod archives;
#[path = "calls/imports.rs"]
mod imports;
#[path = "calls/search.rs"]
mod search;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breakwater_cache::{Cache, CacheConfig};
use breakwater_core::{
    Bounds, CallContext, Caller, Deadline, Detection, DetectionKind, Digest, Failure, FailureKind, Invoker, Payload, Principal, ServedBy,
    Size,
};
use breakwater_flags::{Flag, Flags, MemoryFlagRecords};
use breakwater_inference::{DeviceKind, DeviceReport, EmbedderInfo, Embedding, Priority};
use breakwater_operations::search::SearchConfig;
use breakwater_operations::{
    Caching, ChainConfig, Chains, CropInput, DetectInput, Detectors, Embedder, ImageSource, MediaRoot, Operations, OperationsConfig, Parts,
    Readiness, ReadinessConfig, SchemaCompiler, WantedSize, readiness,
};
use breakwater_plugins::{Catalogue, Compiler, Detect, MemoryRecords, Ports, RuntimeConfig};
use breakwater_resilience::CpuPermits;
use breakwater_search::ProductCatalogue;
use breakwater_sidecar::{NoSidecarObserver, ReaperCommand, Sidecars};
use breakwater_telemetry::{Metrics, Tracer};
use breakwater_upstream::{MemoryServiceCatalogueRecords, NoUpstreamObserver, ServiceCatalogue, Upstreams, UpstreamsConfig};
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

/// Features of its own for every shape of picture, and for every length of text by `told-texts`; fails when faces fail.
impl Embedder for Told {
    fn models(&self) -> Vec<EmbedderInfo> {
        ["told", "told-texts"].map(told_model).to_vec()
    }

    fn default_model(&self) -> Arc<str> {
        "told".into()
    }

    fn embed_image<'a>(
        &'a self,
        model: Option<&'a str>,
        image: &'a Arc<Image>,
        _: Priority,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>> {
        let fails = matches!(self.faces, Behaviour::Fails);
        Box::pin(async move {
            if fails {
                return Err(Failure::new(FailureKind::Unavailable, "embedder.unavailable", "it is down"));
            }
            let Size { width, height } = image.raster().size();
            embedding(model, &[width as f32, height as f32])
        })
    }

    fn embed_text<'a>(
        &'a self,
        model: Option<&'a str>,
        text: &'a str,
        _: Priority,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>> {
        Box::pin(async move {
            if model == Some("told") {
                return Err(Failure::invalid("embedder.no-text", "it takes no texts"));
            }
            embedding(model, &[text.len() as f32, 100.0])
        })
    }

    fn tokens<'a>(&'a self, _: Option<&'a str>, text: &'a str, _: Deadline) -> BoxFuture<'a, Result<u32, Failure>> {
        Box::pin(async move { Ok(text.split_whitespace().count() as u32) })
    }

    fn has_cached(&self, _: Option<&str>, _: &Image) -> bool {
        false
    }

    fn raster(&self, _: Option<&str>, image: Size) -> Size {
        image
    }
}

fn told_model(id: &str) -> EmbedderInfo {
    EmbedderInfo {
        id: id.into(),
        dimension: 2,
        revision: Digest::of(id.as_bytes()),
        images: true,
        texts: id == "told-texts",
        max_tokens: None,
        input: String::new(),
        licence: None,
        parameters: 0,
        device: "told".into(),
    }
}

fn embedding(model: Option<&str>, features: &[f32]) -> Result<Arc<Embedding>, Failure> {
    let model = model.unwrap_or("told");
    if !["told", "told-texts"].contains(&model) {
        return Err(Failure::new(FailureKind::NotFound, "embedder.unknown-model", "there is no such model"));
    }
    Ok(Arc::new(Embedding::new(model, Digest::of(model.as_bytes()), features).unwrap()))
}

/// Operations with a media root that holds `coffee.png`, 600x400.
struct Stage {
    operations: Arc<Operations>,
    metrics: Arc<Metrics>,
    cpu: Arc<CpuPermits>,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new(faces: Behaviour, people: Behaviour) -> Self {
        Self::with(faces, people, 16, true).await
    }

    async fn with(faces: Behaviour, people: Behaviour, queue: usize, media: bool) -> Self {
        Self::chained(faces, people, queue, media, Chains::new()).await
    }

    async fn chained(faces: Behaviour, people: Behaviour, queue: usize, media: bool, chains: Chains) -> Self {
        let products = search::catalogue(Arc::default(), Arc::default()).await;
        Self::selling(faces, people, queue, media, chains, (products, SearchConfig::default())).await
    }

    async fn selling(
        faces: Behaviour,
        people: Behaviour,
        queue: usize,
        media: bool,
        chains: Chains,
        (products, search): (Arc<ProductCatalogue>, SearchConfig),
    ) -> Self {
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
        let config = OperationsConfig { limits: Limits::default(), media, search, image_hosts: Vec::new() };
        let metrics = Metrics::new("0");
        let (records, observer) = (Arc::new(breakwater_upstream::MemoryRecords::default()), Arc::new(NoUpstreamObserver));
        let upstreams = Upstreams::start(UpstreamsConfig::default(), records, observer, CancellationToken::new()).await.unwrap();
        let reaper = ReaperCommand { program: "/proc/self/exe".into(), reap: Vec::new(), exec: Vec::new() };
        let stop = CancellationToken::new();
        let sidecars = Sidecars::start(BTreeMap::new(), upstreams.clone(), Arc::new(NoSidecarObserver), reaper, stop).await.unwrap();
        let parts = Parts {
            sidecars,
            embedder: detectors.clone(),
            detectors,
            catalogue,
            cpu: cpu.clone(),
            services: services(&upstreams).await,
            upstreams,
            cache: Cache::start(CacheConfig::default()).await.unwrap(),
            flags: Flags::open(Arc::new(MemoryFlagRecords::default()), BTreeMap::new()).await.unwrap(),
            products,
            metrics: metrics.clone(),
            tracer: Tracer::disabled(),
        };
        let operations = Operations::new(config, chains, parts);
        Self { operations, metrics, cpu, folder }
    }

    fn context(&self) -> CallContext {
        CallContext::root(Principal::Anonymous, Duration::from_secs(20))
    }
}

/// Services in memory, whose endpoints are upstreams.
async fn services(upstreams: &Arc<Upstreams>) -> Arc<ServiceCatalogue> {
    let services = ServiceCatalogue::open(Arc::new(MemoryServiceCatalogueRecords::default()), Arc::new(SchemaCompiler)).await.unwrap();
    upstreams.follow_services(&services);
    services
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
async fn features_are_an_operation_like_any_other() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Fails).await;
    let input = Payload::json(serde_json::json!({ "image_path": "/coffee.png" }));
    let outcome = stage.operations.invoke(&stage.context(), "extract-features", input.clone()).await.unwrap();
    assert_eq!(outcome.served_by, ServedBy::Model { name: "told".into(), device: "told".into() });
    // 600 by 400 pixels.
    let [across, down] = [600.0f64, 400.0].map(|edge| edge / (600f64.powi(2) + 400f64.powi(2)).sqrt());
    let found = &outcome.value.json["embedding"];
    assert!((found[0].as_f64().unwrap() - across).abs() < 1e-6 && (found[1].as_f64().unwrap() - down).abs() < 1e-6, "{found}");
    assert!(stage.metrics.encode().contains("operation=\"extract-features\",outcome=\"ok\""), "{}", stage.metrics.encode());

    let stage = Stage::new(Behaviour::Fails, Behaviour::Fails).await;
    let failure = stage.operations.invoke(&stage.context(), "extract-features", input).await.unwrap_err();
    assert_eq!(failure.code, "embedder.unavailable");
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
    let busy = [(); 2].map(|()| stage.cpu.permit(Deadline::after(Duration::from_secs(20))).unwrap());
    let failure = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap_err();
    assert_eq!((&*failure.code, failure.retry_after), ("cpu.overloaded", Some(Duration::from_secs(1))));
    drop(busy);
    stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
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

fn chain(config: ChainConfig) -> Chains {
    [("detect-objects".to_owned(), config)].into()
}

fn empty_answer() -> serde_json::Value {
    serde_json::json!({ "detections": [], "image": { "width": 1, "height": 1 } })
}

fn by_name() -> Payload {
    Payload::json(serde_json::json!({ "image_path": "/coffee.png", "detection_types": ["face"] }))
}

#[tokio::test]
async fn a_call_by_name_is_the_same_operation_and_checks_its_input() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Fails).await;
    let outcome = stage.operations.invoke(&stage.context(), "detect-objects", by_name()).await.unwrap();
    assert_eq!(outcome.value.json["detections"][0]["confidence"], 0.9, "the digits are those of the detector");
    assert_eq!(outcome.served_by, ServedBy::Model { name: "told-face".into(), device: "told".into() });
    let wrong = Payload::json(serde_json::json!({ "image_path": 3 }));
    let failure = stage.operations.invoke(&stage.context(), "detect-objects", wrong).await.unwrap_err();
    assert_eq!((&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]), ("operation.input-invalid", &"/image_path".into()));
    let failure = stage.operations.invoke(&stage.context(), "detect", by_name()).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "operation.unknown"));
}

#[tokio::test]
async fn the_configured_answer_comes_when_the_host_fails_and_not_for_a_wrong_picture() {
    let config = ChainConfig { static_answer: Some(empty_answer()), ..ChainConfig::default() };
    let stage = Stage::chained(Behaviour::Fails, Behaviour::Fails, 16, true, chain(config)).await;
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert_eq!((outcome.value.size, outcome.level.as_deref(), outcome.is_degraded()), (Size::new(1, 1), Some("static"), true));
    assert_eq!(outcome.reasons[0].code, "detector.unavailable");
    let missing = DetectInput { image: ImageSource::Path("tea.png".into()), kinds: Vec::new(), threshold: None };
    assert_eq!(stage.operations.detect(&stage.context(), missing).await.unwrap_err().code, "media.not-found");
}

#[tokio::test]
async fn a_flag_that_is_off_switches_to_the_fallbacks_and_one_that_is_not_there_changes_nothing() {
    let config = ChainConfig { static_answer: Some(empty_answer()), flag: Some("new-eyes".into()), ..ChainConfig::default() };
    let stage = Stage::chained(Behaviour::Finds(0.9), Behaviour::Finds(0.9), 16, true, chain(config)).await;
    assert!(!stage.operations.detect(&stage.context(), detect(&[])).await.unwrap().is_degraded());
    stage.operations.flags().put("new-eyes", Flag::off(), None).await.unwrap();
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert_eq!((outcome.level.as_deref(), outcome.reasons[0].code.as_str()), (Some("static"), "operation.disabled"));
    assert!(stage.metrics.encode().contains("breakwater_operation_disabled"), "{}", stage.metrics.encode());
}

#[tokio::test]
async fn an_answer_is_kept_per_caller_and_a_degraded_one_is_not_kept() {
    let caching = Caching { ttl: Some(Duration::from_secs(3600)), ..Caching::default() };
    let config = ChainConfig { caching, ..ChainConfig::default() };
    let stage = Stage::chained(Behaviour::Finds(0.9), Behaviour::Fails, 16, true, chain(config)).await;
    let context =
        |subject: &str| CallContext { caller: Arc::new(Caller { subject: Some(subject.into()), ..Caller::default() }), ..stage.context() };
    let call = async |subject: &str, payload: Payload| stage.operations.invoke(&context(subject), "detect-objects", payload).await.unwrap();
    assert_eq!(call("anna", by_name()).await.cached_age, None);
    let again = call("anna", by_name()).await;
    assert!(again.cached_age.is_some() && again.served_by.label().starts_with("cache:") && !again.is_degraded());
    assert_eq!(call("berta", by_name()).await.cached_age, None, "the answer of another caller");
    // One of two kinds fails: the answer is degraded.
    let both = || Payload::json(serde_json::json!({ "image_path": "/coffee.png", "detection_types": ["face", "person"] }));
    assert!(call("anna", both()).await.is_degraded());
    assert_eq!(call("anna", both()).await.cached_age, None, "a degraded answer was kept");
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_take_the_flight_along() {
    let barrier = Arc::new(Barrier::new(2));
    let caching = Caching { ttl: Some(Duration::from_secs(3600)), ..Caching::default() };
    let config = ChainConfig { caching, ..ChainConfig::default() };
    let stage = Stage::chained(Behaviour::Meets(barrier.clone()), Behaviour::Fails, 16, true, chain(config)).await;
    let leader = stage.operations.clone();
    let context = stage.context();
    let leading = tokio::spawn(async move { leader.invoke(&context, "detect-objects", by_name()).await.map(|outcome| outcome.value) });
    // The search has begun when only the second of the two who meet is missing; nobody says so, so give it its turn.
    tokio::time::timeout(Duration::from_secs(20), async {
        while stage.operations.detect(&stage.context(), detect(&[DetectionKind::Person])).await.is_ok() {}
    })
    .await
    .unwrap();
    leading.abort();
    let context = stage.context();
    let follower = stage.operations.invoke(&context, "detect-objects", by_name());
    let (answer, _met) = tokio::join!(follower, tokio::time::timeout(Duration::from_secs(20), barrier.wait()));
    assert_eq!(answer.unwrap().value.json["detections"][0]["kind"], "face");
}

#[tokio::test]
async fn a_call_that_comes_too_late_says_so_at_once() {
    let stage = Stage::new(Behaviour::Hangs, Behaviour::Hangs).await;
    let context = CallContext::root(Principal::Anonymous, Duration::from_millis(100));
    let started = std::time::Instant::now();
    let failure = stage.operations.invoke(&context, "detect-objects", by_name()).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn nested_calls_inherit_and_end_at_their_depth() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Fails).await;
    let invoker: Arc<dyn Invoker> = stage.operations.clone();
    let mut context = stage.context();
    assert!(invoker.invoke(&context, "detect-objects", by_name()).await.is_ok());
    while context.depth < CallContext::MAX_DEPTH {
        context = context.nested().unwrap();
    }
    assert_eq!(invoker.invoke(&context, "detect-objects", by_name()).await.unwrap_err().code, "call.too-deep");
}

#[tokio::test]
async fn the_time_of_a_chain_and_its_metrics_hold_for_a_typed_call_too() {
    let config = ChainConfig { timeout: Some(Duration::from_millis(300)), ..ChainConfig::default() };
    let stage = Stage::chained(Behaviour::Finds(0.9), Behaviour::Hangs, 16, true, chain(config)).await;
    let started = std::time::Instant::now();
    let outcome = stage.operations.detect(&stage.context(), detect(&[])).await.unwrap();
    assert_eq!(outcome.reasons[0].code, "call.deadline");
    assert!(started.elapsed() < Duration::from_secs(10), "the call itself has 20 s: {:?}", started.elapsed());
    let metrics = stage.metrics.encode();
    assert!(metrics.contains("operation=\"detect-objects\",provider=\"local\",outcome=\"ok\""), "{metrics}");
}
