//! What is found in the shipped photographs.

use breakwater_tests::client::Field;
use breakwater_tests::photographs::Photograph;
use serde_json::json;

use crate::support::{Area, assert_problem, client, found, ok};

#[tokio::test]
async fn the_faces_of_the_shipped_photographs_are_found_and_no_others() {
    let client = client();
    for (name, expected) in [
        ("astronaut.png", Some([178.3, 63.2, 89.4, 112.6])),
        ("camera.png", Some([195.6, 113.2, 60.5, 80.7])),
        ("chelsea.png", None),
        ("coffee.png", None),
        ("china.jpg", None),
    ] {
        let photograph = Photograph::shipped(name).unwrap();
        let answer = client.detect(&photograph.bytes, &[("detection_types", &"face"), ("confidence_threshold", &0.8)]).await.unwrap();
        let faces = found(&ok(&answer));
        assert_eq!(faces.len(), usize::from(expected.is_some()), "{name}: {faces:?}");
        if let (Some([x, y, width, height]), [face]) = (expected, faces.as_slice()) {
            assert!(face.area.iou(&Area { x, y, width, height }) > 0.9, "{name}: {face:?}");
            assert_eq!((face.kind.as_str(), face.label.as_str(), face.landmarks.len()), ("face", "face", 5));
        }
    }
}

#[tokio::test]
async fn people_and_objects_are_found_when_they_are_asked_for() {
    let client = client();
    let astronaut = Photograph::shipped("astronaut.png").unwrap();
    let people = found(&ok(&client.detect(&astronaut.bytes, &[("detection_types", &"person")]).await.unwrap()));
    assert!(people.iter().any(|found| found.area.iou(&Area { x: 14.2, y: 14.4, width: 350.0, height: 493.5 }) > 0.7), "{people:?}");
    assert!(people.iter().all(|found| found.kind == "person"));
    let coffee = Photograph::shipped("coffee.png").unwrap();
    let objects =
        found(&ok(&client.detect(&coffee.bytes, &[("detection_types", &"object"), ("confidence_threshold", &0.4)]).await.unwrap()));
    assert!(objects.iter().any(|found| found.label == "dining table"), "{objects:?}");
}

#[tokio::test]
async fn the_threshold_is_the_least_confidence_reported() {
    let client = client();
    let photograph = Photograph::shipped("camera.png").unwrap();
    let count = async |threshold: f64| {
        let fields: [Field<'_>; 2] = [("detection_types", &"face"), ("confidence_threshold", &threshold)];
        found(&ok(&client.detect(&photograph.bytes, &fields).await.unwrap())).len()
    };
    // The face has a confidence of 0.89.
    assert_eq!((count(0.8).await, count(0.95).await), (1, 0));
    let beyond = client.detect(&photograph.bytes, &[("confidence_threshold", &1.5)]).await.unwrap();
    assert_problem(&beyond, 400, "detect.threshold-invalid");
}

#[tokio::test]
async fn an_unknown_type_is_refused() {
    let photograph = Photograph::shipped("camera.png").unwrap();
    let answer = client().detect(&photograph.bytes, &[("detection_types", &"face,ghost")]).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.beginning());
    assert!(answer.beginning().contains("ghost"), "{}", answer.beginning());
}

#[tokio::test]
async fn a_request_needs_exactly_one_picture() {
    let client = client();
    let none = client.post("/v1/detect", &json!({})).await.unwrap();
    assert_problem(&none, 400, "request.image-missing");
    let two = client.post("/v1/detect", &json!({ "image_path": "a.png", "image_base64": "eA==" })).await.unwrap();
    assert_problem(&two, 400, "request.image-ambiguous");
    let misspelt = client.post("/v1/detect", &json!({ "image_pth": "a.png" })).await.unwrap();
    assert_problem(&misspelt, 400, "request.unknown-field");
    assert!(misspelt.beginning().contains("image_path"));
}
