//! A photograph on its way to a sheet.

use breakwater_core::{AspectRatio, Rect, Size};
use bytes::Bytes;

use super::placement;
use super::{Cell, Layout};
use crate::decode::{Wanted, decode};
use crate::header::Header;
use crate::header::jpeg::JpegHeader;
use crate::{ContentDigest, Format, Limits, VisionError};

/// A photograph whose headers were read.
#[derive(Debug, Clone)]
pub struct Photograph {
    pub(super) bytes: Bytes,
    pub(super) header: Header,
    pub(super) digest: ContentDigest,
    pub(super) crop: Option<Rect>,
    pub(super) caption: String,
}

impl Photograph {
    /// Reads the headers and holds them against the limits.
    ///
    /// # Errors
    /// As [`crate::probe`].
    pub fn read(bytes: Bytes, limits: &Limits) -> Result<Self, VisionError> {
        let header = Header::read(&bytes, limits)?;
        let digest = ContentDigest::of(&bytes);
        Ok(Self { bytes, header, digest, crop: None, caption: String::new() })
    }

    /// Finds out what composing would find out about it, without composing.
    ///
    /// # Errors
    /// What decoding it fails with.
    pub fn check(&self, limits: &Limits) -> Result<(), VisionError> {
        if self.header.format == Format::Jpeg {
            return JpegHeader::read(&self.bytes)?.check_complete(&self.bytes).map(drop);
        }
        decode(&self.bytes, &self.header, Wanted::default(), limits.start()).map(drop)
    }

    /// Its size after orientation.
    #[must_use]
    pub fn size(&self) -> Size {
        self.header.size()
    }

    /// With the part of it that is to fill its cell.
    ///
    /// # Errors
    /// `image.area-outside`.
    pub fn cropped(mut self, crop: Rect) -> Result<Self, VisionError> {
        if !crop.lies_inside(self.size()) {
            return Err(VisionError::AreaOutside { area: crop, size: self.size() });
        }
        self.crop = Some(crop);
        Ok(self)
    }

    /// With a text below it.
    #[must_use]
    pub fn captioned(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The ratio that has to be cut out of it to fill a cell of this layout.
    #[must_use]
    pub fn ratio_in(&self, layout: &Layout, may_turn: bool) -> Option<AspectRatio> {
        let cell: &Cell = layout.cells.first()?;
        placement::ratio(cell, placement::is_turned(cell, self.size(), may_turn))
    }
}
