//! PNG through the `png` crate, which inflates as it reads, so that the clock is looked at every few kilobytes.

use image::ImageDecoder;
use image::codecs::png::PngDecoder;

use super::{failed, run};
use crate::header::Header;
use crate::limits::{Clock, TimedReader};
use crate::raster::Raster;
use crate::{Format, VisionError, colour};

pub(super) fn decode(bytes: &[u8], header: &Header, clock: Clock) -> Result<Raster, VisionError> {
    let corrupt = |error: &image::ImageError| failed(Format::Png, error, clock);
    // What the headers may allocate is bounded too: compressed text and profiles unfold here.
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(header.stored.pixels().saturating_mul(32).saturating_add(16 << 20));
    let mut decoder = PngDecoder::with_limits(TimedReader::new(bytes, clock), limits).map_err(|error| corrupt(&error))?;
    let icc = decoder.icc_profile().map_err(|error| corrupt(&error))?;
    let pixels = run(decoder, header, clock)?;
    let grey = colour::grey_table(icc.as_deref());
    let mut raster =
        pixels.into_raster(header.stored, grey.as_ref()).ok_or_else(|| VisionError::corrupt(Format::Png, "pixels are missing"))?;
    colour::rgb_to_srgb(&mut raster, icc.as_deref());
    Ok(raster)
}
