//! What is said about pictures that nobody looked at.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

use breakwater_guest::testing::{FakeHost, FakeImage, check_levels};
use breakwater_guest::{AspectRatio, Blob, Failure, Fallback, Invocation, Reply, Size};
use fallback_vision::Vision;
use image_model::schemas;
use proptest::prelude::*;
use serde_json::{Value, json};

fn schema(operation: &str) -> &'static str {
    match operation {
        "crop-image" => schemas::CROP_OUTPUT,
        "detect-objects" => schemas::DETECT_OUTPUT,
        other => panic!("no operation {other}"),
    }
}

fn degraded(operation: &str, level: &str, size: Size, input: Value) -> Result<Option<Reply>, Failure> {
    let host = FakeHost::new().with_image(FakeImage::new(size));
    let call = Invocation::new(operation, input).with_attachment(Blob::new("image/png", vec![1]));
    let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
    Vision::degrade(&host, call, level, &down)
}

#[test]
fn the_levels_are_such_as_the_host_takes() {
    assert_eq!(check_levels(Vision::LEVELS), Ok(()));
    let levels: Vec<_> = Vision::LEVELS.iter().map(|level| (level.operation, level.name)).collect();
    assert_eq!(levels, [("crop-image", "center-crop"), ("detect-objects", "whole-image")]);
}

#[test]
fn the_fixtures_of_the_manifest_are_answered_as_it_says() {
    calls::check_fallback::<Vision>(env!("CARGO_MANIFEST_DIR"), schema);
}

#[test]
fn what_covers_the_picture_is_below_every_threshold_and_no_face() {
    let size = Size { width: 640, height: 480 };
    let output = degraded("detect-objects", "whole-image", size, json!({ "confidence_threshold": 0.5 })).unwrap().unwrap().output;
    let whole = &output["detections"][0];
    assert_eq!((&whole["kind"], &whole["label"], &whole["confidence"]), (&json!("object"), &json!(fallback_vision::LABEL), &json!(0.01)));
    assert_eq!((&output["detection_types"], &output["device"]), (&json!(["face", "person"]), &json!("none")));
}

#[test]
fn the_size_of_the_result_follows_from_what_was_given_of_it() {
    let size = Size { width: 1000, height: 500 };
    for (input, expected) in [
        (json!({ "target_aspect_ratio": "4:6" }), (333, 500)),
        (json!({ "target_aspect_ratio": "4:6", "width": 401 }), (401, 602)),
        (json!({ "target_aspect_ratio": "4:6", "height": 600 }), (400, 600)),
        (json!({ "width": 400, "height": 600 }), (400, 600)),
        (json!({ "target_aspect_ratio": "10000:1", "width": 1 }), (1, 1)),
    ] {
        let output = degraded("crop-image", "center-crop", size, input.clone()).unwrap().unwrap().output;
        assert_eq!(output["output"], json!({ "width": expected.0, "height": expected.1 }), "{input}");
    }
}

#[test]
fn a_picture_that_is_only_named_is_passed_on_and_a_broken_one_fails() {
    let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
    let named = Invocation::new("detect-objects", json!({ "image_path": "a.jpg" }));
    assert!(Vision::degrade(&FakeHost::new(), named, "whole-image", &down).unwrap().is_none());
    let broken = FakeHost::new().with_broken_images(Failure::invalid_request("image.corrupt", "it ends early"));
    let call = Invocation::new("detect-objects", json!({})).with_attachment(Blob::new("image/png", vec![1]));
    assert_eq!(Vision::degrade(&broken, call, "whole-image", &down).unwrap_err().code, "image.corrupt");
}

proptest! {
    #[test]
    fn every_picture_is_cut_in_its_middle(
        (width, height) in (1_u32..30_000, 1_u32..30_000),
        (across, down) in (1_u32..=10_000, 1_u32..=10_000),
    ) {
        let (size, ratio) = (Size { width, height }, AspectRatio { width: across, height: down });
        let input = json!({ "target_aspect_ratio": { "width": across, "height": down } });
        let output = degraded("crop-image", "center-crop", size, input).unwrap().unwrap().output;
        calls::assert_fits(schemas::CROP_OUTPUT, &output);
        let edge = |name: &str| u32::try_from(output["crop"][name].as_u64().unwrap()).unwrap();
        prop_assert_eq!((edge("width"), edge("height")), { let largest = ratio.largest_in(size); (largest.width, largest.height) });
        let off = |start: u32, length: u32, whole: u32| (2 * start + length).abs_diff(whole);
        prop_assert!(off(edge("x"), edge("width"), width) <= 1 && off(edge("y"), edge("height"), height) <= 1);
    }
}
