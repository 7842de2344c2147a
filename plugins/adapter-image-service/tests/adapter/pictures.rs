//! Answers that are pictures, or hold them.

use adapter_image_service::ImageService;
use breakwater_guest::testing::{FakeHost, FakeImage};
use breakwater_guest::{Blob, Body, Failure, Invocation, Reply, Response, Size};
use serde_json::{Value, json};

use crate::calls;

fn attached() -> Invocation {
    let input = json!({ "target_aspect_ratio": { "width": 4, "height": 6 }, "crop_strategy": "center_faces" });
    Invocation::new("crop-image", input).with_attachment(Blob::new("image/png", vec![1]))
}

/// A picture of 400 by 600 with these headers.
fn picture(headers: &'static [(&str, &str)]) -> FakeHost {
    let host = FakeHost::new().with_image(FakeImage::new(Size { width: 400, height: 600 }));
    host.answering(move |_| {
        let mut answer = Response::of_bytes("image/jpeg", Vec::new());
        answer.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Ok(Response { body: Body::Blob(Blob::new("image/jpeg", vec![7; 99])), ..answer })
    })
}

fn cropped(host: &FakeHost) -> Result<Reply, Failure> {
    calls::invoke::<ImageService>(host, attached())
}

#[test]
fn a_picture_is_attached_and_its_headers_say_where_it_was_cut() {
    let host = picture(&[("x-crop", "10, 0, 800,1200"), ("x-image-size", "1600x1200"), ("x-crop-score", "0.5")]);
    let reply = cropped(&host).unwrap();
    assert_eq!((reply.attachments.len(), reply.attachments[0].length()), (1, 99));
    let expected = json!({
        "crop": { "x": 10, "y": 0, "width": 800, "height": 1200 },
        "image": { "width": 1600, "height": 1200 },
        "output": { "width": 400, "height": 600, "format": "jpeg", "media_type": "image/jpeg", "bytes": 99 },
        "crop_strategy": "center_faces",
        "target_aspect_ratio": "4:6",
        "score": 0.5
    });
    assert_eq!(reply.output, expected);
}

#[test]
fn a_picture_without_its_place_cannot_be_used() {
    for host in [
        picture(&[]),
        picture(&[("x-crop", "0,0,8,6")]),
        picture(&[("x-crop", "0,0,8"), ("x-image-size", "8x6")]),
        picture(&[("x-crop", "0,0,8,6,1"), ("x-image-size", "8x6")]),
        picture(&[("x-crop", "0,0,9,6"), ("x-image-size", "8x6")]),
        picture(&[("x-crop", "0,0,-8,6"), ("x-image-size", "8x6")]),
    ] {
        assert_eq!(cropped(&host).unwrap_err().code, "upstream.response-invalid");
    }
}

#[test]
fn what_only_says_that_it_is_a_picture_goes_no_further() {
    let broken = Failure::invalid_request("image.unsupported", "this is no picture");
    let host = picture(&[("x-crop", "0,0,8,6"), ("x-image-size", "8x6")]).with_broken_images(broken);
    let failure = cropped(&host).unwrap_err();
    assert_eq!(failure.code, "upstream.response-invalid");
    assert!(failure.message.contains("image.unsupported"), "{}", failure.message);
}

fn with_inline(field: &'static str, base64: String, path: Option<&str>) -> FakeHost {
    let mut answer = json!({
        "crop": { "x": 0, "y": 0, "width": 4, "height": 6 },
        "image": { "width": 8, "height": 6 },
        "output": { "width": 4, "height": 6, "media_type": "image/png" }
    });
    answer[field] = base64.into();
    if let Some(path) = path {
        answer["output_path"] = path.into();
    }
    FakeHost::new().answering(move |_| Ok(Response::of_json(&answer)))
}

#[test]
fn a_picture_inside_of_the_json_is_attached() {
    let reply = cropped(&with_inline("image_base64", "iVBORw==".to_owned(), Some("/crops/1.png"))).unwrap();
    assert_eq!(reply.output.get("output_path"), None, "a path of another machine");
    assert_eq!(reply.attachments[0].media_type(), "image/png");
    assert_eq!(reply.attachments[0].read(0, 9).unwrap(), b"\x89PNG");
    for broken in ["iVBORw", "*", "iVBO Rw=="] {
        assert_eq!(cropped(&with_inline("image_base64", broken.to_owned(), None)).unwrap_err().code, "upstream.response-invalid");
    }
}

#[test]
fn a_path_is_taken_when_the_picture_itself_does_not_come_along() {
    let named = |base64: &str| {
        let input = json!({ "image_path": "a.jpg", "target_aspect_ratio": "4:6", "store": true });
        let field = if base64.is_empty() { "nothing" } else { "image_base64" };
        let host = with_inline(field, base64.to_owned(), Some("/crops/1.png"));
        let reply = calls::invoke::<ImageService>(&host, Invocation::new("crop-image", input)).unwrap();
        (reply.output.get("output_path").is_some(), reply.attachments.len())
    };
    assert_eq!([named(""), named("iVBORw==")], [(true, 0), (false, 1)]);
    assert_eq!(named(&"A".repeat(1_398_108)), (true, 0), "too large to be taken out of JSON");
    let reply = cropped(&with_inline("nothing", String::new(), Some("/crops/1.png"))).unwrap();
    assert_eq!((reply.output["output_path"].as_str(), reply.attachments.len()), (Some("/crops/1.png"), 0));
}

#[test]
fn a_picture_inside_of_the_json_has_at_most_a_mebibyte() {
    let of = |bytes: usize| with_inline("image_base64", "A".repeat(bytes.div_ceil(3) * 4), None);
    assert_eq!(cropped(&of(1 << 20)).unwrap().attachments.len(), 1);
    assert_eq!(cropped(&of((1 << 20) + 3)).unwrap_err().code, "upstream.response-invalid");
}

#[test]
fn an_answer_without_any_picture_cannot_be_used() {
    assert_eq!(cropped(&with_inline("nothing", String::new(), None)).unwrap_err().code, "upstream.response-invalid");
}

#[test]
fn a_sheet_is_attached_as_it_comes() {
    let input = json!({ "grid_layout": { "rows": 1, "columns": 2 }, "output_format": "pdf" });
    let call = Invocation::new("compose-sheet", input)
        .with_attachment(Blob::new("image/png", vec![1]))
        .with_attachment(Blob::new("image/png", vec![2]));
    let host = FakeHost::new().answering(|sent| {
        assert_eq!(sent.form().map(|form| form.files("processed_images").count()), Some(2));
        Ok(Response::of_bytes("application/pdf", b"%PDF-1.4".to_vec()))
    });
    let reply = calls::invoke::<ImageService>(&host, call).unwrap();
    let expected: Value = json!({
        "output": { "format": "pdf", "media_type": "application/pdf", "bytes": 8 },
        "grid_layout": { "rows": 1, "columns": 2 }
    });
    assert_eq!((reply.output, reply.attachments[0].read(0, 4).unwrap()), (expected, b"%PDF".to_vec()));
}
