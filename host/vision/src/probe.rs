//! What an image is, from its headers alone.

use breakwater_core::Size;

use crate::header::Header;
use crate::{Format, Limits, VisionError};

/// What the headers of an image say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// By its content.
    pub format: Format,
    /// After orientation.
    pub size: Size,
    /// 1 for a still; only the first is ever decoded.
    pub frames: u32,
    /// As EXIF numbers it, 1..=8.
    pub orientation: u8,
}

/// Reads the headers of an image. Allocates no pixels; copies at most the metadata in the file.
///
/// # Errors
/// `image.unsupported` and `image.corrupt` for what is no readable header, and every limit but time.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Info, VisionError> {
    let header = Header::read(bytes, limits)?;
    Ok(Info { format: header.format, size: header.size(), frames: header.frames, orientation: header.orientation.exif() })
}
