//! How sheets fail.

use std::io;

use breakwater_core::{Failure, FailureKind};

use super::{Length, PaperSize};
use crate::VisionError;

/// Why a sheet could not be laid out or written. Each has a stable code, see [`SheetError::code`].
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// Text that is no length.
    #[error("{text:?} is no length from 0 to 10 metres; write 10mm, 1.5cm, 4in or 12pt")]
    LengthInvalid {
        /// The text.
        text: String,
    },
    /// Text that is no size of paper or of a photograph.
    #[error("{text:?} is no size; write a name such as A4 or Letter, or a measure such as 4x6in or 35x45mm")]
    SizeInvalid {
        /// The text.
        text: String,
    },
    /// Text that is no orientation.
    #[error("{text:?} is no orientation; a page is portrait or landscape")]
    OrientationInvalid {
        /// The text.
        text: String,
    },
    /// Text that names no guides.
    #[error("{text:?} are no guides; known are none, marks and lines")]
    GuidesInvalid {
        /// The text.
        text: String,
    },
    /// Text that names no way of filling cells.
    #[error("{text:?} is no way to fill a cell; known are fit, fill and crop")]
    FitInvalid {
        /// The text.
        text: String,
    },
    /// Text that names no format of sheets.
    #[error("{text:?} is no format of sheets; known are pdf, png and jpeg")]
    FormatInvalid {
        /// The text.
        text: String,
    },
    /// Too few or too many rows or columns.
    #[error("a sheet has 1 to {max} rows and 1 to {max} columns, not {rows} and {columns}", max = super::MAX_LINES)]
    GridInvalid {
        /// Rows asked for.
        rows: u32,
        /// Columns asked for.
        columns: u32,
    },
    /// A page that is too small or too large.
    #[error("a page of {size} is not possible: an edge is {} to {}", PaperSize::MIN_EDGE, PaperSize::MAX_EDGE)]
    PageInvalid {
        /// The page.
        size: PaperSize,
    },
    /// Cells that would bleed into each other.
    #[error("a bleed of {bleed} needs a gap of at least {}, or none; the gap is {gap}", *bleed * 2)]
    BleedInvalid {
        /// The bleed.
        bleed: Length,
        /// The gap.
        gap: Length,
    },
    /// What is wanted is larger than the page.
    #[error("it does not fit the page: {what}")]
    DoesNotFit {
        /// What.
        what: String,
    },
    /// A resolution, quality or size of letters outside of its range.
    #[error("{name} is {range}, not {value}")]
    OptionInvalid {
        /// Which.
        name: &'static str,
        /// What is accepted.
        range: &'static str,
        /// What was asked for.
        value: String,
    },
    /// A page of too many pixels.
    #[error("a page of {width} by {height} pixels is too large: it may have {limit} pixels; ask for fewer dpi")]
    TooManyPixels {
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
        /// The limit.
        limit: u64,
    },
    /// A photograph that cannot be read.
    #[error(transparent)]
    Photograph(#[from] VisionError),
    /// A font that cannot be embedded.
    #[error("a font cannot be embedded: {reason}")]
    FontFailed {
        /// What the library said.
        reason: String,
    },
    /// Where the sheet goes takes no more.
    #[error("the sheet cannot be written")]
    WriteFailed(#[from] io::Error),
}

impl SheetError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LengthInvalid { .. } => "sheet.length-invalid",
            Self::SizeInvalid { .. } => "sheet.size-invalid",
            Self::OrientationInvalid { .. } | Self::GuidesInvalid { .. } | Self::FitInvalid { .. } | Self::FormatInvalid { .. } => {
                "sheet.option-unknown"
            }
            Self::GridInvalid { .. } => "sheet.grid-invalid",
            Self::PageInvalid { .. } => "sheet.page-invalid",
            Self::BleedInvalid { .. } => "sheet.bleed-invalid",
            Self::DoesNotFit { .. } => "sheet.does-not-fit",
            Self::OptionInvalid { .. } => "sheet.option-out-of-range",
            Self::TooManyPixels { .. } => "sheet.too-many-pixels",
            Self::Photograph(error) => error.code(),
            Self::FontFailed { .. } => "sheet.font-failed",
            Self::WriteFailed(_) => "sheet.write-failed",
        }
    }

    /// What may be done about it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TooManyPixels { .. } => FailureKind::Limit,
            Self::Photograph(error) => error.kind(),
            Self::FontFailed { .. } => FailureKind::Internal,
            Self::WriteFailed(_) => FailureKind::Unavailable,
            _ => FailureKind::InvalidRequest,
        }
    }
}

impl From<SheetError> for Failure {
    fn from(error: SheetError) -> Self {
        let failure = Self::new(error.kind(), error.code(), error.to_string()).from_origin("vision");
        match error {
            // Where files are is for the log.
            SheetError::WriteFailed(cause) => failure.caused_by(cause),
            _ => failure,
        }
    }
}
