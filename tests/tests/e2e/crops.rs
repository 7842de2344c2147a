//! Crops of the shipped photographs: every strategy at every ratio, by form and by JSON.

use std::fmt::Display;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use breakwater_tests::photographs::{self, Photograph};
use serde_json::json;

use crate::support::{self, RATIOS, assert_problem, assert_valid, client, crop_of, found, ok};

const STRATEGIES: [&str; 7] = ["center", "center_faces", "attention", "entropy", "thirds", "portrait", "subjects"];

/// A form with a ratio, a strategy and more fields.
macro_rules! fields {
    ($ratio:expr, $strategy:expr $(, $name:literal = $value:expr)* $(,)?) => {
        &[("target_aspect_ratio", &$ratio as &(dyn Display + Sync)), ("crop_strategy", &$strategy) $(, ($name, &$value))*]
    };
}

#[tokio::test]
async fn every_strategy_gives_a_valid_rectangle_for_every_photograph_and_ratio() {
    let client = client();
    for photograph in photographs::shipped().unwrap() {
        for strategy in STRATEGIES {
            for ratio in RATIOS {
                let text = format!("{}:{}", ratio.0, ratio.1);
                let answer = ok(&client.crop(&photograph.bytes, fields!(text, strategy, "width" = 64)).await.unwrap());
                let what = format!("{} {strategy} {text}: {answer}", photograph.name);
                assert_valid(&crop_of(&answer), (photograph.width, photograph.height), ratio);
                assert_eq!(answer["degraded"], false, "{what}");
                let score = answer["score"].as_f64().unwrap();
                assert!((0.0..=1.0).contains(&score), "{what}");
                assert!(!answer["reasons"].as_array().unwrap().is_empty() || strategy == "center", "{what}");
                let plugin = answer["plugin"]["id"].as_str().unwrap();
                assert!(plugin.starts_with("crop-"), "{what}");
                assert!(answer["plugin"]["digest"].as_str().unwrap().len() >= 32, "{what}");
                assert_eq!(answer["served_by"].as_str().unwrap().split('@').next().unwrap(), format!("plugin:{plugin}"), "{what}");
                assert!(answer["timings_ms"]["total"].as_f64().unwrap() > 0.0, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn center_faces_keeps_every_face_when_a_window_can() {
    let client = client();
    for name in ["astronaut.png", "camera.png"] {
        let photograph = Photograph::shipped(name).unwrap();
        for ratio in RATIOS {
            let text = format!("{}:{}", ratio.0, ratio.1);
            let answer = ok(&client.crop(&photograph.bytes, fields!(text, "center_faces")).await.unwrap());
            let faces: Vec<_> = found(&answer).into_iter().filter(|found| found.kind == "face" && found.confidence >= 0.8).collect();
            assert_eq!(faces.len(), 1, "{name}");
            // One face of a fifth of the picture fits any of these windows.
            assert!(crop_of(&answer).holds(&faces[0].area), "{name} {text}: {answer}");
        }
    }
}

#[tokio::test]
async fn json_takes_the_names_of_the_image_processing_client() {
    let client = client();
    let photograph = Photograph::shipped("astronaut.png").unwrap();
    std::fs::write(support::shared().media_root().join("astronaut.png"), &photograph.bytes).unwrap();
    let detections =
        ok(&client.post("/v1/detect", &json!({ "image_path": "/astronaut.png", "detection_types": ["face", "person"] })).await.unwrap());
    let request = json!({
        "image_path": "/astronaut.png",
        "target_aspect_ratio": { "width": 4, "height": 6 },
        "detection_results": detections,
        "crop_strategy": "center_faces",
    });
    let answer = ok(&client.post("/v1/crop", &request).await.unwrap());
    assert_valid(&crop_of(&answer), (512, 512), (4, 6));
    let face = found(&detections).into_iter().find(|found| found.kind == "face").unwrap();
    assert!(crop_of(&answer).holds(&face.area));
}

#[tokio::test]
async fn the_same_picture_gives_the_same_crop_as_form_path_and_base64() {
    let client = client();
    let photograph = Photograph::shipped("chelsea.png").unwrap();
    std::fs::write(support::shared().media_root().join("chelsea.png"), &photograph.bytes).unwrap();
    let ratio = json!({ "width": 1, "height": 1 });
    let path = json!({ "image_path": "chelsea.png", "target_aspect_ratio": ratio, "crop_strategy": "attention" });
    let base64 =
        json!({ "image_base64": BASE64_STANDARD.encode(&photograph.bytes), "target_aspect_ratio": ratio, "crop_strategy": "attention" });
    let by_form = ok(&client.crop(&photograph.bytes, fields!("1:1", "attention")).await.unwrap());
    for request in [path, base64] {
        let answer = ok(&client.post("/v1/crop", &request).await.unwrap());
        assert_eq!(answer["crop"], by_form["crop"]);
        assert_eq!(answer["output_path"], by_form["output_path"], "the same picture is the same file");
    }
}

#[tokio::test]
async fn the_output_path_can_be_cropped_again() {
    let client = client();
    let photograph = Photograph::shipped("coffee.png").unwrap();
    let first = ok(&client.crop(&photograph.bytes, fields!("1:1", "center", "output_format" = "png")).await.unwrap());
    let path = first["output_path"].as_str().unwrap();
    let file = Photograph::read(&support::shared().media_root().join(path.trim_start_matches('/'))).unwrap();
    assert_eq!((file.width, file.height), (400, 400));
    let request = json!({ "image_path": path, "target_aspect_ratio": { "width": 16, "height": 9 }, "crop_strategy": "center" });
    let second = ok(&client.post("/v1/crop", &request).await.unwrap());
    assert_valid(&crop_of(&second), (400, 400), (16, 9));
}

#[tokio::test]
async fn given_detections_are_used_and_nothing_is_inferred() {
    let client = client();
    let photograph = Photograph::shipped("china.jpg").unwrap();
    // There is no face in this picture: only a made up one can pull the crop to the left edge.
    let face = json!({ "kind": "face", "confidence": 0.95, "box": { "x": 20, "y": 180, "width": 60, "height": 80 } });
    std::fs::write(support::shared().media_root().join("china.jpg"), &photograph.bytes).unwrap();
    let request = json!({
        "image_path": "china.jpg",
        "target_aspect_ratio": { "width": 9, "height": 16 },
        "crop_strategy": "center_faces",
        "detection_results": { "detections": [face] },
    });
    let answer = ok(&client.post("/v1/crop", &request).await.unwrap());
    let crop = crop_of(&answer);
    assert!(crop.x <= 20.0 && crop.right() >= 80.0 && crop.right() < 400.0, "{answer}");
    assert_eq!(found(&answer).len(), 1);
    let detecting = answer["timings_ms"]["detect"].as_f64().unwrap();
    assert!(detecting < 1.0, "{detecting} ms went into detection");
}

#[tokio::test]
async fn width_and_height_set_the_size_of_the_result() {
    let client = client();
    let photograph = Photograph::shipped("china.jpg").unwrap();
    for (width, height, ratio) in [(120, 180, "4:6"), (160, 90, "16:9")] {
        let form = fields!(ratio, "center", "width" = width, "height" = height, "output_format" = "png");
        let answer = client.post_picture("/v1/crop", &photograph.bytes, form, "image/png").await.unwrap();
        let picture = image::load_from_memory(&answer.body).unwrap();
        assert_eq!((picture.width(), picture.height()), (width, height));
    }
}

#[tokio::test]
async fn what_cannot_be_cut_is_refused_with_its_reason() {
    let client = client();
    let photograph = Photograph::shipped("coffee.png").unwrap();
    for (ratio, strategy, field, value, code) in [
        ("4:0", "center", "quality", "80", "crop.ratio-invalid"),
        ("1:1", "centre", "quality", "80", "strategy.unknown"),
        ("1:1", "center", "quality", "0", "crop.quality-invalid"),
        ("1:1", "center", "width", "0", "crop.size-invalid"),
        ("1:1", "center_faces", "strategy_parameters", "{\"no_such\":1}", "strategy.parameters-invalid"),
    ] {
        let answer = client
            .crop(&photograph.bytes, &[("target_aspect_ratio", &ratio), ("crop_strategy", &strategy), (field, &value)])
            .await
            .unwrap();
        assert_problem(&answer, 400, code);
    }
}

#[tokio::test]
async fn an_unknown_strategy_is_answered_with_the_one_that_was_meant() {
    let photograph = Photograph::shipped("coffee.png").unwrap();
    let answer = client().crop(&photograph.bytes, fields!("1:1", "center_face")).await.unwrap();
    assert_problem(&answer, 400, "strategy.unknown");
    assert!(answer.beginning().contains("center_faces"), "{}", answer.beginning());
}
