//! CLIP models against what onnxruntime, PIL and OpenAI's tokenizer computed.

use std::sync::Arc;

use breakwater_core::Size;
use breakwater_inference::array::Array;
use breakwater_inference::batch::Batch;
use breakwater_inference::clip::{Clip, ClipTokenizer};
use breakwater_inference::engine::Engine;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::convnet::ConvnetEngine;
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::{Isa, Overlong};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::pictures::{cut_to, root, shipped};

/// The models that are shipped for tests.
pub(crate) const SMALL: [&str; 2] = ["clip-tiny", "clip-tiny-gelu"];

pub(crate) fn folder(name: &str) -> std::path::PathBuf {
    root().join("tests/models").join(name)
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    (product(a, b) / (product(a, a) * product(b, b)).sqrt()) as f32
}

/// Inputs and what they give, of a small model.
pub(crate) struct Reference {
    pub(crate) edge: usize,
    pub(crate) pixels: Vec<f32>,
    pub(crate) image_embeddings: Vec<Vec<f32>>,
    pub(crate) tokens: Vec<Vec<u32>>,
    pub(crate) text_embeddings: Vec<Vec<f32>>,
}

impl Reference {
    pub(crate) fn read(name: &str) -> Self {
        let file = std::fs::read(folder(name).join("io.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let numbers = |name: &str| {
            let tensor = tensors.tensor(name).unwrap();
            let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (tensor.shape().to_vec(), values)
        };
        let rows = |name: &str| {
            let (shape, values) = numbers(name);
            values.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect()
        };
        let tokens = tensors.tensor("tokens").unwrap();
        let values: Vec<u32> = tokens.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as u32).collect();
        let (shape, pixels) = numbers("pixels");
        Self {
            edge: shape[3],
            pixels,
            image_embeddings: rows("image_embeddings"),
            tokens: values.chunks_exact(tokens.shape()[1]).map(<[u32]>::to_vec).collect(),
            text_embeddings: rows("text_embeddings"),
        }
    }
}

/// Both towers of small models, images and texts alone and together.
pub(crate) fn check(engine: &dyn Engine, models: &[&str]) {
    for name in models {
        let reference = Reference::read(name);
        let clip = Arc::new(Clip::open(&folder(name)).unwrap());
        let mut session = engine.prepare_clip(&clip).unwrap();
        let mut run = |batch: Batch<'_>, expected: &[Vec<f32>], what: &str| {
            let outputs = session.run(batch).unwrap();
            let found = outputs.get("embedding").unwrap();
            assert_eq!(found.shape(), Shape::new(expected.len(), expected[0].len(), 1, 1));
            for (index, (found, expected)) in found.values().chunks_exact(expected[0].len()).zip(expected).enumerate() {
                let near = cosine(found, expected);
                println!("{} {name}: {what} {index}: {near}", engine.device());
                assert!(near >= 0.9999, "{} {name}: {what} {index}: {near}", engine.device());
            }
        };
        let (edge, images) = (reference.edge, reference.image_embeddings.len());
        let each = 3 * edge * edge;
        let all = Array::new(Shape::new(images, 3, edge, edge), reference.pixels.clone()).unwrap();
        run(all.into(), &reference.image_embeddings, "image");
        let last = Array::new(Shape::new(1, 3, edge, edge), reference.pixels[(images - 1) * each..].to_vec()).unwrap();
        run(last.into(), &reference.image_embeddings[images - 1..], "last image");
        let texts: Vec<&[u32]> = reference.tokens.iter().map(Vec::as_slice).collect();
        run(Batch::Tokens(&texts), &reference.text_embeddings, "text");
        run(Batch::Tokens(&texts[..1]), &reference.text_embeddings[..1], "first text");
    }
}

#[test]
fn both_towers_on_the_processor_equal_the_reference() {
    check(&ConvnetEngine::new(Isa::best(), None, 1), &SMALL);
}

#[test]
fn both_towers_by_burn_on_the_processor_equal_the_reference() {
    check(&BurnEngine::cpu(None), &SMALL);
}

#[test]
fn inputs_that_a_tower_does_not_take_are_refused_by_every_engine() {
    let engines: [Box<dyn Engine>; 2] = [Box::new(ConvnetEngine::new(Isa::best(), None, 1)), Box::new(BurnEngine::cpu(None))];
    for engine in engines {
        let clip = Arc::new(Clip::open(&folder("clip-tiny-gelu")).unwrap());
        let mut session = engine.prepare_clip(&clip).unwrap();
        let planes = |edge: usize, value| Array::new(Shape::new(1, 3, edge, edge), vec![value; 3 * edge * edge]).unwrap();
        let too_long = vec![1; 22];
        let refused = [
            session.run(planes(36, 0.5).into()),
            session.run(planes(35, f32::NAN).into()),
            session.run(Batch::Tokens(&[&[1, 2]])),
            session.run(Batch::Tokens(&[&[1, 130, 127]])),
            session.run(Batch::Tokens(&[&[]])),
            session.run(Batch::Tokens(&[&[too_long.as_slice(), &[127]].concat()])),
        ];
        for (index, result) in refused.into_iter().enumerate() {
            let error = result.unwrap_err();
            let refused = matches!(error, breakwater_inference::engine::EngineError::Refused { .. });
            assert!(refused, "{} {index}: {error}", engine.device());
        }
        assert!(session.run(planes(35, 0.5).into()).is_ok());
    }
}

#[test]
fn images_are_prepared_as_pil_does_it() {
    let expected = std::fs::read(root().join("host/inference/tests/fixtures/clip_prepared.rgb")).unwrap();
    let parts: [(&str, Option<(u32, Size)>); 9] = [
        ("coffee", None),
        ("astronaut", None),
        ("chelsea", None),
        ("coffee", Some((0, Size::new(500, 31)))),
        ("coffee", Some((3, Size::new(31, 300)))),
        ("coffee", Some((5, Size::new(1, 1)))),
        ("coffee", Some((7, Size::new(40, 40)))),
        ("coffee", Some((2, Size::new(10, 14)))),
        ("coffee", Some((9, Size::new(32, 32)))),
    ];
    let clip = Clip::open(&folder("clip-tiny")).unwrap();
    let preparation = clip.preparation().unwrap();
    assert_eq!(expected.len(), parts.len() * 32 * 32 * 3);
    for ((name, part), expected) in parts.into_iter().zip(expected.chunks_exact(32 * 32 * 3)) {
        let image = part.map_or_else(|| shipped(name), |(number, size)| cut_to(number, size));
        let frame = preparation.frame(&image);
        let differences = frame.content.pixels.iter().zip(expected).map(|(found, expected)| found.abs_diff(*expected));
        let (most, differ) = (differences.clone().max().unwrap(), differences.filter(|difference| *difference > 0).count());
        println!("{name} {part:?}: differs by at most {most}, in {differ} of {}", expected.len());
        assert_eq!(frame.content.pixels.len(), expected.len());
        assert!(most <= 1, "{name} {part:?}: {most}");
    }
}

#[test]
fn numbers_of_pixels_are_normalised_with_the_means_of_the_training() {
    let clip = Clip::open(&folder("clip-tiny")).unwrap();
    let preparation = clip.preparation().unwrap();
    let (frame, normalisation) = (preparation.frame(&shipped("coffee")), preparation.normalisation());
    let numbers = Batch::Frames { frames: &[&frame], normalisation: &normalisation }.into_array().unwrap();
    let (mean, deviation) = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]);
    for (index, pixel) in frame.content.pixels.chunks_exact(3).enumerate() {
        for channel in 0..3 {
            let expected = (f64::from(pixel[channel]) / 255.0 - mean[channel]) / deviation[channel];
            let found = f64::from(numbers.values()[channel * 32 * 32 + index]);
            assert!((found - expected).abs() < 1e-5, "pixel {index}: {found} for {expected}");
        }
    }
}

#[test]
fn texts_in_many_languages_have_the_tokens_of_the_reference() {
    let cases = std::fs::read(root().join("host/inference/tests/fixtures/clip_tokens.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    let tokenizer = ClipTokenizer::shared().unwrap();
    let (mut wrong, mut repaired) = (Vec::new(), 0);
    for case in &cases {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let found = tokenizer.encode(text, 1000, Overlong::Refuse).unwrap();
        assert_eq!((found.first(), found.last()), (Some(&49_406), Some(&49_407)));
        repaired += usize::from(case.get("repaired").is_some());
        if found[1..found.len() - 1] != expected {
            wrong.push((text, found, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // OpenAI's own tokenizer straightens these first: quotes, wide and joined letters, entities, broken encodings, control characters.
    assert!(cases.len() >= 200 && repaired == 19, "{repaired} of {}", cases.len());
}

#[test]
fn a_text_cannot_end_itself_unnoticed() {
    // As in transformers: what ends a text does so wherever it stands.
    let tokens = ClipTokenizer::shared().unwrap().encode("a cat <|endoftext|> a dog", 77, Overlong::Refuse).unwrap();
    assert_eq!(tokens.iter().filter(|token| **token == 49_407).count(), 2);
}
