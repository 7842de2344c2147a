//! Pictures that nobody should send: each is answered with a clear error, or cropped if it is only strange.

use std::fs;

use breakwater_tests::client::Field;
use breakwater_tests::forged;
use breakwater_tests::photographs::Photograph;
use breakwater_tests::service::Launch;
use bytes::Bytes;
use image::ImageFormat;

use crate::support::{RATIOS, assert_problem, assert_valid, client, crop_of, ok, start};

const CENTER: [Field<'static>; 3] = [("target_aspect_ratio", &"1:1"), ("crop_strategy", &"center"), ("output_format", &"png")];

#[tokio::test]
async fn broken_and_foreign_files_are_told_apart() {
    let client = client();
    let png = Photograph::shipped("coffee.png").unwrap().bytes;
    let jpeg = Photograph::shipped("china.jpg").unwrap().bytes;
    let mut damaged = png.to_vec();
    damaged[png.len() / 2] ^= 0x55;
    for (what, bytes, status, code) in [
        ("half a PNG", png.slice(..png.len() / 2), 400, "image.corrupt"),
        ("a damaged PNG", damaged.into(), 400, "image.corrupt"),
        ("the start of a JPEG", jpeg.slice(..300), 400, "image.corrupt"),
        ("text", Bytes::from_static(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "image.unsupported"),
        ("nothing", Bytes::new(), 415, "image.unsupported"),
    ] {
        for path in ["/v1/crop", "/v1/detect"] {
            let fields = if path == "/v1/crop" { &CENTER[..] } else { &[] };
            let answer = client.post_picture(path, &bytes, fields, "application/json").await.unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what} to {path}: {}", answer.beginning());
            assert_problem(&answer, status, code);
        }
    }
}

#[tokio::test]
async fn a_wrong_name_does_not_matter_because_contents_are_looked_at() {
    let png = Photograph::shipped("coffee.png").unwrap();
    fs::write(crate::support::shared().media_root().join("mislabelled.jpg"), &png.bytes).unwrap();
    let request = serde_json::json!({ "image_path": "mislabelled.jpg", "target_aspect_ratio": { "width": 1, "height": 1 }, "crop_strategy": "center" });
    ok(&client().post("/v1/crop", &request).await.unwrap());
}

#[tokio::test]
async fn bombs_are_refused_by_their_header_and_cost_no_memory() {
    let (service, client) = start(Launch::with_plugins().unwrap());
    ok(&client.crop(&Photograph::shipped("coffee.png").unwrap().bytes, &CENTER).await.unwrap());
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = peak();
    for (what, bytes, code) in [
        ("a PNG that promises 60000x50000", forged::png_header(60_000, 50_000), "image.edge-too-long"),
        ("a PNG that promises 20000x20000", forged::png_header(20_000, 20_000), "image.too-many-pixels"),
        ("a GIF that promises 9000x9000", forged::gif_header(9_000, 9_000, 1), "image.too-many-pixels"),
        ("a GIF of 2000 frames of 500x500", forged::gif_header(500, 500, 2000), "image.too-many-pixels"),
        ("a real PNG of 60 megapixels", forged::plain_png(10_000, 6_000).unwrap(), "image.too-many-pixels"),
    ] {
        let answer = client.crop(&bytes, &CENTER).await.unwrap();
        assert_eq!(answer.code(), code, "{what}: {}", answer.beginning());
        assert_problem(&answer, 422, code);
    }
    let grown = peak() - before;
    assert!(grown < 40_000, "{grown} KiB were allocated for pictures that were refused");
}

#[tokio::test]
async fn the_thinnest_pictures_are_cropped_at_every_ratio() {
    let client = client();
    for (width, height) in [(1, 1), (1, 20_000), (20_000, 1)] {
        let picture = forged::plain_png(width, height).unwrap();
        for strategy in ["center", "center_faces", "attention", "entropy"] {
            for ratio in RATIOS {
                let text = format!("{}:{}", ratio.0, ratio.1);
                let answer = ok(&client.crop(&picture, &[("target_aspect_ratio", &text), ("crop_strategy", &strategy)]).await.unwrap());
                let crop = crop_of(&answer);
                assert!(crop.width >= 1.0 && crop.right() <= f64::from(width) && crop.bottom() <= f64::from(height), "{answer}");
                // No window of whole pixels has 16:9 in a picture that is one pixel wide.
                if crop.width > 1.0 && crop.height > 1.0 {
                    assert_valid(&crop, (width, height), ratio);
                }
            }
        }
    }
}

#[tokio::test]
async fn strange_but_sound_pictures_look_right() {
    let client = client();
    let near = |pixel: [u8; 3], wanted: [u8; 3]| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 12);
    for (what, bytes, wanted) in [
        ("a CMYK JPEG that is red", forged::cmyk_jpeg(64, 48), [255, 0, 0]),
        ("an animated GIF whose first frame is red", forged::animated_gif(64, 48, 5).unwrap(), [200, 20, 20]),
    ] {
        let answer = client.post_picture("/v1/crop", &bytes, &CENTER, "image/png").await.unwrap();
        assert_eq!(answer.status, 200, "{what}: {}", answer.beginning());
        let picture = image::load_from_memory_with_format(&answer.body, ImageFormat::Png).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (48, 48), "{what}");
        assert!(picture.pixels().all(|pixel| near(pixel.0, wanted)), "{what}: {:?}", picture.get_pixel(20, 20));
    }
}

#[tokio::test]
async fn sixteen_bits_become_eight_in_the_right_order() {
    let picture = forged::deep_png(256, 64).unwrap();
    let fields: [Field<'_>; 3] = [("target_aspect_ratio", &"4:1"), ("crop_strategy", &"center"), ("output_format", &"png")];
    let answer = client().post_picture("/v1/crop", &picture, &fields, "image/png").await.unwrap();
    let picture = image::load_from_memory(&answer.body).unwrap().to_luma8();
    assert_eq!(picture.dimensions(), (256, 64));
    for x in [0_u32, 64, 128, 255] {
        assert!(u32::from(picture.get_pixel(x, 30).0[0]).abs_diff(x) <= 2, "{x}: {:?}", picture.get_pixel(x, 30));
    }
}
