//! From bytes to upright sRGB pixels.

mod avif;
mod gif;
mod jpeg;
mod png;
mod webp;

use breakwater_core::{Rect, Size};
use image::{ColorType, ImageDecoder, ImageError};

use crate::header::Header;
use crate::limits::Clock;
use crate::raster::Raster;
use crate::{Format, VisionError};

/// What of an image is wanted, in upright pixels of the original.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// The raster may be at a reduced scale as long as the whole picture would be no smaller than this.
    pub(crate) at_least: Option<Size>,
    /// What lies outside may be left out.
    pub(crate) area: Option<Rect>,
}

/// Part of an image: the pixels in `area` of the picture at size `whole`.
pub(crate) struct Piece {
    pub(crate) raster: Raster,
    pub(crate) area: Rect,
    pub(crate) whole: Size,
}

impl Piece {
    fn whole(raster: Raster) -> Self {
        Self { area: raster.size().rect(), whole: raster.size(), raster }
    }
}

/// Decodes what `header` was read from. Only JPEG makes use of what need not be there.
pub(crate) fn decode(bytes: &[u8], header: &Header, wanted: Wanted, clock: Clock) -> Result<Piece, VisionError> {
    clock.check()?;
    let orientation = header.orientation;
    let stored = match header.format {
        Format::Jpeg => {
            let at_least = wanted.at_least.map(|size| orientation.turned(size));
            let area = wanted.area.map(|area| orientation.stored_rect(area, header.stored));
            jpeg::decode(bytes, Wanted { at_least, area }, clock)?
        }
        Format::Png => Piece::whole(png::decode(bytes, header, clock)?),
        Format::WebP => Piece::whole(webp::decode(bytes, header, clock)?),
        Format::Avif => Piece::whole(avif::decode(bytes, header)?),
        Format::Gif => Piece::whole(gif::decode(bytes, header, clock)?),
    };
    clock.check()?;
    let whole = orientation.turned(stored.whole);
    let area = orientation.inverse().stored_rect(stored.area, whole);
    let raster = orientation.apply(stored.raster);
    clock.check()?;
    Ok(Piece { raster, area, whole })
}

/// What a decoder of the `image` crate gave, as a raster; 16 bits become 8.
struct Pixels {
    colour: ColorType,
    bytes: Vec<u8>,
}

/// Runs a decoder whose size has been held against the limits; its own allocations may reach four times the picture.
fn run(mut decoder: impl ImageDecoder, header: &Header, clock: Clock) -> Result<Pixels, VisionError> {
    let format = header.format;
    let (width, height) = decoder.dimensions();
    if Size::new(width, height) != header.stored {
        return Err(VisionError::corrupt(format, "its headers disagree about its size"));
    }
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(header.stored.pixels().saturating_mul(32).saturating_add(16 << 20));
    decoder.set_limits(limits).map_err(|error| failed(format, &error, clock))?;
    let colour = decoder.color_type();
    let length = usize::try_from(decoder.total_bytes()).map_err(|error| VisionError::corrupt(format, error))?;
    let mut bytes = vec![0; length];
    decoder.read_image(&mut bytes).map_err(|error| failed(format, &error, clock))?;
    Ok(Pixels { colour, bytes })
}

/// What an error of the `image` crate means here: once the clock has run out it is the reader that failed, whatever the decoder says.
fn failed(format: Format, error: &ImageError, clock: Clock) -> VisionError {
    match (clock.check(), error) {
        (Err(timeout), _) => timeout,
        (Ok(()), ImageError::Unsupported(_)) => VisionError::unsupported(error.to_string()),
        (Ok(()), _) => VisionError::corrupt(format, error),
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
