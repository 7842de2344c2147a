//! What a sheet is to be like.

use std::str::FromStr;

use super::{Fit, Layout, Length, PageOptions, SheetError};

/// Resolution of pictures of pages when none is asked for, as printers want it.
pub(super) const DEFAULT_DPI: u32 = 300;
/// Quality of JPEGs on sheets when none is asked for.
pub(super) const DEFAULT_QUALITY: u8 = 90;

/// How a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SheetFormat {
    /// One file with all pages.
    #[default]
    Pdf,
    /// A picture of each page.
    Png,
    /// A picture of each page.
    Jpeg,
}

impl SheetFormat {
    /// `pdf`, `png` or `jpeg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// The usual end of a file name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.name(),
        }
    }
}

impl FromStr for SheetFormat {
    type Err = SheetError;

    fn from_str(text: &str) -> Result<Self, SheetError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "pdf" => Ok(Self::Pdf),
            "png" => Ok(Self::Png),
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            _ => Err(SheetError::FormatInvalid { text: text.chars().take(40).collect() }),
        }
    }
}

/// What a sheet is to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetOptions {
    /// Its pages. Where there are captions, their height is [`caption_height`] of `caption_size`.
    pub page: PageOptions,
    /// How photographs fill their cells.
    pub fit: Fit,
    /// Whether a photograph may lie on its side where it is larger that way.
    pub turn: bool,
    /// Height of the letters of captions in points, 4 to 72.
    pub caption_size: f32,
    /// How it is written.
    pub format: SheetFormat,
    /// 36 to 1200. Of pictures of pages the resolution, 300 when absent; of photographs in a PDF the highest, none when absent.
    pub dpi: Option<u32>,
    /// 1 to 100, of what is written as JPEG; 90 when absent.
    pub quality: Option<u8>,
}

impl SheetOptions {
    /// Lays a page out, after checking the options.
    ///
    /// # Errors
    /// `sheet.option-out-of-range`, and what [`Layout::new`] fails with.
    pub fn layout(&self) -> Result<Layout, SheetError> {
        let refuse = |name, range, value: String| Err(SheetError::OptionInvalid { name, range, value });
        if let Some(dpi) = self.dpi.filter(|dpi| !(36..=1200).contains(dpi)) {
            return refuse("dpi", "36 to 1200", dpi.to_string());
        }
        if let Some(quality) = self.quality.filter(|quality| !(1..=100).contains(quality)) {
            return refuse("quality", "1 to 100", quality.to_string());
        }
        if !(4.0..=72.0).contains(&self.caption_size) {
            return refuse("caption_size", "4 to 72 points", self.caption_size.to_string());
        }
        Layout::new(&self.page)
    }

    pub(super) fn jpeg_quality(&self) -> u8 {
        self.quality.unwrap_or(DEFAULT_QUALITY)
    }
}

/// Height of the line below a cell for letters of this size in points.
#[must_use]
pub fn caption_height(size: f32) -> Length {
    Length::points(size * 1.7)
}
