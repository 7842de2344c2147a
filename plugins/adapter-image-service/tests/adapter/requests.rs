//! What the service is asked: the examples of the image-processing client, word for word.

use adapter_image_service::ImageService;
use breakwater_guest::testing::FakeHost;
use breakwater_guest::{Blob, Failure, Invocation, Method};
use serde_json::{Value, json};

use crate::calls;

/// A host whose service is down.
fn nobody() -> FakeHost {
    FakeHost::new().answering(|_| Err(Failure::unavailable("upstream.connection", "the service cannot be reached")))
}

/// What was sent for a call with named pictures.
fn sent(operation: &str, input: Value) -> (String, Value) {
    let host = nobody();
    let failure = calls::invoke::<ImageService>(&host, Invocation::new(operation, input)).unwrap_err();
    assert_eq!(failure.code, "upstream.connection");
    let sent = host.sent();
    let one = &sent[0];
    assert_eq!((one.upstream.as_str(), one.request.method, one.request.is_read), ("image-service", Method::Post, true));
    assert_eq!(one.request.header_value("content-type"), Some("application/json"));
    (one.request.path.clone(), one.json())
}

#[test]
fn object_detection_is_asked_as_the_client_does() {
    let example = json!({
        "image_path": "/path/to/image.jpg",
        "detection_types": ["face", "person"],
        "confidence_threshold": 0.7
    });
    assert_eq!(sent("detect-objects", example.clone()), ("/detect".to_owned(), example));
}

#[test]
fn image_cropping_is_asked_as_the_client_does() {
    let example = json!({
        "image_path": "/path/to/image.jpg",
        "target_aspect_ratio": { "width": 4, "height": 6 },
        "detection_results": { "detections": [{ "kind": "face", "confidence": 0.9, "box": { "x": 1, "y": 2, "width": 3, "height": 4 } }] },
        "crop_strategy": "center_faces"
    });
    assert_eq!(sent("crop-image", example.clone()), ("/crop".to_owned(), example));
}

#[test]
fn a_ratio_of_text_or_of_both_edges_is_sent_in_parts_and_store_is_kept_back() {
    let (_, text) = sent("crop-image", json!({ "image_path": "a.jpg", "target_aspect_ratio": "4:6", "store": true }));
    assert_eq!(text, json!({ "image_path": "a.jpg", "target_aspect_ratio": { "width": 4, "height": 6 } }));
    let (_, edges) = sent("crop-image", json!({ "image_path": "a.jpg", "width": 400, "height": 600 }));
    assert_eq!(edges["target_aspect_ratio"], json!({ "width": 400, "height": 600 }));
}

#[test]
fn batch_processing_is_asked_as_the_client_does() {
    let example = json!({
        "images": ["/path/to/image1.jpg", "/path/to/image2.jpg"],
        "processing_options": {
            "target_aspect_ratio": { "width": 4, "height": 6 },
            "crop_strategy": "center",
            "detection_types": ["face"]
        }
    });
    assert_eq!(sent("process-batch", example.clone()), ("/batch".to_owned(), example));
}

#[test]
fn sheet_composition_is_asked_as_the_client_does() {
    let example = json!({
        "processed_images": ["/path/to/processed1.jpg", "/path/to/processed2.jpg"],
        "grid_layout": { "rows": 2, "columns": 2 },
        "sheet_orientation": "portrait",
        "output_format": "pdf"
    });
    assert_eq!(sent("compose-sheet", example.clone()), ("/compose".to_owned(), example));
}

#[test]
fn a_picture_that_is_attached_goes_on_as_a_form() {
    let host = nobody();
    let input = json!({ "detection_types": ["face", "person"], "confidence_threshold": 0.7 });
    let call = Invocation::new("detect-objects", input).with_attachment(Blob::new("image/jpeg", vec![0xff, 0xd8, 0xff]));
    calls::invoke::<ImageService>(&host, call).unwrap_err();
    let sent = host.sent();
    let form = sent[0].form().unwrap();
    assert_eq!(form.field("detection_types"), Some(r#"["face","person"]"#));
    assert_eq!(form.field("confidence_threshold"), Some("0.7"));
    let file = form.parts.iter().find(|part| part.name == "image").unwrap();
    assert_eq!(file.filename.as_deref(), Some("1.jpeg"));
    let picture = form.files("image").next().unwrap();
    assert_eq!((picture.media_type().as_str(), picture.read(0, 9).unwrap()), ("image/jpeg", vec![0xff, 0xd8, 0xff]));
    assert!(sent[0].request.is_read);
}

#[test]
fn an_attached_crop_asks_for_the_picture_and_a_named_one_for_a_path() {
    let input = json!({ "target_aspect_ratio": { "width": 4, "height": 6 }, "crop_strategy": "center" });
    let host = nobody();
    let call = Invocation::new("crop-image", input).with_attachment(Blob::new("image/png", vec![1]));
    calls::invoke::<ImageService>(&host, call).unwrap_err();
    let sent = host.sent();
    assert_eq!(sent[0].request.header_value("accept"), Some("image/*, application/json;q=0.9"));
    assert_eq!(sent[0].form().unwrap().field("target_aspect_ratio"), Some("4:6"));
    drop(sent);
    let named = Invocation::new("crop-image", json!({ "image_path": "a.jpg", "target_aspect_ratio": "1:1" }));
    calls::invoke::<ImageService>(&host, named).unwrap_err();
    assert_eq!(host.sent()[1].request.header_value("accept"), Some("application/json"));
}

#[test]
fn a_picture_is_given_in_one_way() {
    let host = nobody();
    let blob = || Blob::new("image/png", vec![1]);
    let detect = |input: Value| Invocation::new("detect-objects", input);
    for call in [
        detect(json!({})),
        detect(json!({ "image_path": "a" })).with_attachment(blob()),
        detect(json!({})).with_attachment(blob()).with_attachment(blob()),
        Invocation::new("process-batch", json!({})),
        Invocation::new("compose-sheet", json!({ "grid_layout": { "rows": 1, "columns": 1 } })),
    ] {
        assert_eq!(calls::invoke::<ImageService>(&host, call).unwrap_err().code, "operation.image-missing");
    }
    assert!(host.sent().is_empty());
}

#[test]
fn every_path_can_be_set() {
    for (operation, setting, input) in [
        ("detect-objects", "detect_path", json!({ "image_path": "a" })),
        ("crop-image", "crop_path", json!({ "image_path": "a", "target_aspect_ratio": "1:1" })),
        ("process-batch", "batch_path", json!({ "images": ["a"] })),
        ("compose-sheet", "compose_path", json!({ "processed_images": ["a"], "grid_layout": { "rows": 1, "columns": 1 } })),
    ] {
        let host = nobody().with_setting(setting, "/t/{tenant}/v2");
        let mut call = Invocation::new(operation, input);
        call.context.tenant = Some("north".to_owned());
        calls::invoke::<ImageService>(&host, call).unwrap_err();
        assert_eq!(host.sent()[0].request.path, "/t/north/v2", "{operation}");
    }
    let host = nobody().with_setting("detect_path", "detect");
    let call = Invocation::new("detect-objects", json!({ "image_path": "a" }));
    assert_eq!(calls::invoke::<ImageService>(&host, call).unwrap_err().code, "config.invalid");
}

#[test]
fn a_refusal_is_shown_by_status_and_code_and_nothing_else() {
    let body = r#"{"error": "no image at /srv/media/a.jpg", "error_code": "IMAGE_NOT_FOUND", "status_code": 404}"#;
    let host = FakeHost::new().answering(move |_| Err(calls::refused(404, body)));
    let call = Invocation::new("detect-objects", json!({ "image_path": "a.jpg" }));
    let failure = calls::invoke::<ImageService>(&host, call).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.kind), ("upstream.status", breakwater_guest::FailureKind::NotFound));
    let detail: Value = serde_json::from_str(&failure.detail.unwrap()).unwrap();
    assert_eq!(detail, json!({ "status_code": 404, "error_code": "IMAGE_NOT_FOUND" }));
}
