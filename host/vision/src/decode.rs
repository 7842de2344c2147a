//! From bytes to upright sRGB pixels.

mod avif;
mod gif;
mod jpeg;
mod png;
mod webp;

use breakwater_core::Size;
use image::{ColorType, ImageDecoder, ImageError};

use crate::header::Header;
use crate::limits::Clock;
use crate::raster::Raster;
use crate::{Format, VisionError};

/// Decodes what `header` was read from. With `at_least`, in upright pixels, the raster may be at a reduced scale as long as neither
/// edge is shorter than that.
pub(crate) fn decode(bytes: &[u8], header: &Header, at_least: Option<Size>, clock: Clock) -> Result<Raster, VisionError> {
    clock.check()?;
    let stored = match header.format {
        Format::Jpeg => jpeg::decode(bytes, at_least.map(|size| header.orientation.turned(size)))?,
        Format::Png => png::decode(bytes, header, clock)?,
        Format::WebP => webp::decode(bytes, header)?,
        Format::Avif => avif::decode(bytes, header)?,
        Format::Gif => gif::decode(bytes, header, clock)?,
    };
    clock.check()?;
    let upright = header.orientation.apply(stored);
    clock.check()?;
    Ok(upright)
}

/// What a decoder of the `image` crate gave, as a raster; 16 bits become 8.
struct Pixels {
    colour: ColorType,
    bytes: Vec<u8>,
}

/// Runs a decoder whose size has been held against the limits; its own allocations may reach four times the picture.
fn run(mut decoder: impl ImageDecoder, header: &Header) -> Result<Pixels, VisionError> {
    let format = header.format;
    let (width, height) = decoder.dimensions();
    if Size::new(width, height) != header.stored {
        return Err(VisionError::corrupt(format, "its headers disagree about its size"));
    }
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(header.stored.pixels().saturating_mul(32).saturating_add(16 << 20));
    decoder.set_limits(limits).map_err(|error| failed(format, &error))?;
    let colour = decoder.color_type();
    let length = usize::try_from(decoder.total_bytes()).map_err(|error| VisionError::corrupt(format, error))?;
    let mut bytes = vec![0; length];
    decoder.read_image(&mut bytes).map_err(|error| failed(format, &error))?;
    Ok(Pixels { colour, bytes })
}

/// What an error of the `image` crate means here. The clock travels through it as an error of the reader.
fn failed(format: Format, error: &ImageError) -> VisionError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let inner = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<VisionError>()) {
            return error.clone();
        }
        cause = current.source();
    }
    match error {
        ImageError::Unsupported(_) => VisionError::unsupported(error.to_string()),
        _ => VisionError::corrupt(format, error),
    }
}

impl Pixels {
    /// As RGBA; grey goes through `grey`, where there is such a table.
    fn into_raster(self, size: Size, grey: Option<&[u8; 256]>) -> Option<Raster> {
        let level = |value: u8| grey.and_then(|table| table.get(usize::from(value)).copied()).unwrap_or(value);
        let bytes = match self.colour {
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => to_eight_bits(&self.bytes),
            _ => self.bytes,
        };
        let (opaque, pixels) = match self.colour {
            ColorType::L8 | ColorType::L16 => (true, bytes.iter().flat_map(|value| grey_pixel(level(*value), 255)).collect()),
            ColorType::La8 | ColorType::La16 => {
                let pairs = bytes.as_chunks::<2>().0;
                (
                    pairs.iter().all(|pair| pair.last() == Some(&255)),
                    pairs.iter().flat_map(|[value, a]| grey_pixel(level(*value), *a)).collect(),
                )
            }
            ColorType::Rgb8 | ColorType::Rgb16 => (true, rgb_to_rgba(&bytes)),
            _ => (is_opaque(&bytes), bytes),
        };
        Raster::new(size, opaque, pixels)
    }
}

fn grey_pixel(value: u8, alpha: u8) -> [u8; 4] {
    [value, value, value, alpha]
}

/// Adds an alpha of 255.
fn rgb_to_rgba(rgb: &[u8]) -> Vec<u8> {
    let mut rgba = vec![255; rgb.len() / 3 * Raster::CHANNELS];
    let pairs = rgb.as_chunks::<3>().0.iter().zip(rgba.as_chunks_mut::<4>().0);
    pairs.for_each(|([r, g, b], pixel)| *pixel = [*r, *g, *b, 255]);
    rgba
}

fn is_opaque(rgba: &[u8]) -> bool {
    rgba.as_chunks::<4>().0.iter().all(|[_, _, _, alpha]| *alpha == 255)
}

/// Samples of 16 bits in the machine's byte order to 8, rounded: `(v * 255 + 32767) / 65535`.
fn to_eight_bits(bytes: &[u8]) -> Vec<u8> {
    let eight = |pair: &[u8; 2]| ((u32::from(u16::from_ne_bytes(*pair)) * 255 + 32_767) / 65_535) as u8;
    bytes.as_chunks::<2>().0.iter().map(eight).collect()
}
