//! How image work fails.

use std::time::Duration;

use breakwater_core::{Failure, FailureKind, Rect, Size};

use crate::Format;

/// Why an image could not be read, looked at or written. Each has a stable code, see [`VisionError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VisionError {
    /// The bytes are no image of a known format, or use a part of their format that is not supported.
    #[error("this image cannot be read: {reason}")]
    Unsupported {
        /// What was met.
        reason: String,
    },
    /// The bytes begin like an image but break the rules of their format or end too early.
    #[error("the {format} image is damaged: {reason}")]
    Corrupt {
        /// What it seemed to be.
        format: Format,
        /// What was wrong.
        reason: String,
    },
    /// More bytes than [`crate::Limits::max_bytes`].
    #[error("the image has {bytes} bytes; at most {limit} are accepted")]
    TooManyBytes {
        /// Size of the source.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More pixels, over all frames, than [`crate::Limits::max_pixels`].
    #[error("the image has {pixels} pixels over all its frames; at most {limit} are accepted")]
    TooManyPixels {
        /// Pixels counted when the limit was crossed.
        pixels: u64,
        /// The limit.
        limit: u64,
    },
    /// An edge is longer than [`crate::Limits::max_edge`].
    #[error("the longer edge of the image is {edge} pixels; at most {limit} are accepted")]
    EdgeTooLong {
        /// The longer edge.
        edge: u32,
        /// The limit.
        limit: u32,
    },
    /// Work on the image took longer than [`crate::Limits::max_time`].
    #[error("the image took longer than {limit:?} to process")]
    DecodeTimeout {
        /// The limit.
        limit: Duration,
    },
    /// A thumbnail or map was asked for with an edge outside its range.
    #[error("the edge must be 1 to {max}, not {edge}")]
    EdgeOutOfRange {
        /// What was asked for.
        edge: u32,
        /// The largest accepted.
        max: u32,
    },
    /// A rectangle is empty or reaches out of the image.
    #[error("the area {area} is empty or not inside the image of {size}")]
    AreaOutside {
        /// The rectangle.
        area: Rect,
        /// The image's size.
        size: Size,
    },
    /// The format can be read but not written.
    #[error("{format} cannot be written; ask for jpeg, png, webp or avif")]
    OutputUnsupported {
        /// The format.
        format: Format,
    },
    /// The output is empty, or larger than the limits or the format allow.
    #[error("an output of {size} is not possible: {reason}")]
    OutputTooLarge {
        /// The size asked for.
        size: Size,
        /// Which bound it breaks.
        reason: String,
    },
    /// The quality is not 1 to 100.
    #[error("the quality must be 1 to 100, not {quality}")]
    QualityOutOfRange {
        /// What was asked for.
        quality: u8,
    },
    /// The encoder failed: a defect or too little memory.
    #[error("the {format} image could not be written: {reason}")]
    EncodeFailed {
        /// The format.
        format: Format,
        /// What the encoder said.
        reason: String,
    },
}

impl VisionError {
    pub(crate) fn corrupt(format: Format, reason: impl ToString) -> Self {
        Self::Corrupt { format, reason: reason.to_string() }
    }

    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into() }
    }

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "image.unsupported",
            Self::Corrupt { .. } => "image.corrupt",
            Self::TooManyBytes { .. } => "image.too-many-bytes",
            Self::TooManyPixels { .. } => "image.too-many-pixels",
            Self::EdgeTooLong { .. } => "image.edge-too-long",
            Self::DecodeTimeout { .. } => "image.decode-timeout",
            Self::EdgeOutOfRange { .. } => "image.edge-out-of-range",
            Self::AreaOutside { .. } => "image.area-outside",
            Self::OutputUnsupported { .. } => "image.output-unsupported",
            Self::OutputTooLarge { .. } => "image.output-too-large",
            Self::QualityOutOfRange { .. } => "image.quality-out-of-range",
            Self::EncodeFailed { .. } => "image.encode-failed",
        }
    }

    /// What may be done about it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unsupported { .. }
            | Self::Corrupt { .. }
            | Self::EdgeOutOfRange { .. }
            | Self::AreaOutside { .. }
            | Self::OutputUnsupported { .. }
            | Self::QualityOutOfRange { .. } => FailureKind::InvalidRequest,
            Self::TooManyBytes { .. }
            | Self::TooManyPixels { .. }
            | Self::EdgeTooLong { .. }
            | Self::DecodeTimeout { .. }
            | Self::OutputTooLarge { .. } => FailureKind::Limit,
            Self::EncodeFailed { .. } => FailureKind::Internal,
        }
    }
}

impl From<VisionError> for Failure {
    fn from(error: VisionError) -> Self {
        Self::new(error.kind(), error.code(), error.to_string()).from_origin("vision")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_and_kind_as_a_failure() {
        let failure = Failure::from(VisionError::EdgeTooLong { edge: 40_000, limit: 30_000 });
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Limit, "image.edge-too-long"));
        assert!(failure.message.contains("40000") && !failure.retryable);
        let failure = Failure::from(VisionError::corrupt(Format::Jpeg, "it ends early"));
        assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "image.corrupt"));
        assert_eq!(failure.message, "the jpeg image is damaged: it ends early");
    }
}
