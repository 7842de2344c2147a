//! What the service is asked.

use adapter_clip_service::ClipService;
use breakwater_guest::testing::FakeHost;
use breakwater_guest::{Blob, Failure, FailureKind, Invocation, Method};
use serde_json::json;

use crate::{call, calls};

/// A host whose service is down.
fn nobody() -> FakeHost {
    FakeHost::new().answering(|_| Err(Failure::unavailable("upstream.connection", "the service cannot be reached")))
}

#[test]
fn a_picture_goes_as_the_file_of_a_form() {
    let host = nobody();
    let failure = calls::invoke::<ClipService>(&host, call("extract-features", 1)).unwrap_err();
    assert_eq!(failure.code, "upstream.connection");
    let sent = host.sent();
    let request = &sent[0].request;
    assert_eq!((sent[0].upstream.as_str(), request.method, request.path.as_str()), ("clip-service", Method::Post, "/extract-features"));
    assert!(request.is_read, "it may be repeated");
    assert_eq!(request.header_value("accept"), Some("application/json"));
    let parts = &sent[0].form().unwrap().parts;
    let named: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.filename.as_deref())).collect();
    assert_eq!(named, [("file", Some("1.jpeg"))]);
    let picture = sent[0].form().unwrap().files("file").next().unwrap();
    assert_eq!((picture.media_type().as_str(), picture.read(0, 9).unwrap()), ("image/jpeg", vec![0xff, 0xd8, 0xff]));
}

#[test]
fn many_pictures_go_as_files_in_their_order() {
    let host = nobody();
    let call = call("extract-features-batch", 2).with_attachment(Blob::new("image/x y", vec![7]));
    calls::invoke::<ClipService>(&host, call).unwrap_err();
    let sent = host.sent();
    assert_eq!(sent[0].request.path, "/extract-features-batch");
    let parts = &sent[0].form().unwrap().parts;
    let named: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.filename.as_deref())).collect();
    assert_eq!(named, [("files", Some("1.jpeg")), ("files", Some("2.jpeg")), ("files", Some("3.bin"))]);
}

#[test]
fn the_paths_are_the_operators() {
    let host = nobody().with_setting("extract_path", "/v2/extract").with_setting("batch_path", "/v2/batch?size=9");
    for operation in ["extract-features", "extract-features-batch"] {
        calls::invoke::<ClipService>(&host, call(operation, 1)).unwrap_err();
    }
    let paths: Vec<_> = host.sent().iter().map(|sent| sent.request.path.clone()).collect();
    assert_eq!(paths, ["/v2/extract", "/v2/batch?size=9"]);
}

#[test]
fn what_the_service_cannot_be_asked_is_not_sent() {
    let host = nobody();
    let asked = |input: serde_json::Value, pictures: usize| {
        let call = Invocation { input, ..call("extract-features", pictures) };
        let failure = calls::invoke::<ClipService>(&host, call).unwrap_err();
        (failure.kind, failure.code)
    };
    // The next provider may have the file.
    assert_eq!(asked(json!({ "image_path": "/a.jpg" }), 0), (FailureKind::Other, "operation.image-not-attached".to_owned()));
    // So may it have the model.
    assert_eq!(asked(json!({ "model": "another" }), 1), (FailureKind::NotFound, "embedder.other-model".to_owned()));
    assert_eq!(asked(json!({ "model": "clip-vit-base-patch32" }), 1).1, "upstream.connection");
    for (input, pictures) in [(json!({}), 0), (json!({}), 2), (json!({ "image_path": "/a.jpg" }), 1)] {
        assert_eq!(asked(input, pictures), (FailureKind::InvalidRequest, "operation.image-missing".to_owned()));
    }
    let failure = calls::invoke::<ClipService>(&host, call("extract-features-batch", 0)).unwrap_err();
    assert_eq!(failure.code, "operation.image-missing");
    assert_eq!(host.sent().len(), 1);
    for (key, value) in [("dimension", "0"), ("dimension", "16385"), ("dimension", "many"), ("model", "")] {
        let failure = calls::invoke::<ClipService>(&nobody().with_setting(key, value), call("extract-features", 1)).unwrap_err();
        assert_eq!(failure.code, "config.invalid", "{key} {value}");
    }
}

#[test]
fn a_refusal_reaches_the_caller_without_the_services_words() {
    let host = FakeHost::new().answering(|_| Err(calls::refused(400, r#"{"detail": "cannot open /srv/upload/1.jpeg"}"#)));
    let failure = calls::invoke::<ClipService>(&host, call("extract-features", 1)).unwrap_err();
    assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::InvalidRequest, "upstream.status"));
    assert!(!failure.detail.unwrap().contains("/srv"));
}
