//! What the headers of a file say, read without decoding: size, frames, orientation, metadata, colour profile.

pub(crate) mod avif;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;

use breakwater_core::Size;

use crate::orientation::Orientation;
use crate::{Format, Limits, VisionError, exif};

/// What was read. Only the slices are allocated, and they are part of the file.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) format: Format,
    /// Before orientation.
    pub(crate) stored: Size,
    pub(crate) frames: u32,
    pub(crate) orientation: Orientation,
    /// The TIFF structure.
    pub(crate) exif: Option<Vec<u8>>,
    /// Present where it is stored plainly; PNG compresses it and its decoder brings it.
    pub(crate) icc: Option<Vec<u8>>,
}

impl Header {
    /// A still, upright image without metadata.
    fn new(format: Format, stored: Size) -> Self {
        Self { format, stored, frames: 1, orientation: Orientation::UPRIGHT, exif: None, icc: None }
    }

    /// Adds the EXIF and takes the orientation from it.
    fn with_exif(mut self, tiff: Option<&[u8]>) -> Self {
        if let Some(tiff) = tiff {
            let tiff = tiff.strip_prefix(exif::PREFIX).unwrap_or(tiff);
            self.orientation = exif::orientation(tiff);
            self.exif = Some(tiff.to_vec());
        }
        self
    }

    /// Reads the headers and holds them against the limits.
    pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Self, VisionError> {
        limits.check_bytes(bytes.len())?;
        let format = Format::sniff(bytes).ok_or_else(|| VisionError::unsupported("its bytes are none of JPEG, PNG, WebP, AVIF and GIF"))?;
        let header = match format {
            Format::Jpeg => jpeg::JpegHeader::read(bytes)?.header,
            Format::Png => png::read(bytes)?,
            Format::WebP => webp::read(bytes)?,
            Format::Avif => avif::AvifHeader::read(bytes)?.header,
            Format::Gif => gif::read(bytes)?,
        };
        if header.stored.is_empty() {
            return Err(VisionError::corrupt(format, format!("its size is {}", header.stored)));
        }
        limits.check_size(header.stored, header.stored.pixels().saturating_mul(u64::from(header.frames)))?;
        Ok(header)
    }

    /// The size once upright.
    pub(crate) fn size(&self) -> Size {
        self.orientation.turned(self.stored)
    }
}
