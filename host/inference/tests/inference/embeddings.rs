//! Features of images: what callers get, and what they say about photographs.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, DetectionKind, Failure, Size};
use breakwater_inference::{
    DeviceKind, DevicePreference, Embedding, Inference, InferenceConfig, ModelStatistics, Priority, efficientnet_lite0,
};
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, render};
use safetensors::SafeTensors;

use crate::calls::until;
use crate::fake::{FakeEngine, Poison, pool, start};
use crate::pictures::{cut, cut_to, root, shipped};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn statistics(inference: &Inference) -> ModelStatistics {
    inference.statistics().models.iter().find(|(name, _)| &**name == "efficientnet-lite0").unwrap().1
}

async fn embed_by(inference: &Inference, image: &Arc<Image>, deadline: Deadline) -> Result<Arc<Embedding>, Failure> {
    inference.embed_image(None, image, Priority::Interactive, deadline).await
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn config() -> InferenceConfig {
    InferenceConfig { max_delay: Duration::from_secs(3600), threads: 2, ..InferenceConfig::default() }
}

fn fake() -> FakeEngine {
    FakeEngine::new(DeviceKind::Cpu, Poison::Error)
}

#[tokio::test]
async fn calls_for_one_image_share_one_inference_and_the_features_are_remembered() {
    let (inference, engine) = start(fake(), config());
    let image = cut(1, 64);
    assert_eq!(inference.cached_embedding(None, &image), None);
    engine.close_gate();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (inference, image) = (Arc::clone(&inference), Arc::clone(&image));
            tokio::spawn(async move { embed_by(&inference, &image, soon()).await })
        })
        .collect();
    until("the others join", || statistics(&inference).queue_depth == 0 && engine.running() == 1).await;
    let hasty = embed_by(&inference, &image, Deadline::after(Duration::from_millis(1))).await;
    assert_eq!(hasty.unwrap_err().code, "call.deadline", "each caller keeps its own deadline");
    engine.open_gate();
    let mut found: Vec<Arc<Embedding>> = Vec::new();
    for call in calls {
        found.push(call.await.unwrap().unwrap());
    }
    found.push(embed_by(&inference, &image, soon()).await.unwrap());
    assert!(found.iter().all(|one| Arc::ptr_eq(one, &found[0])));
    assert_eq!(inference.cached_embedding(None, &image).as_deref(), Some(&*found[0]));
    assert_eq!(inference.cached(&image, DetectionKind::Face), None, "another model looks for faces");
    let counted = statistics(&inference);
    assert_eq!((engine.batches(), counted.cache_misses, counted.joined, counted.cache_hits), (vec![1], 1, 4, 1));

    assert_eq!((found[0].model(), found[0].dimension()), ("efficientnet-lite0", 1280));
    // The fake's features are all one, so each has one share of the length.
    assert!(found[0].values().iter().all(|value| (value - 1280f32.sqrt().recip()).abs() < 1e-6));
    let models = inference.embedders();
    assert_eq!((models.len(), &*models[0].id, models[0].dimension), (1, "efficientnet-lite0", 1280));
    assert_eq!((models[0].images, models[0].texts, models[0].revision), (true, false, found[0].revision()));
}

#[tokio::test]
async fn images_of_every_shape_share_a_run() {
    let (inference, engine) = start(fake(), config());
    engine.close_gate();
    let call = |image: Arc<Image>| {
        let inference = Arc::clone(&inference);
        tokio::spawn(async move { embed_by(&inference, &image, soon()).await })
    };
    let mut calls = vec![call(cut(200, 64))];
    until("the first run", || engine.running() == 1).await;
    for (number, (width, height)) in [(1, 1), (300, 2), (40, 200)].into_iter().enumerate() {
        calls.push(call(cut_to(number as u32, Size::new(width, height))));
    }
    until("all are queued", || statistics(&inference).queue_depth == 3).await;
    engine.open_gate();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(engine.batches(), [1, 3]);
}

#[tokio::test]
async fn failures_name_the_model_and_what_it_is() {
    let (inference, engine) = start(fake(), InferenceConfig { queue: 1, ..config() });
    engine.close_gate();
    let call = |number: u32| {
        let inference = Arc::clone(&inference);
        tokio::spawn(async move { embed_by(&inference, &cut(number, 64), soon()).await })
    };
    let running = call(1);
    until("the first run", || engine.running() == 1).await;
    let queued = call(2);
    until("the queue is full", || statistics(&inference).queue_depth == 1).await;
    let failure = embed_by(&inference, &cut(3, 64), soon()).await.unwrap_err();
    let origin = Some("embedder:efficientnet-lite0");
    assert_eq!((&*failure.code, failure.retryable, failure.origin.as_deref()), ("embedder.overloaded", true, origin));
    assert_eq!(statistics(&inference).rejected, 1);
    engine.open_gate();
    running.await.unwrap().unwrap();
    queued.await.unwrap().unwrap();

    inference.shutdown().await;
    assert_eq!(embed_by(&inference, &cut(4, 64), soon()).await.unwrap_err().code, "embedder.unavailable");

    let (inference, _) = start(FakeEngine::broken(DeviceKind::Cpu, Poison::Error), config());
    let failure = embed_by(&inference, &cut(1, 64), soon()).await.unwrap_err();
    assert_eq!((&*failure.code, failure.origin.as_deref()), ("embedder.failed", origin));
    assert_eq!(inference.cached_embedding(None, &cut(1, 64)), None, "failures are not remembered");
}

#[tokio::test]
async fn memory_of_features_is_bounded() {
    let (inference, _) = start(fake(), InferenceConfig { detection_cache_bytes: 16 << 10, ..config() });
    for number in 0..8 {
        embed_by(&inference, &cut(number, 32), soon()).await.unwrap();
    }
    let statistics = inference.statistics();
    // 1280 numbers of four bytes each.
    assert!(statistics.cache_bytes <= 16 << 10 && (1..=3).contains(&statistics.cache_entries), "{statistics:?}");
}

/// The shipped photographs with features of the reference, each of which was scaled with other filters than ours.
const REFERENCE: [&str; 3] = ["astronaut", "coffee", "chelsea"];

#[tokio::test]
async fn photographs_are_near_the_reference_and_near_themselves_made_smaller() {
    let inference = Inference::start(InferenceConfig { device: DevicePreference::Cpu, ..InferenceConfig::default() }, pool(2)).unwrap();
    let golden = std::fs::read(root().join("host/inference/tests/golden/efficientnet_lite0_3_photographs.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap().tensor(efficientnet_lite0::OUTPUT).unwrap().data().to_vec();
    let golden: Vec<f32> = golden.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let limits = Limits::default();
    let mut embeddings: Vec<Arc<Embedding>> = Vec::new();
    for (name, golden) in REFERENCE.into_iter().zip(golden.chunks_exact(efficientnet_lite0::FEATURES)) {
        let image = shipped(name);
        let embedding = embed_by(&inference, &image, soon()).await.unwrap();
        let length = cosine(golden, golden).sqrt();
        let near_reference = cosine(embedding.values(), golden) / length;
        let size = Size::new(image.size().width / 2, image.size().height / 2);
        let options = OutputOptions { format: Format::Jpeg, quality: Some(60), size: Some(size), keep_metadata: false };
        let smaller = render(&image, image.size().rect(), &options, &limits).unwrap().bytes;
        let smaller = Arc::new(Image::decode(smaller, Detail::Full, &limits).unwrap());
        let near_itself = cosine(embedding.values(), embed_by(&inference, &smaller, soon()).await.unwrap().values());
        println!("{name}: {near_reference} to the reference, {near_itself} to itself at half the size");
        assert!(near_reference > 0.97, "{name}: {near_reference}");
        assert!(near_itself > 0.8, "{name}: {near_itself}");
        embeddings.push(embedding);
    }
    for (index, one) in embeddings.iter().enumerate() {
        assert!((cosine(one.values(), one.values()) - 1.0).abs() < 1e-5);
        for other in &embeddings[index + 1..] {
            let near = cosine(one.values(), other.values());
            assert!(near < 0.6, "different photographs: {near}");
        }
    }
}
