//! What the adapter makes of the service's JSON.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::answered;

fn named() -> Value {
    json!({ "image_path": "a.jpg" })
}

fn crop() -> Value {
    json!({ "image_path": "a.jpg", "target_aspect_ratio": { "width": 4, "height": 6 } })
}

fn cut() -> Value {
    json!({
        "crop": { "x": 10, "y": 0, "width": 400, "height": 600 },
        "image": { "width": 800, "height": 600 },
        "output_path": "/crops/1.png",
        "output": { "width": 400, "height": 600, "format": "png", "media_type": "image/png", "bytes": 1234 },
        "score": 0.75,
        "crop_strategy": "center_faces"
    })
}

#[test]
fn detections_come_by_falling_confidence_with_the_sizes_they_refer_to() {
    let boxed = |x: f64| json!({ "x": x, "y": 2.5, "width": 30, "height": 40 });
    let answer = json!({
        "detections": [
            { "kind": "person", "label": "person", "confidence": 0.6, "box": boxed(1.0), "landmarks": [] },
            { "type": "dog", "confidence": 0.9, "bounding_box": boxed(2.0) },
            { "kind": "face", "confidence": 0.8, "box": boxed(3.0), "landmarks": [{ "x": 4, "y": 5 }] }
        ],
        "image": { "width": 640, "height": 480 },
        "model": "anything"
    });
    let output = answered("detect-objects", named(), answer).unwrap().output;
    let seen: Vec<_> = output["detections"].as_array().unwrap().iter().map(|one| (one["kind"].as_str(), one["label"].as_str())).collect();
    assert_eq!(seen, [(Some("object"), Some("dog")), (Some("face"), Some("face")), (Some("person"), Some("person"))]);
    assert_eq!(output["detections"][1]["landmarks"], json!([{ "x": 4.0, "y": 5.0 }]));
    assert_eq!((&output["image"], &output["detection_types"]), (&json!({ "width": 640, "height": 480 }), &json!(["face", "person"])));
}

#[test]
fn a_cut_comes_with_its_path() {
    let reply = answered("crop-image", crop(), cut()).unwrap();
    assert!(reply.attachments.is_empty());
    assert_eq!(reply.output["crop"], json!({ "x": 10, "y": 0, "width": 400, "height": 600 }));
    assert_eq!((&reply.output["output_path"], &reply.output["score"]), (&json!("/crops/1.png"), &json!(0.75)));
    assert_eq!((&reply.output["crop_strategy"], &reply.output["target_aspect_ratio"]), (&json!("center_faces"), &json!("4:6")));
}

#[test]
fn a_result_without_a_size_has_that_of_the_cut_unless_it_was_to_be_scaled() {
    let mut answer = cut();
    answer.as_object_mut().unwrap().remove("output");
    assert_eq!(answered("crop-image", crop(), answer.clone()).unwrap().output["output"], json!({ "width": 400, "height": 600 }));
    let scaled = json!({ "image_path": "a.jpg", "target_aspect_ratio": "4:6", "width": 100 });
    assert_eq!(answered("crop-image", scaled, answer).unwrap_err().code, "upstream.response-invalid");
}

#[test]
fn a_batch_says_what_became_of_each_picture() {
    let input = json!({ "images": ["a.jpg", "b.jpg"], "processing_options": { "target_aspect_ratio": "4:6", "crop_strategy": "center" } });
    let answer = json!({ "results": [
        { "image_path": "a.jpg", "success": true, "detections": [], "result": cut() },
        { "success": false, "error": { "error_code": "IMAGE_NOT_FOUND", "message": "no image at /srv/b.jpg" } }
    ], "total": 7 });
    let output = answered("process-batch", input.clone(), answer.clone()).unwrap().output;
    assert_eq!((&output["total"], &output["succeeded"], &output["failed"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(
        (&output["results"][0]["result"]["crop_strategy"], &output["results"][1]["image_path"]),
        (&json!("center"), &json!("b.jpg"))
    );
    let error = json!({ "error_code": "IMAGE_NOT_FOUND", "message": "the service could not process this picture" });
    assert_eq!(output["results"][1]["error"], error);
    let mut short = answer;
    short["results"].as_array_mut().unwrap().pop();
    let failure = answered("process-batch", input, short).unwrap_err();
    assert!(failure.message.contains("/results: 1 of them for 2"), "{}", failure.message);
}

#[test]
fn a_sheet_comes_with_its_path() {
    let input = json!({ "processed_images": ["a.jpg"], "grid_layout": { "rows": 2, "columns": 2 }, "sheet_orientation": "portrait", "output_format": "pdf" });
    let answer = json!({ "output_path": "/sheets/1.pdf", "pages": 1, "placed": 1, "file_base64": "AAAA" });
    let reply = answered("compose-sheet", input.clone(), answer).unwrap();
    assert!(reply.attachments.is_empty());
    let expected = json!({
        "output_path": "/sheets/1.pdf",
        "output": { "format": "pdf", "media_type": "application/pdf" },
        "pages": 1,
        "placed": 1,
        "grid_layout": { "rows": 2, "columns": 2 },
        "sheet_orientation": "portrait"
    });
    assert_eq!(reply.output, expected);
    assert_eq!(answered("compose-sheet", input, json!({ "pages": 1 })).unwrap_err().code, "upstream.response-invalid");
}

#[test]
fn what_cannot_be_is_the_services_fault_and_is_named() {
    let image = json!({ "width": 8, "height": 6 });
    let detection = |field: &str, value: Value| {
        let mut one = json!({ "kind": "face", "confidence": 0.5, "box": { "x": 0, "y": 0, "width": 1, "height": 1 } });
        one[field] = value;
        json!({ "detections": [one], "image": image })
    };
    let with = |field: &str, value: Value| {
        let mut answer = cut();
        answer[field] = value;
        answer
    };
    for (operation, answer, names) in [
        ("detect-objects", json!("none"), "invalid type"),
        ("detect-objects", json!({ "image": image }), "detections"),
        ("detect-objects", json!({ "detections": [] }), "image"),
        ("detect-objects", json!({ "detections": [], "image": { "width": 0, "height": 1 } }), "/image"),
        ("detect-objects", detection("confidence", json!(1.5)), "/detections/0/confidence"),
        ("detect-objects", detection("confidence", json!("high")), "/detections/0"),
        ("detect-objects", detection("box", json!({ "x": 0, "y": 0, "width": -1, "height": 1 })), "/detections/0/box"),
        ("detect-objects", detection("landmarks", json!(vec![json!({ "x": 1, "y": 1 }); 17])), "/detections/0/landmarks"),
        ("crop-image", with("crop", json!({ "x": 401, "y": 0, "width": 400, "height": 600 })), "/crop"),
        ("crop-image", with("score", json!(2)), "/score"),
        ("crop-image", with("output_path", json!("")), "/output_path"),
        ("crop-image", with("output", json!({ "width": 0, "height": 1 })), "/output"),
    ] {
        let input = if operation == "crop-image" { crop() } else { named() };
        let failure = answered(operation, input, answer.clone()).unwrap_err();
        assert_eq!(failure.code, "upstream.response-invalid", "{answer}");
        assert!(failure.message.contains(names), "{answer}: {}", failure.message);
    }
}

#[test]
fn more_detections_than_anyone_finds_are_refused() {
    let one = json!({ "kind": "face", "confidence": 0.5, "box": { "x": 0, "y": 0, "width": 1, "height": 1 } });
    let answer = |count: usize| json!({ "detections": vec![one.clone(); count], "image": { "width": 8, "height": 6 } });
    assert!(answered("detect-objects", named(), answer(10_000)).is_ok());
    assert_eq!(answered("detect-objects", named(), answer(10_001)).unwrap_err().code, "upstream.response-invalid");
}

const NAMES: &[&str] =
    &["detections", "image", "kind", "label", "confidence", "box", "x", "y", "width", "height", "crop", "output", "score"];

/// Any JSON, often with the names that the service uses.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3000).prop_map(Value::from),
        (-0.5_f64..2.0).prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop::sample::select(NAMES).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `answered` checks the output against the schema: whatever the service says, the guest is not to blame.
    #[test]
    fn whatever_the_service_says_fits_the_schema_or_is_its_fault(
        kind in prop_oneof![Just("face".to_owned()), ".{1,90}".prop_map(String::from)],
        label in prop::option::of(".{0,90}"),
        confidence in -0.2_f64..1.2,
        edges in prop::array::uniform4(-50.0_f64..5000.0),
        rect in prop::array::uniform4(0_u32..900),
        odd in any_json(),
        place in prop::sample::select(["detections", "image", "crop", "output", "score", "output_path", "reasons", "crop_strategy"].as_slice()),
    ) {
        let [x, y, width, height] = edges;
        let one = json!({ "kind": kind, "label": label, "confidence": confidence, "box": { "x": x, "y": y, "width": width, "height": height } });
        let mut found = json!({ "detections": [one], "image": { "width": 800, "height": 600 } });
        let mut made = cut();
        made["crop"] = json!({ "x": rect[0], "y": rect[1], "width": rect[2], "height": rect[3] });
        made["detections"] = found["detections"].clone();
        for (operation, input, answer) in [("detect-objects", named(), &found), ("crop-image", crop(), &made), ("detect-objects", named(), &odd)] {
            if let Err(failure) = answered(operation, input, answer.clone()) {
                prop_assert_eq!(failure.code, "upstream.response-invalid");
            }
        }
        found[place] = odd.clone();
        made[place] = odd;
        for (operation, input, answer) in [("detect-objects", named(), found), ("crop-image", crop(), made)] {
            if let Err(failure) = answered(operation, input, answer) {
                prop_assert_eq!(failure.code, "upstream.response-invalid");
            }
        }
    }
}
