//! Pictures that nobody should send: bombs, giants and broken files, small enough to be made in a test.

use anyhow::Result;
use bytes::Bytes;
use image::codecs::gif::GifEncoder;
use image::{Delay, DynamicImage, Frame, ImageBuffer, ImageFormat, Luma, RgbImage, RgbaImage};

/// A PNG whose header promises `width` by `height` pixels and whose data holds none.
#[must_use]
pub fn png_header(width: u32, height: u32) -> Bytes {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    push_chunk(&mut file, b"IHDR", &[size.as_slice(), &[8, 6, 0, 0, 0]].concat());
    push_chunk(&mut file, b"IDAT", b"\x78\x9c\x03\x00\x00\x00\x00\x01");
    push_chunk(&mut file, b"IEND", b"");
    file.into()
}

/// A GIF with `frames` frames of `width` by `height` pixels, none of which holds a pixel.
#[must_use]
pub fn gif_header(width: u16, height: u16, frames: u32) -> Bytes {
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut file = b"GIF89a".to_vec();
    file.extend_from_slice(&size);
    file.extend_from_slice(&[0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    for _ in 0..frames {
        file.extend_from_slice(&[0x2c, 0, 0, 0, 0]);
        file.extend_from_slice(&size);
        // No local table, code size 2, one block with a clear and an end code.
        file.extend_from_slice(&[0, 2, 1, 0x2c, 0]);
    }
    file.push(0x3b);
    file.into()
}

/// A PNG of real pixels in which every pixel has the same colour: a few kilobytes for any size.
///
/// # Errors
/// When it cannot be encoded.
pub fn plain_png(width: u32, height: u32) -> Result<Bytes> {
    encode(&DynamicImage::ImageLuma8(ImageBuffer::from_pixel(width, height, Luma([90]))), ImageFormat::Png)
}

/// A PNG with 16 bits per channel: a gradient from dark to light.
///
/// # Errors
/// When it cannot be encoded.
pub fn deep_png(width: u32, height: u32) -> Result<Bytes> {
    let pixels = ImageBuffer::from_fn(width, height, |x, _| Luma([(x * 65_535 / width.max(2)) as u16]));
    encode(&DynamicImage::ImageLuma16(pixels), ImageFormat::Png)
}

/// An animated GIF whose first frame is red and whose others are blue.
///
/// # Errors
/// When it cannot be encoded.
pub fn animated_gif(width: u32, height: u32, frames: u32) -> Result<Bytes> {
    let mut file = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut file);
        for index in 0..frames {
            let colour = if index == 0 { [200, 20, 20, 255] } else { [20, 20, 200, 255] };
            let pixels = RgbaImage::from_pixel(width, height, colour.into());
            encoder.encode_frame(Frame::from_parts(pixels, 0, 0, Delay::from_numer_denom_ms(100, 1)))?;
        }
    }
    Ok(file.into())
}

/// A JPEG of some smooth pattern.
///
/// # Errors
/// When it cannot be encoded.
pub fn jpeg(width: u32, height: u32) -> Result<Bytes> {
    let pixels = RgbImage::from_fn(width, height, |x, y| [(x % 256) as u8, (y % 256) as u8, ((x + y) % 256) as u8].into());
    encode(&DynamicImage::ImageRgb8(pixels), ImageFormat::Jpeg)
}

/// A JPEG with four channels as Photoshop writes them: inverted CMYK behind an Adobe marker. Every pixel is pure red.
///
/// No encoder at hand writes CMYK, so the file is put together here: one flat block after the other, with tables of our own.
#[must_use]
pub fn cmyk_jpeg(width: u16, height: u16) -> Bytes {
    const RED: [i32; 4] = [255, 0, 0, 255]; // 255 minus the ink of cyan, magenta, yellow and black
    let mut file = vec![0xff, 0xd8];
    push_segment(&mut file, 0xee, b"Adobe\0\x64\0\0\0\0\0");
    push_segment(&mut file, 0xdb, &[[0].as_slice(), &[8; 64]].concat());
    let (h, w) = (height.to_be_bytes(), width.to_be_bytes());
    push_segment(&mut file, 0xc0, &[[8].as_slice(), &h, &w, &[4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]].concat());
    // DC: categories 0, 7 and 8 as 00, 01 and 10. AC: end of block as 0.
    push_segment(&mut file, 0xc4, &[0x00, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 8]);
    push_segment(&mut file, 0xc4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    push_segment(&mut file, 0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    let mut bits: String = RED.iter().map(|value| if *value == 255 { "0111111110" } else { "10011111110" }).collect();
    let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8));
    bits.push_str(&"000".repeat(4 * blocks.saturating_sub(1)));
    bits.push_str(&"1".repeat((8 - bits.len() % 8) % 8));
    for byte in bits.as_bytes().chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    file.extend_from_slice(&[0xff, 0xd9]);
    file.into()
}

/// The picture in another format.
///
/// # Errors
/// When it cannot be encoded.
pub fn encode(picture: &DynamicImage, format: ImageFormat) -> Result<Bytes> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner().into())
}

fn push_segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend_from_slice(&[0xff, marker]);
    file.extend_from_slice(&(data.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(data);
}

fn push_chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    file.extend_from_slice(name);
    file.extend_from_slice(data);
    let checksum = crc32(name.iter().chain(data));
    file.extend_from_slice(&checksum.to_be_bytes());
}

/// CRC-32 of PNG (ISO 3309), bit by bit: headers are short.
fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let step = |rest: u32, _| (rest >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(rest & 1));
    !bytes.fold(u32::MAX, |rest, byte| (0..8).fold(rest ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_png() {
        assert_eq!(crc32(b"IEND".iter()), 0xae42_6082);
    }

    #[test]
    fn a_forged_header_promises_what_it_was_told() {
        let reader = image::ImageReader::new(std::io::Cursor::new(png_header(60_000, 50_000))).with_guessed_format().unwrap();
        assert_eq!(reader.into_dimensions().unwrap(), (60_000, 50_000));
        let reader = image::ImageReader::new(std::io::Cursor::new(gif_header(9_000, 8_000, 3))).with_guessed_format().unwrap();
        assert_eq!(reader.into_dimensions().unwrap(), (9_000, 8_000));
    }

    #[test]
    fn the_cmyk_file_is_red_for_another_decoder() {
        let picture = image::load_from_memory(&cmyk_jpeg(20, 12)).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (20, 12));
        assert!(picture.pixels().all(|pixel| pixel.0[0] > 250 && pixel.0[1] < 5 && pixel.0[2] < 5), "{:?}", picture.get_pixel(19, 11));
    }
}
