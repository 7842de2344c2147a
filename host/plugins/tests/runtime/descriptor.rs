//! The shipped fallback that describes pictures without a model, on photographs that the host decoded and scaled.

use std::path::Path;

use breakwater_core::{Failure, FailureKind, Rect, Size};
use breakwater_plugins::Generation;
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, render};
use bytes::Bytes;
use serde_json::json;

use crate::outside::attachment;
use crate::support::{Detectors, Host, context, shipped_package};

const PHOTOGRAPHS: [&str; 5] = ["astronaut.png", "camera.png", "chelsea.png", "china.jpg", "coffee.png"];

fn photograph(name: &str) -> Bytes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images");
    std::fs::read(folder.join(name)).unwrap().into()
}

/// The middle of a picture, this share of each edge, encoded as JPEG of this quality with edges of this share of what was cut.
fn variant(picture: &Bytes, cut: f64, scale: f64, quality: u8) -> Bytes {
    let image = Image::decode(picture.clone(), Detail::Full, &Limits::default()).unwrap();
    let of = |edge: u32, share: f64| (f64::from(edge) * share).round() as u32;
    let (width, height) = (of(image.size().width, cut), of(image.size().height, cut));
    let area = Rect::new((image.size().width - width) / 2, (image.size().height - height) / 2, width, height);
    let size = Some(Size::new(of(width, scale), of(height, scale)));
    let options = OutputOptions { format: Format::Jpeg, quality: Some(quality), size, keep_metadata: false };
    render(&image, area, &options, &Limits::default()).unwrap().bytes
}

async fn features(generation: &Generation, picture: Bytes) -> Vec<f64> {
    let cause = Failure::new(FailureKind::Unavailable, "embedder.unavailable", "there is no model");
    let given = [attachment("image/jpeg", picture)];
    let answer = generation.degrade(&context(), "extract-features", "classical-descriptor", &json!({}), &given, &cause).await;
    let output = answer.unwrap().unwrap().json;
    assert_eq!((&output["model"], &output["dimension"]), (&json!("classical-descriptor-v1"), &json!(272)));
    output["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photograph_is_recognised_when_it_was_compressed_scaled_or_cropped() {
    let host = Host::with(Detectors::Fail, |config| config.limits.cpu = std::time::Duration::from_secs(1)).await;
    host.catalogue.deploy(shipped_package("fallback-descriptor")).await.unwrap();
    let snapshot = host.snapshot();
    let (level, generation) = snapshot.fallbacks("extract-features").remove(0);
    assert_eq!(level.name, "classical-descriptor");
    let mut originals = Vec::new();
    for name in PHOTOGRAPHS {
        originals.push(features(generation, photograph(name)).await);
    }
    for (what, cut, scale, quality, at_least) in [
        ("quality 20", 1.0, 1.0, 20, 0.97),
        ("a third of its size", 1.0, 0.33, 80, 0.97),
        ("70 % of each edge", 0.7, 1.0, 90, 0.7),
        ("50 % of each edge", 0.5, 1.0, 90, 0.5),
    ] {
        for (place, name) in PHOTOGRAPHS.into_iter().enumerate() {
            let changed = features(generation, variant(&photograph(name), cut, scale, quality)).await;
            let alike: Vec<_> = originals.iter().map(|original| cosine(original, &changed)).collect();
            println!("{name} {what}: {alike:.3?}");
            assert!(alike[place] > at_least, "{name} {what}: {alike:?}");
            let nearest = alike.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            assert_eq!(PHOTOGRAPHS[nearest], name, "{what}: {alike:?}");
        }
    }
}
