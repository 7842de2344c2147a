//! AVIF through `ravif`, written in Rust.

use ravif::{Encoder, Img};
use rgb::{RGB8, RGBA8};

use super::failed;
use crate::raster::Raster;
use crate::{Format, VisionError};

/// 1 is slowest and smallest, 10 fastest. At 8 a megapixel takes about a second of one core.
const SPEED: u8 = 8;

pub(super) fn encode(picture: &Raster, quality: u8) -> Result<Vec<u8>, VisionError> {
    // One thread: the caller's pool decides how many images are worked on at a time.
    let encoder =
        Encoder::new().with_quality(quality.into()).with_alpha_quality(quality.into()).with_speed(SPEED).with_num_threads(Some(1));
    let (width, height) = (picture.size().width as usize, picture.size().height as usize);
    let encoded = if picture.is_opaque() {
        let rgb = picture.to_rgb();
        let pixels: &[RGB8] = bytemuck::cast_slice(&rgb.pixels);
        encoder.encode_rgb(Img::new(pixels, width, height))
    } else {
        let pixels: &[RGBA8] = bytemuck::cast_slice(picture.pixels());
        encoder.encode_rgba(Img::new(pixels, width, height))
    };
    Ok(encoded.map_err(|error| failed(Format::Avif, error))?.avif_file)
}
