//! Baseline JPEG through `jpeg-encoder`.

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

use super::failed;
use crate::raster::Raster;
use crate::{Format, VisionError, exif};

/// From this quality on chroma is kept at full resolution.
const FULL_CHROMA: u8 = 90;

pub(super) fn encode(picture: &Raster, quality: u8, tiff: Option<&[u8]>) -> Result<Vec<u8>, VisionError> {
    let mut bytes = Vec::with_capacity(picture.pixels().len() / 16);
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(if quality < FULL_CHROMA { SamplingFactor::R_4_2_0 } else { SamplingFactor::R_4_4_4 });
    let write = |encoder: Encoder<&mut Vec<u8>>| -> Result<(), EncodingError> {
        let size = picture.size();
        let edge = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        encoder.encode(picture.pixels(), edge(size.width), edge(size.height), ColorType::Rgba)
    };
    // A segment holds 65,533 bytes; EXIF that a source carried in several does not fit and is left out.
    if let Some(tiff) = tiff.filter(|tiff| tiff.len() + exif::PREFIX.len() <= 65_533) {
        encoder.add_app_segment(1, [exif::PREFIX, tiff].concat()).map_err(|error| failed(Format::Jpeg, error))?;
    }
    write(encoder).map_err(|error| failed(Format::Jpeg, error))?;
    Ok(bytes)
}
