//! Files made on the spot.

use breakwater_core::Size;
use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::{Delay, ExtendedColorType, Frame, ImageEncoder, RgbaImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Smooth colours with four distinct corners: red, green, blue and yellow, clockwise from top left.
pub(crate) fn corners(size: Size) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            pixels.extend(match (x * 2 < size.width, y * 2 < size.height) {
                (true, true) => [220, 30, 30],
                (false, true) => [30, 200, 40],
                (false, false) => [40, 50, 210],
                (true, false) => [230, 220, 40],
            });
        }
    }
    pixels
}

/// Something like a photograph: waves of several lengths in each channel.
pub(crate) fn waves(size: Size) -> Vec<u8> {
    let wave = |value: f32| ((value.sin() * 0.5 + 0.5) * 235.0) as u8 + 10;
    let mut pixels = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            let (x, y) = (x as f32, y as f32);
            pixels.extend([wave(x / 19.0 + y / 41.0), wave(y / 13.0 - x / 57.0), wave((x * x + y * y).sqrt() / 23.0)]);
        }
    }
    pixels
}

pub(crate) struct JpegKind {
    pub(crate) progressive: bool,
    pub(crate) sampling: SamplingFactor,
    pub(crate) exif: Option<Vec<u8>>,
    pub(crate) icc: Option<Vec<u8>>,
}

pub(crate) const PLAIN: JpegKind = JpegKind { progressive: false, sampling: SamplingFactor::R_4_2_0, exif: None, icc: None };

pub(crate) fn jpeg_of(pixels: &[u8], size: Size, colour: ColorType, kind: &JpegKind) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 92);
    encoder.set_progressive(kind.progressive);
    encoder.set_sampling_factor(kind.sampling);
    if let Some(tiff) = &kind.exif {
        encoder.add_app_segment(1, [b"Exif\0\0", &tiff[..]].concat()).unwrap();
    }
    if let Some(icc) = &kind.icc {
        encoder.add_icc_profile(icc).unwrap();
    }
    encoder.encode(pixels, size.width as u16, size.height as u16, colour).unwrap();
    bytes
}

pub(crate) fn jpeg(size: Size) -> Vec<u8> {
    jpeg_of(&waves(size), size, ColorType::Rgb, &PLAIN)
}

pub(crate) fn png_of(pixels: &[u8], size: Size, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(pixels, size.width, size.height, colour).unwrap();
    bytes
}

pub(crate) fn png(size: Size) -> Vec<u8> {
    png_of(&waves(size), size, ExtendedColorType::Rgb8)
}

pub(crate) fn webp(size: Size, lossless: bool) -> Vec<u8> {
    let pixels = waves(size);
    let encoder = webp::Encoder::from_rgb(&pixels, size.width, size.height);
    if lossless { encoder.encode_lossless().to_vec() } else { encoder.encode(85.0).to_vec() }
}

pub(crate) fn avif(size: Size) -> Vec<u8> {
    let pixels = waves(size);
    let pixels: &[rgb::RGB8] = bytemuck::cast_slice(&pixels);
    let encoder = ravif::Encoder::new().with_quality(90.0).with_speed(10).with_num_threads(Some(1));
    encoder.encode_rgb(ravif::Img::new(pixels, size.width as usize, size.height as usize)).unwrap().avif_file
}

/// The first frame is red, the others are blue.
pub(crate) fn gif(size: Size, frames: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    for frame in 0..frames {
        let colour = if frame == 0 { [200, 0, 0, 255] } else { [0, 0, 200, 255] };
        let picture = RgbaImage::from_pixel(size.width, size.height, image::Rgba(colour));
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(10, 1))).unwrap();
    }
    drop(encoder);
    bytes
}

/// The first frame is red, the others are shades of blue.
pub(crate) fn animated_webp(size: Size, frames: i32) -> Vec<u8> {
    let config = webp::WebPConfig::new().unwrap();
    let mut encoder = webp::AnimEncoder::new(size.width, size.height, &config);
    let fill = |colour: [u8; 3]| colour.repeat(size.pixels() as usize);
    // Each frame differs from the one before, or the encoder would join them.
    let pictures: Vec<_> = (0..frames).map(|frame| fill(if frame == 0 { [200, 0, 0] } else { [0, 0, 240 - 30 * frame as u8] })).collect();
    for (frame, pixels) in (0..).zip(&pictures) {
        encoder.add_frame(webp::AnimFrame::from_rgb(pixels, size.width, size.height, frame * 100));
    }
    encoder.encode().to_vec()
}

/// A TIFF structure with a maker's name and an orientation, as EXIF holds it.
pub(crate) fn tiff(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend(b"\x01\x0f\0\x02\0\0\0\x04Abc\0");
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01");
    tiff.extend(orientation.to_be_bytes());
    tiff.extend([0; 6]);
    tiff
}

/// A PNG chunk; readers that only walk the chunks do not look at its checksum.
pub(crate) fn png_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], name, content, &[0; 4]].concat()
}

/// The headers of a PNG that claims this size.
pub(crate) fn png_header(size: Size) -> Vec<u8> {
    let header = [&size.width.to_be_bytes()[..], &size.height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &[0x78, 0x9c])].concat()
}

/// The headers of a JPEG that claims this size, up to and with the first scan's.
pub(crate) fn jpeg_header(size: Size) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xc0\0\x11\x08".to_vec();
    bytes.extend((size.height as u16).to_be_bytes());
    bytes.extend((size.width as u16).to_be_bytes());
    bytes.extend(b"\x03\x01\x22\0\x02\x11\0\x03\x11\0");
    bytes.extend(b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0");
    bytes
}

/// An extended WebP that claims this canvas and frames.
pub(crate) fn webp_header(size: Size, frames: usize) -> Vec<u8> {
    let edge = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let mut body = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0".to_vec();
    body.extend([edge(size.width), edge(size.height)].concat());
    body.extend(b"ANMF\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".repeat(frames));
    [b"RIFF".to_vec(), (body.len() as u32).to_le_bytes().to_vec(), body].concat()
}

/// A GIF that claims this screen and holds this many one-pixel frames.
pub(crate) fn gif_header(size: Size, frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend((size.width as u16).to_le_bytes());
    bytes.extend((size.height as u16).to_le_bytes());
    bytes.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    bytes.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0".repeat(frames));
    bytes.push(0x3b);
    bytes
}
