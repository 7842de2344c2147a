//! Files that mean harm, or merely broke on the way: each a clear error, and nothing large allocated before it.

use std::time::Duration;

use breakwater_core::Size;
use breakwater_vision::{Detail, Image, Limits, VisionError, probe};
use image::ExtendedColorType;

use crate::{inputs, largest_allocation};

/// Headers may be copied and tables built; pixels may not.
const LARGE: usize = 1 << 20;

fn decode(bytes: &[u8]) -> Result<Image, VisionError> {
    Image::decode(bytes.to_vec().into(), Detail::Full, &Limits::default())
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn many_scans() -> Vec<u8> {
    let mut bytes = inputs::jpeg_header(Size::new(64, 64));
    let scan = bytes[bytes.len() - 14..].to_vec();
    bytes.extend(scan.repeat(80));
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// An AVIF whose container claims another size than its bitstream has.
fn lying_avif() -> Vec<u8> {
    let mut bytes = inputs::avif(Size::new(64, 48));
    let at = bytes.windows(4).position(|name| name == b"ispe").unwrap() + 8;
    bytes[at..at + 8].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0x10, 0]);
    bytes
}

#[test]
fn every_hostile_file_is_refused_with_its_code_before_anything_large_is_allocated() {
    let size = Size::new(320, 240);
    let mislabelled = [b"\xff\xd8\xff\xe0".to_vec(), inputs::png(size)].concat();
    for (name, bytes, code) in [
        ("nothing", vec![], "image.unsupported"),
        ("text", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "image.unsupported"),
        ("a PDF", b"%PDF-1.7\n".to_vec(), "image.unsupported"),
        ("a HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "image.unsupported"),
        ("an animated AVIF", b"\0\0\0\x18ftypavis\0\0\0\0avifmif1".to_vec(), "image.unsupported"),
        ("a PNG that begins like a JPEG", mislabelled, "image.corrupt"),
        ("a signature alone", b"\x89PNG\r\n\x1a\n".to_vec(), "image.corrupt"),
        ("three bytes of JPEG", b"\xff\xd8\xff".to_vec(), "image.corrupt"),
        ("an empty JPEG", b"\xff\xd8\xff\xd9".to_vec(), "image.corrupt"),
        ("half a JPEG's headers", half(inputs::jpeg_header(size)), "image.corrupt"),
        ("a GIF header", b"GIF89a".to_vec(), "image.corrupt"),
        ("a GIF without a picture", inputs::gif_header(size, 0), "image.corrupt"),
        ("an AVIF without a meta box", b"\0\0\0\x14ftypavif\0\0\0\0mif1".to_vec(), "image.corrupt"),
        ("an AVIF that lies about its size", lying_avif(), "image.corrupt"),
        ("a JPEG without height", inputs::jpeg_header(Size::new(8, 0)), "image.corrupt"),
        ("a JPEG without width", inputs::jpeg_header(Size::new(0, 8)), "image.corrupt"),
        ("a PNG without width", inputs::png_header(Size::new(0, 8)), "image.corrupt"),
        ("a GIF without height", inputs::gif_header(Size::new(8, 0), 1), "image.corrupt"),
        ("a PNG of 900 megapixels", inputs::png_header(Size::new(30_000, 30_000)), "image.too-many-pixels"),
        ("a JPEG of 60 megapixels", inputs::jpeg_header(Size::new(10_000, 6_000)), "image.too-many-pixels"),
        ("a PNG of 60 megapixels", inputs::png_header(Size::new(10_000, 6_000)), "image.too-many-pixels"),
        ("a JPEG as large as can be", inputs::jpeg_header(Size::new(65_535, 65_535)), "image.edge-too-long"),
        ("a PNG of four billion columns", inputs::png_header(Size::new(u32::MAX, 1)), "image.edge-too-long"),
        ("a WebP as large as can be", inputs::webp_header(Size::new(1 << 24, 1 << 24), 1), "image.edge-too-long"),
        ("a GIF as large as can be", inputs::gif_header(Size::new(65_535, 65_535), 1), "image.edge-too-long"),
        ("a GIF of 51 frames of a megapixel", inputs::gif_header(Size::new(1_000, 1_000), 51), "image.too-many-pixels"),
        ("a WebP of 51 frames of a megapixel", inputs::webp_header(Size::new(1_000, 1_000), 51), "image.too-many-pixels"),
        ("a JPEG of 81 scans", many_scans(), "image.unsupported"),
    ] {
        let (outcome, largest) = largest_allocation::during(|| decode(&bytes).map(|image| image.size()));
        let error = outcome.expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(largest < LARGE, "{name}: {largest} bytes were asked for at once");
        let (probed, largest) = largest_allocation::during(|| probe(&bytes, &Limits::default()));
        assert!(largest < LARGE, "probing {name}: {largest} bytes were asked for at once");
        if code.starts_with("image.too") || code == "image.edge-too-long" {
            assert_eq!(probed.unwrap_err().code(), code, "{name}");
        }
    }
}

#[test]
fn a_file_that_ends_early_is_damaged_not_half_grey() {
    let size = Size::new(320, 240);
    let progressive = inputs::JpegKind { progressive: true, ..inputs::PLAIN };
    let progressive = inputs::jpeg_of(&inputs::waves(size), size, jpeg_encoder::ColorType::Rgb, &progressive);
    for (name, whole) in [
        ("jpeg", inputs::jpeg(size)),
        ("progressive jpeg", progressive),
        ("png", inputs::png(size)),
        ("lossy webp", inputs::webp(size, false)),
        ("lossless webp", inputs::webp(size, true)),
        ("avif", inputs::avif(size)),
        ("gif", inputs::gif(size, 1)),
    ] {
        assert!(decode(&whole).is_ok(), "{name}");
        for part in [1, 2, 5, 8, 9] {
            let cut = &whole[..whole.len() * part / 10];
            for detail in [Detail::Full, Detail::AtLeast(Size::new(40, 30))] {
                let error = Image::decode(cut.to_vec().into(), detail, &Limits::default()).expect_err(name);
                assert_eq!(error.code(), "image.corrupt", "{part} tenths of {name}, {detail:?}: {error}");
            }
        }
    }
}

#[test]
fn each_limit_is_held_one_step_beyond_it() {
    let size = Size::new(100, 50);
    let bytes = inputs::png(size);
    let exact = Limits { max_bytes: bytes.len() as u64, max_pixels: 5_000, max_edge: 100, ..Limits::default() };
    assert!(Image::decode(bytes.clone().into(), Detail::Full, &exact).is_ok());
    for (limits, code) in [
        (Limits { max_bytes: exact.max_bytes - 1, ..exact }, "image.too-many-bytes"),
        (Limits { max_pixels: 4_999, ..exact }, "image.too-many-pixels"),
        (Limits { max_edge: 99, ..exact }, "image.edge-too-long"),
    ] {
        assert_eq!(Image::decode(bytes.clone().into(), Detail::Full, &limits).unwrap_err().code(), code);
        assert_eq!(probe(&bytes, &limits).unwrap_err().code(), code);
    }
}

#[test]
fn animations_are_limited_by_the_sum_of_their_frames() {
    let size = Size::new(32, 24);
    for bytes in [inputs::gif(size, 4), inputs::animated_webp(size, 4)] {
        let exact = Limits { max_pixels: size.pixels() * 4, ..Limits::default() };
        assert!(probe(&bytes, &exact).is_ok());
        let limits = Limits { max_pixels: exact.max_pixels - 1, ..exact };
        assert_eq!(probe(&bytes, &limits).unwrap_err().code(), "image.too-many-pixels");
    }
}

#[test]
fn without_time_every_format_stops() {
    let size = Size::new(64, 48);
    let limits = Limits { max_time: Duration::ZERO, ..Limits::default() };
    for bytes in [inputs::jpeg(size), inputs::png(size), inputs::webp(size, true), inputs::avif(size), inputs::gif(size, 1)] {
        let error = Image::decode(bytes.into(), Detail::Full, &limits).unwrap_err();
        assert_eq!(error, VisionError::DecodeTimeout { limit: Duration::ZERO });
    }
}

#[test]
fn a_png_that_unfolds_far_is_stopped_by_the_clock() {
    // 45 megapixels of one colour in a quarter of a megabyte: within every other limit.
    let size = Size::new(9_000, 5_000);
    let bytes = inputs::png_of(&vec![7; size.pixels() as usize], size, ExtendedColorType::L8);
    assert!(bytes.len() < 250_000, "{}", bytes.len());
    let limits = Limits { max_time: Duration::from_millis(1), ..Limits::default() };
    let error = Image::decode(bytes.into(), Detail::Full, &limits).unwrap_err();
    assert_eq!(error.code(), "image.decode-timeout", "{error}");
}
