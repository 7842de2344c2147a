//! WebP through `image-webp`, written in Rust: lossy, lossless, alpha, and the first frame of an animation.

use image::codecs::webp::WebPDecoder;

use super::{failed, run};
use crate::header::Header;
use crate::limits::Clock;
use crate::raster::Raster;
use crate::{Format, VisionError, colour};

pub(super) fn decode(bytes: &[u8], header: &Header, clock: Clock) -> Result<Raster, VisionError> {
    let decoder = WebPDecoder::new(std::io::Cursor::new(bytes)).map_err(|error| failed(Format::WebP, &error, clock))?;
    let pixels = run(decoder, header, clock)?;
    let mut raster = pixels.into_raster(header.stored, None).ok_or_else(|| VisionError::corrupt(Format::WebP, "pixels are missing"))?;
    colour::rgb_to_srgb(&mut raster, header.icc.as_deref());
    Ok(raster)
}
