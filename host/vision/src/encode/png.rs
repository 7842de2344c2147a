//! PNG, with three channels where nothing is transparent.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::failed;
use crate::raster::Raster;
use crate::{Format, VisionError};

pub(super) fn encode(picture: &Raster, exif: Option<&[u8]>) -> Result<Vec<u8>, VisionError> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif.to_vec()).map_err(|error| failed(Format::Png, error))?;
    }
    let size = picture.size();
    let written = if picture.is_opaque() {
        encoder.write_image(&picture.to_rgb().pixels, size.width, size.height, ExtendedColorType::Rgb8)
    } else {
        encoder.write_image(picture.pixels(), size.width, size.height, ExtendedColorType::Rgba8)
    };
    written.map_err(|error| failed(Format::Png, error))?;
    Ok(bytes)
}
