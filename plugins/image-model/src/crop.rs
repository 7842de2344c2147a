//! Where a picture was cut, and the result.

use serde::{Deserialize, Serialize};

use crate::detection::Detection;
use crate::geometry::{Rect, Size};

/// What `crop-image` answers. The picture is the answer's only attachment, unless `output_path` says where it lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CropOutput {
    /// Where it was cut, in pixels of the original.
    pub crop: Rect,
    /// Path of the result, usable as `image_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_path: Option<String>,
    /// The result.
    pub output: Picture,
    /// Size of the original after EXIF orientation.
    pub image: Size,
    /// The strategy that was asked for, or that was used when none was.
    pub crop_strategy: String,
    /// The ratio, such as `4:6`.
    pub target_aspect_ratio: String,
    /// 0 to 1, comparable only within one strategy; absent when nobody gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Why there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Term>,
    /// What is known to be in the picture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detections: Vec<Detection>,
}

/// A picture or document that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Such as `jpeg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Such as `image/jpeg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Size of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One reason for a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What was measured.
    pub name: String,
    /// How much it counts.
    pub weight: f64,
    /// What it came to.
    pub value: f64,
}
