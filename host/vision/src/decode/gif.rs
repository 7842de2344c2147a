//! The first frame of a GIF, on its canvas.

use image::codecs::gif::GifDecoder;

use super::{failed, run};
use crate::header::Header;
use crate::limits::{Clock, TimedReader};
use crate::raster::Raster;
use crate::{Format, VisionError};

pub(super) fn decode(bytes: &[u8], header: &Header, clock: Clock) -> Result<Raster, VisionError> {
    let decoder = GifDecoder::new(TimedReader::new(bytes, clock)).map_err(|error| failed(Format::Gif, &error, clock))?;
    let pixels = run(decoder, header, clock)?;
    pixels.into_raster(header.stored, None).ok_or_else(|| VisionError::corrupt(Format::Gif, "pixels are missing"))
}
