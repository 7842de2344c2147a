//! Models that come, are replaced and go while others are served.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use breakwater_core::{Deadline, Digest, Failure};
use breakwater_inference::clip::{MAX_DESCRIPTION_BYTES, MAX_MODEL_BYTES};
use breakwater_inference::{Inference, InferenceConfig, LoadState, Overlong, Priority};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::calls::until;
use crate::clip::{Reference, cosine, folder};
use crate::fake::pool;
use crate::models::{random_tensors, settled, source, start, state, write_random};
use crate::pictures::{cut, cut_to};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

async fn text(inference: &Inference, text: &str) -> Result<Arc<breakwater_inference::Embedding>, Failure> {
    inference.embed_text(Some("clip"), text, Priority::Interactive, soon()).await
}

fn loads(inference: &Inference) -> u64 {
    inference.statistics().models.iter().find(|(name, _)| &**name == "clip").unwrap().1.loads
}

#[tokio::test]
async fn a_configured_model_serves_images_and_texts_in_one_space() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    assert!(inference.is_ready("clip") && inference.is_ready("yunet") && !inference.is_ready("nobody"));
    let info = inference.embedders().into_iter().find(|model| &*model.id == "clip").unwrap();
    assert_eq!((info.dimension, info.images, info.texts, info.max_tokens), (16, true, true, Some(77)));
    assert_eq!(&*inference.default_embedder(), "efficientnet-lite0");
    let state = inference.catalogue().into_iter().find(|model| &*model.id == "clip").unwrap();
    assert!(state.state == LoadState::Ready && state.bytes > 3_000_000 && state.kind == "clip" && info.parameters > 790_000, "{state:?}");

    let image = inference.embed_image(Some("clip"), &cut(1, 64), Priority::Interactive, soon()).await.unwrap();
    let cat = text(&inference, "a photo of a cat").await.unwrap();
    assert_eq!((image.model(), image.revision(), image.dimension()), ("clip", info.revision, 16));
    assert_eq!((cat.model(), cat.revision(), cat.dimension()), ("clip", info.revision, 16));
    assert!((cosine(cat.values(), cat.values()) - 1.0).abs() < 1e-5);
    assert_eq!(text(&inference, "  A photo of a CAT ").await.unwrap().values(), cat.values());
    assert!(cosine(text(&inference, "two dogs").await.unwrap().values(), cat.values()) < 0.999);
    assert_eq!(inference.token_count(Some("clip"), "a photo of a cat", soon()).await.unwrap(), 7);
    // Only a name of its own calls it.
    let default = inference.embed_image(None, &cut(1, 64), Priority::Interactive, soon()).await.unwrap();
    assert_eq!((default.model(), default.dimension()), ("efficientnet-lite0", 1280));
}

#[tokio::test]
async fn texts_that_no_model_takes_are_refused_for_what_they_are() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    let ten_thousand = "cat ".repeat(10_000);
    for (given, code) in [
        ("", "embedder.empty-text"),
        (" \n\t ", "embedder.empty-text"),
        ("cat ".repeat(76).as_str(), "embedder.text-too-long"),
        (ten_thousand.as_str(), "embedder.text-too-long"),
    ] {
        assert_eq!(text(&inference, given).await.unwrap_err().code, code);
    }
    let cut = inference.embed_text_with(Some("clip"), &"cat ".repeat(76), Overlong::Truncate, Priority::Bulk, soon()).await.unwrap();
    assert_eq!(cut.values(), text(&inference, &"cat ".repeat(75)).await.unwrap().values());
    // Characters of control are bytes like any other.
    assert!(text(&inference, "nul\0bell\u{7}").await.is_ok());
    let no_text = inference.embed_text(None, "a cat", Priority::Interactive, soon()).await.unwrap_err();
    assert_eq!((&*no_text.code, no_text.origin.as_deref()), ("embedder.no-text", Some("embedder:efficientnet-lite0")));
    let unknown = inference.embed_text(Some("nobody\n"), "a cat", Priority::Interactive, soon()).await.unwrap_err();
    assert_eq!((&*unknown.code, unknown.message.contains('\n')), ("embedder.unknown-model", false));
}

#[tokio::test]
async fn the_smallest_and_the_thinnest_images_are_embedded() {
    let inference = start(vec![source("clip", &folder("clip-tiny"))]);
    settled(&inference).await;
    for (width, height) in [(1, 1), (1, 300), (500, 1), (2, 33)] {
        let image = cut_to(0, breakwater_core::Size::new(width, height));
        for model in ["clip", "efficientnet-lite0"] {
            let found = inference.embed_image(Some(model), &image, Priority::Interactive, soon()).await.unwrap();
            assert!(found.values().iter().all(|value| value.is_finite()), "{width} x {height}");
        }
    }
    inference.self_test().await.unwrap();
}

#[tokio::test]
async fn a_model_is_replaced_under_load_without_a_failed_call_and_its_memory_comes_back() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    let one = inference.statistics().clip_bytes;
    assert!(one > 3_000_000, "{one}");
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4u32)
        .map(|caller| {
            let (inference, stop) = (Arc::clone(&inference), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut seen: Vec<Digest> = Vec::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let priority = if caller % 2 == 0 { Priority::Interactive } else { Priority::Bulk };
                    let found = if caller < 2 {
                        inference.embed_image(Some("clip"), &cut(number % 100, 40 + caller), priority, soon()).await
                    } else {
                        inference.embed_text(Some("clip"), &format!("text {caller} {number}"), priority, soon()).await
                    };
                    let revision = found.unwrap().revision();
                    if seen.last() != Some(&revision) {
                        seen.push(revision);
                    }
                }
                seen
            })
        })
        .collect();
    for seed in 2..5 {
        let before = inference.statistics().models.iter().map(|(_, model)| model.images).sum::<u64>();
        let served = || inference.statistics().models.iter().map(|(_, model)| model.images).sum::<u64>();
        until("calls are served in between", || served() > before + 8).await;
        write_random(files.path(), seed);
        inference.load("clip").await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for caller in callers {
        seen.push(caller.await.unwrap());
    }
    // Whoever has seen the new one never sees the old one again.
    assert!(seen.iter().all(|revisions| (1..=4).contains(&revisions.len())), "{seen:?}");
    assert!(seen.iter().any(|revisions| revisions.len() > 1), "{seen:?}");
    until("the memory of the old ones is back", || inference.statistics().clip_bytes == one).await;
    assert_eq!(loads(&inference), 4);

    inference.unload("clip").await.unwrap();
    until("all of it is back", || inference.statistics().clip_bytes == 0).await;
    assert_eq!((state(&inference, "clip"), inference.is_ready("clip")), (LoadState::Unloaded, false));
    assert_eq!(text(&inference, "a cat").await.unwrap_err().code, "embedder.unavailable");
    inference.load("clip").await.unwrap();
    text(&inference, "a cat").await.unwrap();
}

#[tokio::test]
async fn whoever_asks_for_a_load_that_is_under_way_waits_for_the_same() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    assert_eq!(loads(&inference), 1);
    let (first, second, third) = tokio::join!(inference.load("clip"), inference.load("clip"), inference.load("clip"));
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(loads(&inference), 2);
}

#[tokio::test]
async fn the_default_is_not_unloaded_and_what_nobody_configured_is_not_loaded() {
    let inference = start(vec![]);
    assert_eq!(inference.unload("efficientnet-lite0").await.unwrap_err().code, "embedder.in-use");
    for id in ["yunet", "nobody"] {
        assert_eq!(inference.unload(id).await.unwrap_err().code, "embedder.unknown-model");
        assert_eq!(inference.load(id).await.unwrap_err().code, "embedder.unknown-model");
    }
    inference.load("efficientnet-lite0").await.unwrap();
    inference.embed_image(None, &cut(1, 64), Priority::Bulk, soon()).await.unwrap();
    inference.shutdown().await;
    assert_eq!(inference.load("efficientnet-lite0").await.unwrap_err().code, "embedder.unavailable");
}

/// What is said of a model whose files `write` makes.
async fn said(write: impl FnOnce(&Path)) -> (LoadState, Failure) {
    let files = tempfile::tempdir().unwrap();
    write(files.path());
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    let failure = inference.load("clip").await.unwrap_err();
    assert!(!failure.message.contains(files.path().to_str().unwrap()), "callers see no path: {}", failure.message);
    // The others are not troubled.
    inference.embed_image(None, &cut(1, 64), Priority::Interactive, soon()).await.unwrap();
    (state(&inference, "clip"), failure)
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_place() {
    let (missing, failure) = said(|_| {}).await;
    assert!(matches!(missing, LoadState::Missing { file, .. } if file == "config.json"));
    assert_eq!(failure.code, "embedder.load-failed");
    let config = std::fs::read(folder("clip-tiny").join("config.json")).unwrap();
    let (missing, _) = said(|files| std::fs::write(files.join("config.json"), &config).unwrap()).await;
    assert!(matches!(missing, LoadState::Missing { file, .. } if file == "model.safetensors"));
}

#[tokio::test]
async fn files_that_make_no_model_fail_for_a_reason_that_is_told() {
    let tiny = folder("clip-tiny");
    let copy = |files: &Path, name: &str| std::fs::copy(tiny.join(name), files.join(name)).map(drop).unwrap();
    let why = |state: LoadState| match state {
        LoadState::Failed { why } => why,
        other => panic!("{other:?}"),
    };
    let (state, _) = said(|files| {
        copy(files, "model.safetensors");
        std::fs::write(files.join("config.json"), "{").unwrap();
    })
    .await;
    assert!(why(state).contains("config.json"));
    let (state, _) = said(|files| {
        copy(files, "config.json");
        std::fs::write(files.join("model.safetensors"), "no weights").unwrap();
    })
    .await;
    assert!(why(state).contains("safetensors"));
    // Weights of a model of another shape.
    let (state, _) = said(|files| {
        copy(files, "config.json");
        std::fs::copy(folder("clip-tiny-gelu").join("model.safetensors"), files.join("model.safetensors")).unwrap();
    })
    .await;
    assert!(why(state).contains("the model needs"));
    let (state, _) = said(|files| {
        copy(files, "config.json");
        std::fs::write(files.join("model.safetensors.index.json"), r#"{"weight_map": {"a": "../model.safetensors"}}"#).unwrap();
    })
    .await;
    assert!(why(state).contains("beside it"));
    let (state, _) = said(|files| {
        copy(files, "config.json");
        copy(files, "model.safetensors");
        std::fs::write(files.join("preprocessor_config.json"), r#"{"crop_size": 224}"#).unwrap();
    })
    .await;
    assert!(why(state).contains("crop_size"));
}

#[tokio::test]
async fn files_larger_than_any_are_refused_before_they_are_read() {
    let tiny = folder("clip-tiny");
    let sparse = |path: &Path, bytes: u64| std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
    let (state, failure) = said(|files| {
        std::fs::copy(tiny.join("config.json"), files.join("config.json")).unwrap();
        sparse(&files.join("model.safetensors"), MAX_MODEL_BYTES + 1);
    })
    .await;
    assert!(matches!(&state, LoadState::Failed { why } if why.contains(&MAX_MODEL_BYTES.to_string())), "{state:?}");
    assert!(failure.message.contains("bytes"));
    let (state, _) = said(|files| {
        std::fs::copy(tiny.join("model.safetensors"), files.join("model.safetensors")).unwrap();
        sparse(&files.join("config.json"), MAX_DESCRIPTION_BYTES + 1);
    })
    .await;
    assert!(matches!(&state, LoadState::Failed { why } if why.contains(&MAX_DESCRIPTION_BYTES.to_string())), "{state:?}");
}

type Stored = (String, Vec<usize>, Vec<u8>);

fn views(part: &[Stored]) -> Vec<(String, TensorView<'_>)> {
    part.iter().map(|(name, shape, data)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())).collect()
}

#[tokio::test]
async fn shards_a_single_file_and_every_precision_give_the_same() {
    let reference = Reference::read("clip-tiny");
    let tiny = folder("clip-tiny");
    let bytes = std::fs::read(tiny.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let files = tempfile::tempdir().unwrap();
    let wide = files.path().join("wide");
    let sharded = files.path().join("sharded");
    for folder in [&wide, &sharded] {
        std::fs::create_dir(folder).unwrap();
        std::fs::copy(tiny.join("config.json"), folder.join("config.json")).unwrap();
    }
    // In full precision, in one file of another name.
    let widened: Vec<Stored> = tensors
        .iter()
        .filter(|(_, view)| view.dtype() == Dtype::F16)
        .map(|(name, view)| {
            let halves = view.data().as_chunks::<2>().0.iter();
            let data = halves.flat_map(|bytes| half::f16::from_le_bytes(*bytes).to_f32().to_le_bytes()).collect();
            (name.to_owned(), view.shape().to_vec(), data)
        })
        .collect();
    safetensors::serialize_to_file(views(&widened), None, &wide.join("weights.safetensors")).unwrap();
    // In two files with an index.
    let (first, second) = widened.split_at(widened.len() / 2);
    let mut map = serde_json::Map::new();
    for (file, part) in [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)] {
        safetensors::serialize_to_file(views(part), None, &sharded.join(file)).unwrap();
        map.extend(part.iter().map(|(name, ..)| (name.clone(), file.into())));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(sharded.join("model.safetensors.index.json"), index.to_string()).unwrap();

    let sources = vec![source("half", &tiny), source("single", &wide.join("weights.safetensors")), source("sharded", &sharded)];
    let inference = start(sources);
    settled(&inference).await;
    let tokens: Vec<i64> = reference.tokens[3].iter().map(|token| i64::from(*token)).collect();
    let mut revisions = Vec::new();
    for id in ["half", "single", "sharded"] {
        use breakwater_inference::{Tensor, TensorData};
        let input = Tensor::new("input_ids", vec![1, tokens.len()], TensorData::Int64(tokens.clone())).unwrap();
        let output = inference.infer(id, vec![input], soon()).await.unwrap();
        let TensorData::Fp32(found) = output[0].data() else { panic!("{output:?}") };
        assert!(cosine(found, &reference.text_embeddings[3]) >= 0.9999, "{id}");
        let info = inference.embedders().into_iter().find(|model| &*model.id == id).unwrap();
        // The tokenizer that is built in has more tokens than the model.
        assert!(!info.texts && info.images);
        revisions.push(info.revision);
    }
    revisions.sort_unstable_by_key(|revision| *revision.as_bytes());
    revisions.dedup();
    assert_eq!(revisions.len(), 3, "other files are another revision");
}

#[tokio::test]
async fn a_model_without_texts_or_without_images_takes_what_it_has() {
    let files = tempfile::tempdir().unwrap();
    let config = r#"{"model_type": "clip_text_model", "projection_dim": 16, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "eos_token_id": 2}"#;
    std::fs::write(files.path().join("config.json"), config).unwrap();
    let tensors = random_tensors(7);
    let views = tensors.iter().map(|(name, (shape, data))| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &files.path().join("model.safetensors")).unwrap();
    let inference = start(vec![source("clip", files.path())]);
    settled(&inference).await;
    assert_eq!(state(&inference, "clip"), LoadState::Ready);
    text(&inference, "a cat").await.unwrap();
    let failure = inference.embed_image(Some("clip"), &cut(1, 64), Priority::Interactive, soon()).await.unwrap_err();
    assert_eq!(failure.code, "embedder.no-image");
}

#[test]
fn ids_and_defaults_that_cannot_work_stop_the_start() {
    let start = |ids: &[&str], default: Option<&str>| {
        let models = ids.iter().map(|id| source(id, Path::new("/nonexistent"))).collect();
        let default_embedder = default.map(Arc::from);
        let device = breakwater_inference::DevicePreference::Cpu;
        Inference::start(InferenceConfig { device, models, default_embedder, ..InferenceConfig::default() }, pool(1)).map(drop)
    };
    for ids in [&["Clip"][..], &[""], &["a b"], &["yunet"], &["efficientnet-lite0"], &["a", "a"], &["a".repeat(65).as_str()]] {
        assert!(start(ids, None).is_err(), "{ids:?}");
    }
    assert!(start(&[], Some("clip")).is_err());
    assert!(start(&["clip-vit_b.32"], Some("clip-vit_b.32")).is_ok());
}
