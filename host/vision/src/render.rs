//! Cutting a rectangle out of an image, scaling it once and encoding it.

use std::time::{Duration, Instant};

use breakwater_core::{Rect, Size};
use bytes::Bytes;

use crate::decode::{Piece, Wanted, decode};
use crate::encode::encode;
use crate::limits::Clock;
use crate::resize::{Filter, Window, resize};
use crate::{Format, Image, Limits, VisionError, exif};

/// What [`render`] is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOptions {
    /// Any that [`Format::can_be_written`].
    pub format: Format,
    /// 1..=100. Without it 80 for JPEG and WebP, 70 for AVIF. PNG has no quality and ignores it.
    pub quality: Option<u8>,
    /// The size of the output, which the rectangle is stretched to fill exactly; without it the rectangle's own.
    pub size: Option<Size>,
    /// Whether the source's EXIF is copied, with its orientation reset. Colour profiles never are: the output is sRGB.
    pub keep_metadata: bool,
}

/// How long each stage took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RenderTimings {
    /// Decoding more detail than the image had; zero when it had enough.
    pub decode: Duration,
    /// Cropping and scaling.
    pub resize: Duration,
    /// Encoding.
    pub encode: Duration,
}

/// An encoded picture.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The file.
    pub bytes: Bytes,
    /// Its format.
    pub format: Format,
    /// Its size in pixels.
    pub size: Size,
    /// What it took.
    pub timings: RenderTimings,
}

/// Cuts `crop` out of the image, scales it to the size asked for with a Lanczos filter, and encodes it. When the image was decoded
/// at too small a scale for that, it is decoded again from its source, at the smallest scale that is enough.
///
/// Transparency is kept by PNG, WebP and AVIF; JPEG gets it blended over white.
///
/// # Errors
/// `image.area-outside`, `image.output-unsupported`, `image.output-too-large`, `image.quality-out-of-range`, `image.encode-failed`,
/// `image.decode-timeout`, and whatever decoding again may meet.
pub fn render(image: &Image, crop: Rect, options: &OutputOptions, limits: &Limits) -> Result<Encoded, VisionError> {
    let clock = limits.start();
    let size = options.size.unwrap_or(crop.size());
    check(image, crop, size, options, limits)?;

    let started = Instant::now();
    let piece = with_detail(image, crop, size, clock)?;
    let decoded = Instant::now();
    let raster = piece.as_ref().map_or(image.raster(), |piece| &piece.raster);
    let window = match &piece {
        Some(piece) => Window::scaled(crop, image.size(), piece.whole).moved_into(piece.area),
        None => Window::scaled(crop, image.size(), raster.size()),
    };
    let picture = resize(raster, window, size, Filter::Sharp)
        .ok_or_else(|| VisionError::OutputTooLarge { size, reason: "it cannot be scaled to that".into() })?;
    drop(piece);
    clock.check()?;
    let resized = Instant::now();
    let exif = image.header().exif.as_deref().filter(|_| options.keep_metadata).map(exif::upright);
    let bytes = encode(picture, options.format, options.quality, exif.as_deref())?;
    clock.check()?;
    let timings = RenderTimings { decode: decoded - started, resize: resized - decoded, encode: resized.elapsed() };
    Ok(Encoded { bytes: bytes.into(), format: options.format, size, timings })
}

fn check(image: &Image, crop: Rect, size: Size, options: &OutputOptions, limits: &Limits) -> Result<(), VisionError> {
    if !options.format.can_be_written() {
        return Err(VisionError::OutputUnsupported { format: options.format });
    }
    if let Some(quality) = options.quality.filter(|quality| !(1..=100).contains(quality)) {
        return Err(VisionError::QualityOutOfRange { quality });
    }
    if !crop.lies_inside(image.size()) {
        return Err(VisionError::AreaOutside { area: crop, size: image.size() });
    }
    let too_large = |reason: String| Err(VisionError::OutputTooLarge { size, reason });
    let edge = limits.max_edge.min(max_edge(options.format));
    if size.is_empty() {
        return too_large("both edges must be at least one pixel".into());
    }
    if size.longer() > edge {
        return too_large(format!("the longer edge may have {edge} pixels"));
    }
    if size.pixels() > limits.max_pixels {
        return too_large(format!("it may have {} pixels", limits.max_pixels));
    }
    Ok(())
}

/// The longest edge a format can hold.
fn max_edge(format: Format) -> u32 {
    match format {
        Format::WebP => 16_383,
        _ => 65_535,
    }
}

/// The part of the image that `crop` at `size` needs, decoded finer, unless the image's raster is fine enough.
fn with_detail(image: &Image, crop: Rect, size: Size, clock: Clock) -> Result<Option<Piece>, VisionError> {
    let original = image.size();
    // The scale of the output, never above one: there is no more detail than all.
    let needed = |whole: u32, part: u32, wanted: u32| {
        let scale = (f64::from(wanted) / f64::from(part)).min(1.0);
        ((f64::from(whole) * scale).ceil() as u32).clamp(1, whole)
    };
    let needed = Size::new(needed(original.width, crop.width, size.width), needed(original.height, crop.height, size.height));
    let has = image.raster().size();
    if has == original || (has.width >= needed.width && has.height >= needed.height) {
        return Ok(None);
    }
    let wanted = Wanted { at_least: Some(needed), area: Some(with_margin(crop, size, original)) };
    decode(image.source(), image.header(), wanted, clock).map(Some)
}

/// `crop` with what the filter looks at around it: three pixels of the output, or of the original where that is enlarged.
fn with_margin(crop: Rect, size: Size, original: Size) -> Rect {
    let grown = |start: u32, length: u32, wanted: u32, end: u32| {
        let margin = (3 * length.div_ceil(wanted.max(1))).max(8);
        let from = start.saturating_sub(margin);
        (from, start.saturating_add(length).saturating_add(margin).min(end) - from)
    };
    let (x, width) = grown(crop.x, crop.width, size.width, original.width);
    let (y, height) = grown(crop.y, crop.height, size.height, original.height);
    Rect::new(x, y, width, height)
}
