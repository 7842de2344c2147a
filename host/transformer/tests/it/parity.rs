//! The shipped models against onnxruntime.

use breakwater_convnet::Isa;
use breakwater_transformer::{ClipWeights, TextTower, VisionTower};
use safetensors::Dtype;

use crate::fixture::{Fixture, NAMES};
use crate::model::{cosine, options, slices};

/// A little of the error that single precision makes; the requirement is 0.9999.
const LEAST: f64 = 0.999_999;

fn check(found: &[f32], expected: &[f32], dimension: usize, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (row, (found, expected)) in found.chunks(dimension).zip(expected.chunks(dimension)).enumerate() {
        let alike = cosine(found, expected);
        assert!(alike >= LEAST, "{what}, row {row}: {alike}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-4, "{what}, row {row}: {found} instead of {expected}");
        }
    }
}

/// `count` rows, from the first again when they are used up.
fn cycle<T: Clone>(rows: &[T], each: usize, count: usize) -> Vec<T> {
    rows.iter().cycle().take(count * each).cloned().collect()
}

#[test]
fn both_towers_compute_what_onnxruntime_does_on_every_instruction_set() {
    for name in NAMES {
        let fixture = Fixture::load(name);
        let weights = ClipWeights::read(&[&fixture.file]).unwrap();
        assert!(weights.has_vision() && weights.has_text());
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                let vision = VisionTower::new(&fixture.model.config, &weights, options(isa, threads)).unwrap();
                let text = TextTower::new(&fixture.model.config, &weights, options(isa, threads)).unwrap();
                let (dimension, each) = (vision.dimension(), vision.values());
                assert_eq!(vision.isa(), isa);
                for batch in 1..=9 {
                    let what = format!("{name}, {isa}, {threads} threads, batch {batch}");
                    let found = vision.run(&cycle(&fixture.pixels, each, batch)).unwrap();
                    check(&found, &cycle(&fixture.image_embeddings, dimension, batch), dimension, &format!("images of {what}"));
                    let found = text.run(&cycle(&fixture.texts(), 1, batch)).unwrap();
                    check(&found, &cycle(&fixture.text_embeddings, dimension, batch), dimension, &format!("texts of {what}"));
                }
            }
        }
    }
}

#[test]
fn every_precision_and_division_into_files_gives_the_same_numbers() {
    for name in NAMES {
        let fixture = Fixture::load(name);
        for isa in Isa::available() {
            let embed = |files: &[&[u8]]| {
                let weights = ClipWeights::read(files).unwrap();
                let vision = VisionTower::new(&fixture.model.config, &weights, options(isa, 1)).unwrap();
                let text = TextTower::new(&fixture.model.config, &weights, options(isa, 1)).unwrap();
                let bytes = vision.weight_bytes() + text.weight_bytes();
                (vision.run(&fixture.pixels).unwrap(), text.run(&fixture.texts()).unwrap(), bytes)
            };
            let (images, texts, halves) = embed(&[&fixture.file]);
            for (dtype, count) in [(Dtype::F32, 1), (Dtype::F16, 3), (Dtype::BF16, 1), (Dtype::BF16, 2), (Dtype::F32, 5)] {
                let files = fixture.model.files(dtype, count);
                let (found_images, found_texts, bytes) = embed(&slices(&files));
                assert!(found_images == images && found_texts == texts, "{name}, {isa}, {dtype:?} in {count} files");
                assert_eq!(bytes > halves, dtype == Dtype::F32, "numbers of 16 bits stay so in memory");
            }
        }
    }
}

#[test]
fn what_stands_behind_the_end_of_a_text_does_not_matter() {
    for name in NAMES {
        let fixture = Fixture::load(name);
        let text = fixture.model.text(options(Isa::best(), 1)).unwrap();
        let whole = text.run(&fixture.texts()).unwrap();
        let ends: Vec<_> = fixture
            .tokens
            .iter()
            .map(|tokens| {
                let end = if name == "clip-tiny" { 511 } else { 127 };
                tokens.iter().position(|token| *token == end).unwrap() + 1
            })
            .collect();
        let cut: Vec<_> = fixture.tokens.iter().zip(&ends).map(|(tokens, end)| &tokens[..*end]).collect();
        assert_eq!(text.run(&cut).unwrap(), whole);
        assert!(ends.contains(&2) && ends.contains(&text.max_tokens()), "the shortest and the longest text: {ends:?}");
    }
}
