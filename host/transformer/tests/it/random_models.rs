//! Models of any size against plain loops, however they are run.

use breakwater_convnet::Isa;
use breakwater_transformer::ClipConfig;
use breakwater_transformer::config::{Activation, EncoderConfig, EndOfText, TextConfig, VisionConfig};
use proptest::prelude::*;

use crate::arbitrary::{Random, models};
use crate::model::{Model, options};
use crate::reference;

fn close(found: &[f32], expected: &[f64], what: &str) {
    let most = expected.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= 2e-4 * most, "{what}, {index}: {found} instead of {expected}");
    }
}

fn pixels(model: &Model, images: usize, seed: u64) -> Vec<f32> {
    let edge = model.config.vision.as_ref().unwrap().edge;
    let mut random = Random(seed);
    (0..images * 3 * edge * edge).map(|_| 2.0 * random.next()).collect()
}

/// Texts of many lengths.
fn texts(model: &Model, count: usize) -> Vec<Vec<u32>> {
    let text = model.config.text.as_ref().unwrap();
    let end = text.vocabulary as u32 - 1;
    let length = |index: usize| 1 + index * 7 % text.positions;
    (0..count).map(|index| (1..length(index)).map(|at| (index * 5 + at * 3) as u32 % end).chain([end]).collect()).collect()
}

/// Both towers, on every instruction set, on some threads, alone and side by side.
fn check(model: &Model, count: usize, threads: usize) {
    let (pixels, texts) = (pixels(model, count, 7), texts(model, count));
    let texts: Vec<_> = texts.iter().map(Vec::as_slice).collect();
    for isa in Isa::available() {
        let (vision, text) = (model.vision(options(isa, threads)).unwrap(), model.text(options(isa, threads)).unwrap());
        let (dimension, each) = (vision.dimension(), vision.values());
        let (images, together) = (vision.run(&pixels).unwrap(), text.run(&texts).unwrap());
        for index in 0..count {
            let what = format!("{index} of {count}, {isa}, {threads} threads");
            let (image, found) = (&pixels[index * each..][..each], &images[index * dimension..][..dimension]);
            close(found, &reference::image(model, image), &format!("image {what}"));
            assert_eq!(vision.run(image).unwrap(), found, "image {what}: other numbers alone");
            let found = &together[index * dimension..][..dimension];
            close(found, &reference::text(model, texts[index]), &format!("text {what}"));
            assert_eq!(text.run(&[texts[index]]).unwrap(), found, "text {what}: other numbers alone");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_model_computes_what_plain_loops_do(model in models(), count in 1..=5_usize, threads in 1..=3_usize) {
        check(&model, count, threads);
    }
}

/// Deeper than a block of weights, more tokens than a block of queries, of rows or of a chunk, and enough work to divide a layer.
#[test]
fn a_large_model_computes_what_plain_loops_do() {
    let encoder = EncoderConfig { width: 66, hidden: 1570, layers: 2, heads: 3, activation: Activation::QuickGelu, epsilon: 1e-5 };
    let vision = VisionConfig { encoder: encoder.clone(), edge: 64, patch: 4 };
    let text = TextConfig { encoder, vocabulary: 50, positions: 130, end: EndOfText::Token(49) };
    let model = Model::random(ClipConfig { vision: Some(vision), text: Some(text), projection: 45 }, 3);
    let tokens = model.config.vision.as_ref().unwrap().tokens();
    assert_eq!(tokens, 257);
    let (pixels, texts) = (pixels(&model, 1, 5), texts(&model, 19));
    let texts: Vec<_> = texts.iter().map(Vec::as_slice).collect();
    let image = reference::image(&model, &pixels);
    let expected: Vec<_> = texts.iter().map(|text| reference::text(&model, text)).collect();
    for isa in Isa::available() {
        for threads in [1, 4] {
            let (vision, text) = (model.vision(options(isa, threads)).unwrap(), model.text(options(isa, threads)).unwrap());
            close(&vision.run(&pixels).unwrap(), &image, &format!("image, {isa}, {threads} threads"));
            let found = text.run(&texts).unwrap();
            for (index, (found, expected)) in found.chunks(45).zip(&expected).enumerate() {
                close(found, expected, &format!("text {index}, {isa}, {threads} threads"));
            }
        }
    }
}
