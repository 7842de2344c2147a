//! Crops out, in every format.

use breakwater_core::{Rect, Size};
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, VisionError, probe, render};
use image::ExtendedColorType;

use crate::inputs::{self, JpegKind, PLAIN};

const SIZE: Size = Size::new(640, 480);
const WRITTEN: [Format; 4] = [Format::Jpeg, Format::Png, Format::WebP, Format::Avif];

fn options(format: Format, size: Option<Size>) -> OutputOptions {
    OutputOptions { format, quality: None, size, keep_metadata: false }
}

fn decode(bytes: &[u8], detail: Detail) -> Image {
    Image::decode(bytes.to_vec().into(), detail, &Limits::default()).unwrap()
}

fn rendered(image: &Image, crop: Rect, options: &OutputOptions) -> Image {
    let encoded = render(image, crop, options, &Limits::default()).unwrap();
    let info = probe(&encoded.bytes, &Limits::default()).unwrap();
    assert_eq!((info.format, info.size, info.orientation), (options.format, encoded.size, 1));
    decode(&encoded.bytes, Detail::Full)
}

fn mean_difference(a: &Image, b: &Image) -> f64 {
    let (a, b) = (a.raster().pixels(), b.raster().pixels());
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn every_format_holds_the_rectangle_at_the_size_asked_for() {
    let image = decode(&inputs::png(SIZE), Detail::Full);
    let crop = Rect::new(101, 53, 200, 300);
    let exact = rendered(&image, crop, &options(Format::Png, None));
    let row = SIZE.width as usize * 4;
    let at = 53 * row + 101 * 4;
    assert_eq!(exact.raster().pixels()[..800], image.raster().pixels()[at..at + 800]);
    let scaled = rendered(&image, crop, &options(Format::Png, Some(Size::new(100, 150))));
    for format in WRITTEN {
        for (size, reference) in [(None, &exact), (Some(Size::new(100, 150)), &scaled)] {
            let difference = mean_difference(&rendered(&image, crop, &options(format, size)), reference);
            assert!(difference < 5.0, "{format} {size:?}: mean difference {difference}");
        }
    }
}

#[test]
fn a_coarse_raster_is_decoded_again_when_the_output_needs_it() {
    let bytes = inputs::jpeg(SIZE);
    let (full, coarse) = (decode(&bytes, Detail::Full), decode(&bytes, Detail::AtLeast(Size::new(160, 120))));
    assert_eq!(coarse.raster().size(), Size::new(160, 120));
    let crop = Rect::new(37, 21, 333, 250);
    for size in [None, Some(Size::new(320, 240)), Some(Size::new(41, 31))] {
        let options = options(Format::Png, size);
        let difference = mean_difference(&rendered(&full, crop, &options), &rendered(&coarse, crop, &options));
        assert!(difference < 3.0, "{size:?}: mean difference {difference}");
    }
    let coarse_enough = render(&coarse, SIZE.rect(), &options(Format::Png, Some(Size::new(160, 120))), &Limits::default()).unwrap();
    let again = render(&coarse, SIZE.rect(), &options(Format::Png, Some(Size::new(161, 121))), &Limits::default()).unwrap();
    assert!(coarse_enough.timings.decode < again.timings.decode);
}

#[test]
fn a_rectangle_of_a_turned_photograph_is_cut_where_it_is_seen() {
    let kind = JpegKind { exif: Some(inputs::tiff(6)), ..PLAIN };
    let bytes = inputs::jpeg_of(&inputs::corners(SIZE), SIZE, jpeg_encoder::ColorType::Rgb, &kind);
    for detail in [Detail::Full, Detail::AtLeast(Size::new(48, 64))] {
        let image = decode(&bytes, detail);
        assert_eq!(image.size(), Size::new(480, 640));
        // Seen top right after the turn: what was stored top left, red.
        let cut = rendered(&image, Rect::new(300, 100, 100, 100), &options(Format::Png, None));
        let pixel = &cut.raster().pixels()[..4];
        assert!(pixel[0] > 200 && pixel[1] < 50 && pixel[2] < 50, "{detail:?}: {pixel:?}");
    }
}

#[test]
fn quality_changes_the_size_and_its_default_is_eighty() {
    let image = decode(&inputs::png(SIZE), Detail::Full);
    let length = |format, quality| {
        let options = OutputOptions { quality, ..options(format, Some(Size::new(160, 120))) };
        render(&image, SIZE.rect(), &options, &Limits::default()).unwrap().bytes.len()
    };
    for format in [Format::Jpeg, Format::WebP, Format::Avif] {
        assert!(length(format, Some(20)) < length(format, Some(60)), "{format}");
        assert!(length(format, Some(60)) < length(format, Some(95)), "{format}");
    }
    assert_eq!(length(Format::Jpeg, None), length(Format::Jpeg, Some(80)));
}

#[test]
fn transparency_is_kept_where_the_format_can_and_white_in_jpeg() {
    let pixels: Vec<u8> = (0..64 * 64).flat_map(|index| if index % 64 < 32 { [255, 0, 0, 255] } else { [0, 0, 255, 0] }).collect();
    let image = decode(&inputs::png_of(&pixels, Size::new(64, 64), ExtendedColorType::Rgba8), Detail::Full);
    for format in WRITTEN {
        let out = rendered(&image, Rect::new(0, 0, 64, 64), &options(format, None));
        let (left, right) = (&out.raster().pixels()[..4], &out.raster().pixels()[63 * 4..64 * 4]);
        assert!(left[0] > 230 && left[1] < 40 && left[3] > 250, "{format}: {left:?}");
        if format == Format::Jpeg {
            assert!(out.raster().is_opaque() && right.iter().all(|channel| *channel > 245), "{format}: {right:?}");
        } else {
            assert!(!out.raster().is_opaque() && right[3] < 5, "{format}: {right:?}");
        }
    }
}

#[test]
fn metadata_goes_unless_it_is_asked_for_and_then_says_upright() {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let kind = JpegKind { exif: Some(inputs::tiff(8)), ..PLAIN };
    let bytes = inputs::jpeg_of(&inputs::waves(SIZE), SIZE, jpeg_encoder::ColorType::Rgb, &kind);
    let image = decode(&bytes, Detail::Full);
    for format in WRITTEN {
        for keep_metadata in [false, true] {
            let options = OutputOptions { keep_metadata, ..options(format, Some(Size::new(61, 80))) };
            let encoded = render(&image, image.size().rect(), &options, &Limits::default()).unwrap();
            let kept = keep_metadata && format != Format::Avif;
            assert_eq!(find(&encoded.bytes, &inputs::tiff(1)), kept, "{format}");
            assert!(!find(&encoded.bytes, &inputs::tiff(8)), "{format}");
            let again = decode(&encoded.bytes, Detail::Full);
            assert_eq!(again.size(), Size::new(61, 80), "{format}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let image = decode(&inputs::png(Size::new(64, 48)), Detail::Full);
    let whole = image.size().rect();
    let limits = Limits { max_pixels: 10_000, max_edge: 20_000, ..Limits::default() };
    for (crop, options, code) in [
        (whole, options(Format::Gif, None), "image.output-unsupported"),
        (Rect::new(0, 0, 65, 48), options(Format::Png, None), "image.area-outside"),
        (Rect::new(10, 10, 0, 5), options(Format::Png, None), "image.area-outside"),
        (whole, options(Format::Png, Some(Size::new(0, 5))), "image.output-too-large"),
        (whole, options(Format::Png, Some(Size::new(101, 100))), "image.output-too-large"),
        (whole, options(Format::Png, Some(Size::new(20_001, 1))), "image.output-too-large"),
        (whole, options(Format::WebP, Some(Size::new(16_384, 1))), "image.output-too-large"),
        (whole, OutputOptions { quality: Some(0), ..options(Format::Jpeg, None) }, "image.quality-out-of-range"),
        (whole, OutputOptions { quality: Some(101), ..options(Format::Jpeg, None) }, "image.quality-out-of-range"),
    ] {
        assert_eq!(render(&image, crop, &options, &limits).unwrap_err().code(), code, "{options:?}");
    }
    let late = Limits { max_time: std::time::Duration::ZERO, ..Limits::default() };
    let error = render(&image, whole, &options(Format::Png, None), &late).unwrap_err();
    assert!(matches!(error, VisionError::DecodeTimeout { .. }), "{error}");
}

#[test]
fn a_part_of_a_scaled_picture_is_what_the_whole_would_show_there() {
    let image = decode(&inputs::png(SIZE), Detail::Full);
    for (to, area) in [(Size::new(341, 256), Rect::new(58, 16, 224, 224)), (Size::new(1000, 750), Rect::new(700, 20, 300, 70))] {
        let (whole, part) = (image.resized_rgb(to), image.resized_part_rgb(to, area));
        assert_eq!(part.size, area.size());
        let (row, start) = (to.width as usize * 3, area.x as usize * 3);
        let rows = whole.pixels.chunks_exact(row).skip(area.y as usize);
        for (whole, part) in rows.zip(part.pixels.chunks_exact(area.width as usize * 3)) {
            for (whole, part) in whole[start..].iter().zip(part) {
                assert!(whole.abs_diff(*part) <= 1, "{whole} {part}");
            }
        }
    }
}

#[test]
fn a_part_costs_what_it_shows_and_one_outside_is_empty() {
    // All of it would have 655 million pixels.
    let line = decode(&inputs::png(Size::new(10_000, 1)), Detail::Full);
    let part = line.resized_part_rgb(Size::new(2_560_000, 256), Rect::new(1_279_888, 16, 224, 224));
    assert_eq!((part.size, part.pixels.len()), (Size::new(224, 224), 224 * 224 * 3));
    let dot = decode(&inputs::png(Size::new(1, 1)), Detail::Full);
    let part = dot.resized_part_rgb(Size::new(256, 256), Rect::new(16, 16, 224, 224));
    assert!(part.pixels.chunks_exact(3).all(|pixel| pixel == dot.raster().pixels()[..3].to_vec()) && !part.pixels.is_empty());
    for area in [Rect::new(33, 0, 224, 224), Rect::new(0, 0, 0, 5)] {
        assert!(dot.resized_part_rgb(Size::new(256, 256), area).pixels.is_empty());
    }
}
