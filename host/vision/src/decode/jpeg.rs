//! JPEG: `zune-jpeg` at full scale, `jpeg-decoder` for scaled transforms (1/2 and 1/4) and for CMYK.
//!
//! Damage within the coded data that leaves the end marker in place shows as a damaged picture, as it does with libjpeg.

use breakwater_core::Size;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{Piece, Wanted, rgb_to_rgba};
use crate::colour::{self, CmykToRgb};
use crate::header::jpeg::JpegHeader;
use crate::limits::Clock;
use crate::raster::Raster;
use crate::{Format, VisionError};

fn corrupt(reason: impl ToString) -> VisionError {
    VisionError::corrupt(Format::Jpeg, reason)
}

/// `wanted` is in stored pixels. Neither library can leave out what lies outside an area.
pub(super) fn decode(bytes: &[u8], wanted: Wanted, clock: Clock) -> Result<Piece, VisionError> {
    let jpeg = JpegHeader::read(bytes)?;
    jpeg.check_complete(bytes)?;
    let stored = jpeg.header.stored;
    let reduced = wanted.at_least.and_then(|at_least| reduced_size(stored, at_least));
    let mut raster = if reduced.is_some() || jpeg.components == 4 { scaled(bytes, &jpeg, reduced)? } else { full(bytes, stored)? };
    clock.check()?;
    let icc = jpeg.header.icc.as_deref();
    match jpeg.components {
        1 => colour::grey_to_srgb(&mut raster, icc),
        3 => colour::rgb_to_srgb(&mut raster, icc),
        _ => {}
    }
    Ok(Piece::whole(raster))
}

/// The smaller of the scales 1/4 and 1/2 that still covers `wanted`. The transform to 1/8 is left out: its pictures differ from the
/// averaged full ones by 8 levels in the mean, the others by less than 2.
fn reduced_size(stored: Size, wanted: Size) -> Option<Size> {
    [4, 2]
        .map(|scale| Size::new(stored.width.div_ceil(scale), stored.height.div_ceil(scale)))
        .into_iter()
        .find(|size| size.width >= wanted.width && size.height >= wanted.height)
}

fn full(bytes: &[u8], size: Size) -> Result<Raster, VisionError> {
    let options = DecoderOptions::new_fast()
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let pixels = JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode().map_err(|error| corrupt(format!("{error:?}")))?;
    Raster::new(size, true, pixels).ok_or_else(|| corrupt("pixels are missing"))
}

fn scaled(bytes: &[u8], jpeg: &JpegHeader, reduced: Option<Size>) -> Result<Raster, VisionError> {
    let mut decoder = Decoder::new(bytes);
    if jpeg.components == 4 {
        let ycck = jpeg.adobe_transform == Some(2);
        decoder.set_color_transform(if ycck { ColorTransform::YCCK } else { ColorTransform::CMYK });
    }
    if let Some(size) = reduced {
        let edge = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        decoder.scale(edge(size.width), edge(size.height)).map_err(corrupt)?;
    }
    let mut pixels = decoder.decode().map_err(corrupt)?;
    let info = decoder.info().ok_or_else(|| corrupt("it holds no picture"))?;
    let size = Size::new(info.width.into(), info.height.into());
    let rgba = match info.pixel_format {
        PixelFormat::L8 => pixels.iter().flat_map(|level| [*level, *level, *level, 255]).collect(),
        PixelFormat::RGB24 => rgb_to_rgba(&pixels),
        PixelFormat::CMYK32 => {
            // The decoder takes every file for Adobe's, which stores ink inverted. Without Adobe's mark it is not.
            if jpeg.adobe_transform.is_none() {
                pixels.iter_mut().for_each(|ink| *ink = 255 - *ink);
            }
            let mut rgba = vec![0; pixels.len()];
            CmykToRgb::new(jpeg.header.icc.as_deref()).convert(&pixels, &mut rgba);
            rgba
        }
        PixelFormat::L16 => return Err(VisionError::unsupported("JPEG with 16 bits a channel is not supported")),
    };
    Raster::new(size, true, rgba).ok_or_else(|| corrupt("pixels are missing"))
}
