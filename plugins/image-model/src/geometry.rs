//! Sizes and places in pixels of the original, after EXIF orientation.

use breakwater_guest::{AspectRatio, Failure};
use serde::{Deserialize, Serialize};

/// The longest edge of a picture.
const MAX_EDGE: u32 = 1_000_000;
/// The largest part of a ratio.
const MAX_PART: u32 = 10_000;

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Whether both edges are from 1 to a million.
    #[must_use]
    pub fn is_possible(self) -> bool {
        (1..=MAX_EDGE).contains(&self.width) && (1..=MAX_EDGE).contains(&self.height)
    }
}

impl From<breakwater_guest::Size> for Size {
    fn from(size: breakwater_guest::Size) -> Self {
        Self { width: size.width, height: size.height }
    }
}

/// Whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// Its size.
    #[must_use]
    pub fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// Whether it is not empty and inside of a picture of this size.
    #[must_use]
    pub fn lies_inside(self, picture: Size) -> bool {
        let Self { x, y, width, height } = self;
        breakwater_guest::Rect { x, y, width, height }.lies_inside(breakwater_guest::Size { width: picture.width, height: picture.height })
    }
}

impl From<breakwater_guest::Rect> for Rect {
    fn from(rect: breakwater_guest::Rect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

/// A box with sub-pixel edges. It may reach over the edges of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From the left edge.
    pub x: f64,
    /// From the top edge.
    pub y: f64,
}

/// A ratio as callers write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RatioInput {
    /// In parts.
    Parts(Size),
    /// Such as `4:6`.
    Text(String),
}

impl RatioInput {
    /// The ratio meant.
    ///
    /// # Errors
    /// `crop.ratio-invalid` (invalid-request) unless both parts are from 1 to 10000.
    pub fn ratio(&self) -> Result<AspectRatio, Failure> {
        let parts = match self {
            Self::Parts(parts) => Some(*parts),
            Self::Text(text) => text.split_once(':').and_then(|(width, height)| {
                let part = |text: &str| text.trim().parse().ok();
                Some(Size { width: part(width)?, height: part(height)? })
            }),
        };
        let possible = parts.filter(|parts| [parts.width, parts.height].iter().all(|part| (1..=MAX_PART).contains(part)));
        let Size { width, height } = possible.ok_or_else(|| {
            Failure::invalid_request("crop.ratio-invalid", "a ratio is {\"width\": 4, \"height\": 6} or \"4:6\", parts from 1 to 10000")
        })?;
        Ok(AspectRatio { width, height })
    }

    /// The ratio to cut to: the one given, or that of both edges of the result.
    ///
    /// # Errors
    /// `crop.ratio-missing` (invalid-request) when there is neither; `crop.ratio-invalid` as [`ratio`](Self::ratio).
    pub fn wanted(given: Option<&Self>, width: Option<u32>, height: Option<u32>) -> Result<AspectRatio, Failure> {
        match (given, width, height) {
            (Some(given), ..) => given.ratio(),
            (None, Some(width), Some(height)) => Self::Parts(Size { width, height }).ratio(),
            _ => Err(Failure::invalid_request("crop.ratio-missing", "give target_aspect_ratio, or both width and height")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_read_in_both_forms() {
        for json in [r#"{"width": 4, "height": 6}"#, r#""4:6""#] {
            let given: RatioInput = serde_json::from_str(json).unwrap();
            assert_eq!(given.ratio(), Ok(AspectRatio { width: 4, height: 6 }), "{json}");
        }
        for text in ["4", "4:0", "10001:1", "a:b", "4:6:8"] {
            assert_eq!(RatioInput::Text(text.to_owned()).ratio().unwrap_err().code, "crop.ratio-invalid", "{text}");
        }
    }

    #[test]
    fn both_edges_of_the_result_are_a_ratio_too() {
        assert_eq!(RatioInput::wanted(None, Some(300), Some(200)), Ok(AspectRatio { width: 300, height: 200 }));
        assert_eq!(RatioInput::wanted(None, Some(300), None).unwrap_err().code, "crop.ratio-missing");
    }
}
