//! Writing pictures.

mod avif;
mod jpeg;
mod png;
mod webp;

use crate::raster::Raster;
use crate::{Format, VisionError};

/// The default for JPEG and WebP, as in sharp.
const DEFAULT_QUALITY: u8 = 80;
/// AVIF's scale is another one: 70 looks like JPEG at 80 or better.
const DEFAULT_AVIF_QUALITY: u8 = 70;

fn failed(format: Format, reason: impl ToString) -> VisionError {
    VisionError::EncodeFailed { format, reason: reason.to_string() }
}

/// Encodes `picture`; `exif` is a TIFF structure to carry along where the format can.
pub(crate) fn encode(picture: Raster, format: Format, quality: Option<u8>, exif: Option<&[u8]>) -> Result<Vec<u8>, VisionError> {
    let lossy = quality.unwrap_or(DEFAULT_QUALITY);
    match format {
        Format::Jpeg => jpeg::encode(&picture.into_flattened(), lossy, exif),
        Format::Png => png::encode(&picture, exif),
        Format::WebP => webp::encode(&picture, lossy, exif),
        Format::Avif => avif::encode(&picture, quality.unwrap_or(DEFAULT_AVIF_QUALITY)),
        Format::Gif => Err(VisionError::OutputUnsupported { format }),
    }
}
