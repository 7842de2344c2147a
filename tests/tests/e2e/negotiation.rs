//! What comes back is what the client says it takes.

use breakwater_tests::client::{Answer, Field};
use breakwater_tests::photographs::Photograph;

use crate::support::{assert_problem, client};

async fn crop(accept: &str, format: Option<&str>) -> Answer {
    let photograph = Photograph::shipped("coffee.png").unwrap();
    let format = format.unwrap_or_default();
    let all: [Field<'_>; 3] = [("target_aspect_ratio", &"1:1"), ("crop_strategy", &"center"), ("output_format", &format)];
    let fields = if format.is_empty() { &all[..2] } else { &all[..] };
    client().post_picture("/v1/crop", &photograph.bytes, fields, accept).await.unwrap()
}

#[tokio::test]
async fn a_picture_comes_with_its_decision_in_headers() {
    let answer = crop("image/*", Some("jpeg")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"));
    let picture = image::load_from_memory(&answer.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (400, 400));
    let decision: Vec<_> =
        answer.headers.keys().filter(|name| name.as_str().starts_with("x-breakwater-")).map(ToString::to_string).collect();
    for name in ["crop", "strategy", "score", "served-by", "degraded"] {
        assert!(decision.contains(&format!("x-breakwater-{name}")), "{name} is not among {decision:?}");
    }
    assert_eq!(answer.header("x-breakwater-degraded"), "false");
}

#[tokio::test]
async fn every_output_format_is_what_it_says() {
    for (format, media_type, magic) in [
        ("jpeg", "image/jpeg", b"\xff\xd8\xff".as_slice()),
        ("png", "image/png", b"\x89PNG"),
        ("webp", "image/webp", b"RIFF"),
        ("avif", "image/avif", b"\0\0\0"),
    ] {
        let answer = crop("image/*", Some(format)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{}", answer.beginning());
        assert!(answer.body.starts_with(magic), "{format}");
        assert_eq!(crop(media_type, None).await.header("content-type"), media_type);
    }
}

#[tokio::test]
async fn json_is_the_answer_when_nothing_is_said() {
    for accept in ["application/json", "*/*"] {
        let answer = crop(accept, None).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.json().unwrap()["output_path"].is_string());
    }
}

#[tokio::test]
async fn what_nobody_can_give_is_not_acceptable() {
    assert_problem(&crop("text/html", None).await, 406, "http.not-acceptable");
    assert_problem(&crop("image/webp", Some("png")).await, 406, "http.not-acceptable");
}
