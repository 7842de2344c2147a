//! Whatever the bytes: an answer, never a panic.

use breakwater_core::{Rect, Size};
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, probe, render};
use proptest::prelude::*;

use crate::inputs;

/// Small, so that a header which survives mutation costs little.
fn limits() -> Limits {
    Limits { max_pixels: 200_000, ..Limits::default() }
}

fn work_on(bytes: Vec<u8>) {
    let probed = probe(&bytes, &limits());
    for detail in [Detail::Full, Detail::AtLeast(Size::new(9, 9))] {
        if let Ok(image) = Image::decode(bytes.clone().into(), detail, &limits()) {
            assert_eq!(probed.as_ref().map(|info| info.size), Ok(image.size()));
            assert!(image.saliency(32).unwrap().values.iter().all(|value| (0.0..=1.0).contains(value)));
            assert!((0.0..=8.0).contains(&image.entropy(image.size().rect()).unwrap()));
        }
    }
}

fn samples() -> Vec<Vec<u8>> {
    let size = Size::new(40, 24);
    let kind = inputs::JpegKind { progressive: true, exif: Some(inputs::tiff(6)), ..inputs::PLAIN };
    let progressive = inputs::jpeg_of(&inputs::waves(size), size, jpeg_encoder::ColorType::Rgb, &kind);
    vec![
        inputs::jpeg(size),
        progressive,
        inputs::png(size),
        inputs::webp(size, false),
        inputs::webp(size, true),
        inputs::animated_webp(size, 3),
        inputs::avif(size),
        inputs::gif(size, 2),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(start in 0usize..6, rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let starts: [&[u8]; 6] =
            [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"RIFF\xff\0\0\0WEBPVP8L", b"\0\0\0\x14ftypavif\0\0\0\0mif1", b"GIF89a"];
        work_on([starts[start], &rest].concat());
    }

    #[test]
    fn a_file_with_changed_bytes_gets_an_answer(sample in 0usize..8, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = samples().swap_remove(sample);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        work_on(bytes);
    }

    #[test]
    fn any_rectangle_and_size_are_answered(
        x in 0u32..50, y in 0u32..40, width in 0u32..50, height in 0u32..40,
        out_width in 0u32..90, out_height in 0u32..90, quality in proptest::option::of(0u8..=101),
    ) {
        let image = Image::decode(inputs::jpeg(Size::new(40, 24)).into(), Detail::AtLeast(Size::new(5, 3)), &limits()).unwrap();
        let crop = Rect::new(x, y, width, height);
        let size = Size::new(out_width, out_height);
        let options = OutputOptions { format: Format::Jpeg, quality, size: Some(size), keep_metadata: true };
        match render(&image, crop, &options, &limits()) {
            Ok(encoded) => {
                prop_assert!(crop.lies_inside(image.size()) && !size.is_empty());
                prop_assert_eq!(probe(&encoded.bytes, &limits()).unwrap().size, size);
            }
            Err(error) => prop_assert!(
                !crop.lies_inside(image.size()) || size.is_empty() || quality.is_some_and(|quality| quality == 0 || quality > 100),
                "{}", error
            ),
        }
    }
}
