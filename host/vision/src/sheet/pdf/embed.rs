//! Photographs as streams of a PDF. A JPEG that need not be scaled goes in as it is, without its metadata.

use breakwater_core::Size;
use bytes::Bytes;
use moxcms::DataColorSpace;

use crate::decode::{Wanted, decode};
use crate::encode::encode;
use crate::header::Header;
use crate::header::jpeg::JpegHeader;
use crate::limits::Clock;
use crate::orientation::Orientation;
use crate::raster::Raster;
use crate::resize::{Filter, Window, resize};
use crate::{Format, VisionError, colour};

/// Larger streams cannot be written by the library.
const MAX_STREAM: usize = i32::MAX as usize;

/// The colours of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    Cmyk,
}

impl Colours {
    /// Channels a pixel.
    pub(super) fn channels(self) -> i32 {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// A photograph as a PDF takes it.
pub(super) struct Stream {
    pub(super) data: Vec<u8>,
    /// Before orientation.
    pub(super) stored: Size,
    pub(super) orientation: Orientation,
    pub(super) colours: Colours,
    /// Whether a JPEG stores ink inverted, as Adobe's programs do.
    pub(super) inverted: bool,
    /// Else the data is compressed as in PNG.
    pub(super) is_jpeg: bool,
    pub(super) icc: Option<Vec<u8>>,
}

/// Makes the stream of a photograph, scaled to `size` (upright) where one is given.
pub(super) fn stream(bytes: &Bytes, header: &Header, size: Option<Size>, quality: u8, clock: Clock) -> Result<Stream, VisionError> {
    let stream = if header.format == Format::Jpeg && size.is_none() {
        as_it_is(bytes, header)?
    } else {
        encoded(bytes, header, size, quality, clock)?
    };
    clock.check()?;
    if stream.data.len() > MAX_STREAM {
        return Err(VisionError::TooManyBytes { bytes: stream.data.len() as u64, limit: MAX_STREAM as u64 });
    }
    Ok(stream)
}

fn as_it_is(bytes: &Bytes, header: &Header) -> Result<Stream, VisionError> {
    let jpeg = JpegHeader::read(bytes)?;
    let end = jpeg.check_complete(bytes)?;
    let (colours, space) = match jpeg.components {
        1 => (Colours::Grey, DataColorSpace::Gray),
        3 => (Colours::Rgb, DataColorSpace::Rgb),
        _ => (Colours::Cmyk, DataColorSpace::Cmyk),
    };
    let icc = header.icc.clone().filter(|icc| colour::parse(Some(icc), space).is_some());
    Ok(Stream {
        data: jpeg.without_metadata(bytes, end),
        stored: header.stored,
        orientation: header.orientation,
        colours,
        inverted: colours == Colours::Cmyk && jpeg.adobe_transform.is_some(),
        is_jpeg: true,
        icc,
    })
}

fn encoded(bytes: &Bytes, header: &Header, size: Option<Size>, quality: u8, clock: Clock) -> Result<Stream, VisionError> {
    let raster = decode(bytes, header, Wanted { at_least: size, area: None }, clock)?.raster;
    let raster = match size {
        Some(size) => resize(&raster, Window::whole(raster.size()), size, Filter::Sharp)
            .ok_or_else(|| VisionError::OutputTooLarge { size, reason: "it cannot be scaled to that".into() })?,
        None => raster,
    };
    clock.check()?;
    // Paper is white.
    let raster = raster.into_flattened();
    // What was stored without loss stays so.
    let is_jpeg = !matches!(header.format, Format::Png | Format::Gif);
    let stored = raster.size();
    let data = if is_jpeg { encode(raster, Format::Jpeg, Some(quality), None)? } else { deflated(raster)? };
    Ok(Stream { data, stored, orientation: Orientation::UPRIGHT, colours: Colours::Rgb, inverted: false, is_jpeg, icc: None })
}

/// The image data of a PNG, which is a stream that PDF knows: deflated rows, each after the number of its filter.
fn deflated(raster: Raster) -> Result<Vec<u8>, VisionError> {
    let png = encode(raster, Format::Png, None, None)?;
    let mut data = Vec::with_capacity(png.len());
    let mut rest = png.get(8..).unwrap_or_default();
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, name @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((content, after)) = after.split_at_checked(length) else { break };
        if &name == b"IDAT" {
            data.extend_from_slice(content);
        }
        rest = after.get(4..).unwrap_or_default();
    }
    Ok(data)
}
