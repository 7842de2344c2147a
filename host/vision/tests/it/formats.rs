//! Every format in, with the pixels that were put into it.

use breakwater_core::Size;
use breakwater_vision::{Detail, Format, Image, Limits, probe};
use image::ExtendedColorType;
use jpeg_encoder::{ColorType, SamplingFactor};
use moxcms::ColorProfile;

use crate::inputs::{self, JpegKind, PLAIN};

const SIZE: Size = Size::new(120, 90);

fn decode(bytes: Vec<u8>) -> Image {
    Image::decode(bytes.into(), Detail::Full, &Limits::default()).unwrap()
}

fn rgb(image: &Image) -> Vec<u8> {
    image.raster().pixels().chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

fn pixel(image: &Image, x: u32, y: u32) -> [u8; 4] {
    let at = (y * image.raster().size().width + x) as usize * 4;
    image.raster().pixels()[at..at + 4].try_into().unwrap()
}

fn near(got: [u8; 4], want: [u8; 4], tolerance: u8) -> bool {
    got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= tolerance)
}

#[test]
fn every_format_gives_back_the_picture_that_was_written() {
    let waves = inputs::waves(SIZE);
    let jpeg = |progressive, sampling| inputs::jpeg_of(&waves, SIZE, ColorType::Rgb, &JpegKind { progressive, sampling, ..PLAIN });
    for (name, bytes, format, tolerance) in [
        ("4:2:0", jpeg(false, SamplingFactor::R_4_2_0), Format::Jpeg, 2.5),
        ("4:2:2", jpeg(false, SamplingFactor::R_4_2_2), Format::Jpeg, 2.5),
        ("4:4:4", jpeg(false, SamplingFactor::R_4_4_4), Format::Jpeg, 2.0),
        ("4:4:0", jpeg(false, SamplingFactor::R_4_4_0), Format::Jpeg, 2.5),
        ("progressive", jpeg(true, SamplingFactor::R_4_2_0), Format::Jpeg, 2.5),
        ("png", inputs::png(SIZE), Format::Png, 0.0),
        ("lossy webp", inputs::webp(SIZE, false), Format::WebP, 6.0),
        ("lossless webp", inputs::webp(SIZE, true), Format::WebP, 0.0),
        ("avif", inputs::avif(SIZE), Format::Avif, 3.0),
    ] {
        let info = probe(&bytes, &Limits::default()).unwrap();
        assert_eq!((info.format, info.size, info.frames, info.orientation), (format, SIZE, 1, 1), "{name}");
        let image = decode(bytes);
        assert_eq!((image.format(), image.size(), image.raster().is_opaque()), (format, SIZE, true), "{name}");
        let difference = mean_difference(&rgb(&image), &waves);
        assert!(difference <= tolerance, "{name}: mean difference {difference}");
    }
}

#[test]
fn png_of_every_depth_and_colour_becomes_eight_bits() {
    let size = Size::new(2, 1);
    let wide = |values: &[u16]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>();
    for (colour, bytes, first, second, opaque) in [
        (ExtendedColorType::L8, vec![0, 200], [0, 0, 0, 255], [200, 200, 200, 255], true),
        (ExtendedColorType::La8, vec![10, 0, 200, 128], [10, 10, 10, 0], [200, 200, 200, 128], false),
        (ExtendedColorType::Rgba8, vec![1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8], false),
        (ExtendedColorType::Rgba8, vec![1, 2, 3, 255, 5, 6, 7, 255], [1, 2, 3, 255], [5, 6, 7, 255], true),
        // 32768 of 65535 is 127.5 of 255, rounded up; 128 of 65535 is next to nothing.
        (ExtendedColorType::L16, wide(&[32_768, 128]), [128, 128, 128, 255], [0, 0, 0, 255], true),
        (ExtendedColorType::Rgb16, wide(&[65_535, 257, 25_700, 0, 129, 65_534]), [255, 1, 100, 255], [0, 1, 255, 255], true),
        (ExtendedColorType::Rgba16, wide(&[257, 514, 771, 0, 0, 0, 0, 65_535]), [1, 2, 3, 0], [0, 0, 0, 255], false),
    ] {
        let image = decode(inputs::png_of(&bytes, size, colour));
        assert_eq!((pixel(&image, 0, 0), pixel(&image, 1, 0)), (first, second), "{colour:?}");
        assert_eq!(image.raster().is_opaque(), opaque, "{colour:?}");
    }
}

#[test]
fn a_palette_is_looked_up() {
    // Two pixels of one bit each: the second and the first of two colours.
    let idat = [0x78, 0x01, 0x01, 2, 0, 0xfd, 0xff, 0, 0x80, 0x00, 0x82, 0x00, 0x81];
    let chunk = |name: &[u8; 4], content: &[u8]| {
        let sum = crc32(&[&name[..], content].concat());
        [&(content.len() as u32).to_be_bytes()[..], name, content, &sum.to_be_bytes()].concat()
    };
    let bytes = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 1, 3, 0, 0, 0]),
        chunk(b"PLTE", &[9, 8, 7, 200, 100, 50]),
        chunk(b"IDAT", &idat),
        chunk(b"IEND", &[]),
    ];
    let image = decode(bytes.concat());
    assert_eq!((pixel(&image, 0, 0), pixel(&image, 1, 0)), ([200, 100, 50, 255], [9, 8, 7, 255]));
}

fn crc32(bytes: &[u8]) -> u32 {
    let step =
        |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 });
    !bytes.iter().fold(u32::MAX, step)
}

#[test]
fn every_orientation_is_applied_to_the_right_corner() {
    let [red, green, blue, yellow] = [[220, 30, 30, 255], [30, 200, 40, 255], [40, 50, 210, 255], [230, 220, 40, 255]];
    let (width, height) = (SIZE.width, SIZE.height);
    // What is seen top left and top right, stored clockwise as red, green, blue, yellow.
    for (orientation, top_left, top_right) in [
        (1, red, green),
        (2, green, red),
        (3, blue, yellow),
        (4, yellow, blue),
        (5, red, yellow),
        (6, yellow, red),
        (7, blue, green),
        (8, green, blue),
    ] {
        let kind = JpegKind { exif: Some(inputs::tiff(orientation)), ..PLAIN };
        let bytes = inputs::jpeg_of(&inputs::corners(SIZE), SIZE, ColorType::Rgb, &kind);
        let upright = if orientation >= 5 { Size::new(height, width) } else { SIZE };
        let info = probe(&bytes, &Limits::default()).unwrap();
        assert_eq!((info.size, u16::from(info.orientation)), (upright, orientation));
        for detail in [Detail::Full, Detail::AtLeast(Size::new(40, 40))] {
            let image = Image::decode(bytes.clone().into(), detail, &Limits::default()).unwrap();
            assert_eq!(image.size(), upright, "{orientation}");
            let seen = image.raster().size();
            assert!(near(pixel(&image, 5, 5), top_left, 12), "{orientation} {detail:?}: {:?}", pixel(&image, 5, 5));
            assert!(near(pixel(&image, seen.width - 6, 5), top_right, 12), "{orientation} {detail:?}");
        }
    }
}

#[test]
fn cmyk_and_ycck_of_adobe_give_the_colours_of_their_inks() {
    // Cyan, magenta, yellow and half black, as stripes sixteen pixels wide.
    let size = Size::new(64, 16);
    let inks = [[255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 128]];
    let pixels: Vec<u8> = (0..16).flat_map(|_| (0..64).flat_map(|x: usize| inks[x / 16])).collect();
    let paper = [[0, 255, 255, 255], [255, 0, 255, 255], [255, 255, 0, 255], [127, 127, 127, 255]];
    for colour in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let kind = JpegKind { sampling: SamplingFactor::R_4_4_4, ..PLAIN };
        let image = decode(inputs::jpeg_of(&pixels, size, colour, &kind));
        for (stripe, want) in paper.into_iter().enumerate() {
            let got = pixel(&image, stripe as u32 * 16 + 8, 8);
            assert!(near(got, want, 6), "{colour:?} stripe {stripe}: {got:?}, not {want:?}");
        }
    }
}

#[test]
fn a_colour_profile_is_applied_in_jpeg_and_the_reduced_decode_agrees() {
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    let kind = JpegKind { sampling: SamplingFactor::R_4_4_4, icc: Some(icc), ..PLAIN };
    let pixels: Vec<u8> = [200, 100, 50].repeat(SIZE.pixels() as usize);
    let bytes = inputs::jpeg_of(&pixels, SIZE, ColorType::Rgb, &kind);
    for detail in [Detail::Full, Detail::AtLeast(Size::new(30, 20))] {
        let image = Image::decode(bytes.clone().into(), detail, &Limits::default()).unwrap();
        let got = pixel(&image, 10, 10);
        assert!(near(got, [215, 93, 31, 255], 4), "{detail:?}: {got:?}");
    }
}

#[test]
fn only_the_first_frame_is_shown_and_all_are_counted() {
    let size = Size::new(32, 24);
    for (bytes, format) in [(inputs::gif(size, 5), Format::Gif), (inputs::animated_webp(size, 5), Format::WebP)] {
        let info = probe(&bytes, &Limits::default()).unwrap();
        assert_eq!((info.format, info.frames, info.size), (format, 5, size));
        let got = pixel(&decode(bytes), 10, 10);
        assert!(near(got, [200, 0, 0, 255], 8), "{format}: {got:?}");
    }
}

#[test]
fn the_smallest_and_the_thinnest_images_work() {
    for size in [Size::new(1, 1), Size::new(1, 20_000), Size::new(20_000, 1)] {
        for bytes in [inputs::png(size), inputs::jpeg(size)] {
            let image = decode(bytes);
            assert_eq!((image.size(), image.raster().size()), (size, size));
            assert_eq!(image.thumbnail(512).unwrap().size, size.fit_longer(512));
            assert_eq!(image.saliency(16).unwrap().size, size.fit_longer(16));
            assert!(image.entropy(size.rect()).unwrap().is_finite());
            assert_eq!(image.resized_rgb(Size::new(32, 32)).pixels.len(), 32 * 32 * 3);
        }
    }
}

#[test]
fn a_reduced_decode_is_as_small_as_asked_and_looks_the_same() {
    let size = Size::new(800, 600);
    let bytes = inputs::jpeg(size);
    let full = decode(bytes.clone());
    for (wanted, expected) in [
        (Size::new(400, 300), Size::new(400, 300)),
        (Size::new(401, 10), size),
        (Size::new(200, 150), Size::new(200, 150)),
        (Size::new(100, 75), Size::new(200, 150)),
        (Size::new(201, 150), Size::new(400, 300)),
        (Size::new(9_000, 9_000), size),
    ] {
        let image = Image::decode(bytes.clone().into(), Detail::AtLeast(wanted), &Limits::default()).unwrap();
        assert_eq!((image.raster().size(), image.size()), (expected, size));
        let to = Size::new(90, 60);
        let difference = mean_difference(&image.resized_rgb(to).pixels, &full.resized_rgb(to).pixels);
        assert!(difference < 2.0, "{wanted}: mean difference {difference}");
    }
}

#[test]
fn the_digest_names_the_bytes() {
    let (a, b) = (decode(inputs::png(SIZE)), decode(inputs::jpeg(SIZE)));
    assert_eq!(a.digest(), decode(inputs::png(SIZE)).digest());
    assert_ne!(a.digest(), b.digest());
    assert_eq!(a.digest().to_string().len(), 64);
}
