//! What image work costs by stage: probe, decode, decode at reduced scale, resize for a detector, maps, crop and encode.
//!
//! Inputs are the shipped photograph as it is (640x427) and enlarged to 1920x1280, both JPEG.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that meets a surprise stops there")]

use std::hint::black_box;

use breakwater_core::{Rect, Size};
use breakwater_vision::{ContentDigest, Detail, Format, Image, Limits, OutputOptions, probe, render};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const PHOTOGRAPH: &[u8] = include_bytes!("../../tests/images/china.jpg");

/// The photograph as it is, and at the size of a camera's preview.
fn inputs() -> Vec<(String, Bytes)> {
    let limits = Limits::default();
    let small = Bytes::from_static(PHOTOGRAPH);
    let image = Image::decode(small.clone(), Detail::Full, &limits).expect("the shipped photograph");
    let size = Size::new(1920, 1280);
    let options = OutputOptions { format: Format::Jpeg, quality: Some(85), size: Some(size), keep_metadata: false };
    let large = render(&image, image.size().rect(), &options, &limits).expect("an enlargement");
    vec![(image.size().to_string(), small), (size.to_string(), large.bytes)]
}

fn stages(criterion: &mut Criterion) {
    let limits = Limits::default();
    for (name, bytes) in inputs() {
        let mut group = criterion.benchmark_group("vision");
        group.sample_size(30);
        group.bench_function(BenchmarkId::new("probe", &name), |bencher| bencher.iter(|| probe(black_box(&bytes), &limits)));
        group.bench_function(BenchmarkId::new("digest", &name), |bencher| bencher.iter(|| ContentDigest::of(black_box(&bytes))));
        group.bench_function(BenchmarkId::new("decode full", &name), |bencher| {
            bencher.iter(|| Image::decode(bytes.clone(), Detail::Full, &limits));
        });
        group.bench_function(BenchmarkId::new("decode at least 320", &name), |bencher| {
            bencher.iter(|| Image::decode(bytes.clone(), Detail::AtLeast(Size::new(320, 213)), &limits));
        });

        let image = Image::decode(bytes.clone(), Detail::Full, &limits).expect("it decodes");
        let size = image.size();
        group.bench_function(BenchmarkId::new("resize for a detector", &name), |bencher| {
            bencher.iter(|| image.resized_rgb(size.fit_longer(416)));
        });
        image.saliency(256).expect("a map");
        image.entropy(size.rect()).expect("an entropy");
        group.bench_function(BenchmarkId::new("saliency 64, cached", &name), |bencher| bencher.iter(|| image.saliency(64)));
        group.bench_function(BenchmarkId::new("entropy, cached", &name), |bencher| bencher.iter(|| image.entropy(size.rect())));
        group.bench_function(BenchmarkId::new("thumbnail 256, cached", &name), |bencher| bencher.iter(|| image.thumbnail(256)));

        let crop = Rect::new(size.width / 8, size.height / 8, size.width / 2, size.height / 2);
        let smaller = Size::new(crop.width / 2, crop.height / 2);
        for format in [Format::Jpeg, Format::Png, Format::WebP] {
            for (what, size) in [("crop", crop.size()), ("crop and halve", smaller)] {
                let options = OutputOptions { format, quality: None, size: Some(size), keep_metadata: false };
                group.bench_function(BenchmarkId::new(format!("{what}, encode {format}"), &name), |bencher| {
                    bencher.iter(|| render(black_box(&image), crop, &options, &limits));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
