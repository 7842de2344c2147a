//! What the descriptor says of pictures that were changed, and of others.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

use breakwater_guest::testing::{FakeHost, FakeImage, check_levels};
use breakwater_guest::{Blob, Failure, Fallback, Invocation, Reply, Size};
use fallback_descriptor::{DIMENSION, Descriptor, MODEL};
use image_model::schemas;
use proptest::prelude::*;
use serde_json::json;

type Colour = Box<dyn Fn(f64, f64) -> [u8; 3]>;

fn degraded(image: FakeImage) -> Result<Option<Reply>, Failure> {
    let host = FakeHost::new().with_image(image);
    let call = Invocation::new("extract-features", json!({})).with_attachment(Blob::new("image/png", vec![1]));
    let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
    Descriptor::degrade(&host, call, "classical-descriptor", &down)
}

/// The descriptor of a picture by its colours, which must fit the schema.
fn of(size: Size, colours: impl Fn(f64, f64) -> [u8; 3] + 'static) -> Vec<f64> {
    let output = degraded(FakeImage::new(size).with_colours(colours)).unwrap().unwrap().output;
    calls::assert_fits(schemas::FEATURES_OUTPUT, &output);
    assert_eq!((&output["model"], &output["dimension"]), (&json!(MODEL), &json!(DIMENSION)));
    let numbers: Vec<_> = output["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    let length: f64 = numbers.iter().map(|number| number * number).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    numbers
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn byte(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0) as u8
}

/// A red disc at the left, on green stripes that lean.
fn scene() -> Colour {
    Box::new(|x, y| {
        if (x - 0.3).powi(2) + (y - 0.4).powi(2) < 0.05 {
            return [210, 40, 30];
        }
        let stripe = ((x * 1.5 + y) * 12.0).sin() * 0.5 + 0.5;
        [byte(0.15 + 0.2 * stripe), byte(0.3 + 0.5 * stripe), byte(0.2)]
    })
}

/// A blue square at the lower right of upright brown stripes.
fn other() -> Colour {
    Box::new(|x, y| {
        if x > 0.55 && y > 0.5 && x < 0.9 && y < 0.9 {
            return [30, 60, 200];
        }
        let stripe = (x * 40.0).sin() * 0.5 + 0.5;
        [byte(0.4 + 0.3 * stripe), byte(0.3 + 0.1 * stripe), byte(0.1)]
    })
}

const SIZE: Size = Size { width: 640, height: 480 };

fn changed(change: impl Fn(f64, f64, &Colour) -> [u8; 3] + 'static) -> f64 {
    let scene_of = scene();
    cosine(&of(SIZE, scene()), &of(SIZE, move |x, y| change(x, y, &scene_of)))
}

#[test]
fn the_level_is_such_as_the_host_takes_and_the_fixtures_are_answered() {
    assert_eq!(check_levels(Descriptor::LEVELS), Ok(()));
    assert_eq!(DIMENSION, 272);
    calls::check_fallback::<Descriptor>(env!("CARGO_MANIFEST_DIR"), |_| schemas::FEATURES_OUTPUT);
}

#[test]
fn mirroring_changes_nothing() {
    let same = changed(|x, y, scene| scene(1.0 - x, y));
    assert!((same - 1.0).abs() < 1e-4, "{same}");
    // Turning it over does.
    let turned = changed(|x, y, scene| scene(y, 1.0 - x));
    assert!(turned < 0.97, "{turned}");
}

#[test]
fn size_and_exposure_change_little() {
    let original = of(SIZE, scene());
    for (width, height) in [(64, 48), (200, 150), (1600, 1200), (480, 480)] {
        let scaled = cosine(&original, &of(Size { width, height }, scene()));
        assert!(scaled > 0.97, "{width}x{height}: {scaled}");
    }
    let darker = changed(|x, y, scene| scene(x, y).map(|value| (f64::from(value) * 0.4) as u8));
    assert!(darker > 0.97, "{darker}");
    // As coarse as bad compression: steps of 16.
    let coarse = changed(|x, y, scene| scene(x, y).map(|value| value / 16 * 16 + 8));
    assert!(coarse > 0.95, "{coarse}");
    let noisy = changed(|x, y, scene| {
        let noise = (((x * 12_989.8 + y * 78_233.0).sin() * 43_758.5).fract() * 16.0) as i16;
        scene(x, y).map(|value| (i16::from(value) + noise).clamp(0, 255) as u8)
    });
    assert!(noisy > 0.95, "{noisy}");
}

#[test]
fn without_colours_the_gradients_are_left_and_another_picture_is_further_away() {
    let grey = changed(|x, y, scene| {
        let [red, green, blue] = scene(x, y).map(f64::from);
        [(0.299 * red + 0.587 * green + 0.114 * blue) as u8; 3]
    });
    let another = cosine(&of(SIZE, scene()), &of(SIZE, other()));
    assert!((0.55..0.9).contains(&grey), "{grey}");
    assert!(another < grey - 0.1, "{another} is not less than {grey}");
    let cropped = changed(|x, y, scene| scene(0.1 + 0.8 * x, 0.1 + 0.8 * y));
    assert!(cropped > 0.85 && cropped > another + 0.2, "{cropped} {another}");
}

#[test]
fn a_plain_picture_has_the_features_of_its_colour() {
    let plain = |colour: [u8; 3]| of(SIZE, move |_, _| colour);
    assert!(cosine(&plain([200, 30, 30]), &plain([100, 15, 15])) > 0.97);
    assert!(cosine(&plain([200, 30, 30]), &plain([30, 30, 200])) < 0.5);
    let nearly = of(SIZE, |x, _| [200, 30, if (x * 128.0) as u32 % 2 == 0 { 30 } else { 31 }]);
    assert!(cosine(&plain([200, 30, 30]), &nearly) > 0.99, "noise is not mistaken for edges");
    // Neither colours nor edges: there is no direction, and the next provider is asked.
    let black = degraded(FakeImage::new(SIZE).with_colours(|_, _| [0, 0, 0])).unwrap_err();
    assert_eq!(black.code, "descriptor.no-direction");
}

#[test]
fn a_picture_that_is_only_named_is_passed_on_and_a_broken_one_fails() {
    let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
    let named = Invocation::new("extract-features", json!({ "image_path": "a.jpg" }));
    assert!(Descriptor::degrade(&FakeHost::new(), named, "classical-descriptor", &down).unwrap().is_none());
    let broken = FakeHost::new().with_broken_images(Failure::invalid_request("image.corrupt", "it ends early"));
    let call = Invocation::new("extract-features", json!({})).with_attachment(Blob::new("image/png", vec![1]));
    assert_eq!(Descriptor::degrade(&broken, call, "classical-descriptor", &down).unwrap_err().code, "image.corrupt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_picture_has_a_descriptor_of_length_one_that_mirroring_leaves_alone(
        (width, height) in (1_u32..300, 1_u32..300),
        seed in 0.1_f64..90.0,
    ) {
        let colours = move |x: f64, y: f64| {
            [(seed * x * 7.0).sin(), (seed * y + x).cos(), (seed * (x - y)).sin()].map(|value| byte(0.55 + 0.45 * value))
        };
        let size = Size { width, height };
        let same = cosine(&of(size, colours), &of(size, move |x, y| colours(1.0 - x, y)));
        prop_assert!((same - 1.0).abs() < 1e-3, "{}", same);
    }
}
