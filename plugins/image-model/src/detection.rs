//! What was found in a picture.

use serde::{Deserialize, Serialize};

use crate::geometry::{Bounds, Point, Size};

/// The most detections of one answer.
pub const MAX_DETECTIONS: usize = 10_000;
/// The longest label, in characters.
pub const MAX_LABEL: usize = 64;
/// The most landmarks of one detection.
pub const MAX_LANDMARKS: usize = 16;

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// `face`, `person` or `object`.
    pub kind: String,
    /// Class name, such as `dog`.
    pub label: String,
    /// 0 to 1.
    pub confidence: f64,
    /// Where it is.
    #[serde(rename = "box")]
    pub bounds: Bounds,
    /// For faces: right eye, left eye, nose tip, right and left corner of the mouth.
    #[serde(default)]
    pub landmarks: Vec<Point>,
}

/// What `detect-objects` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectOutput {
    /// By falling confidence, at most [`MAX_DETECTIONS`].
    pub detections: Vec<Detection>,
    /// Size of the picture after EXIF orientation.
    pub image: Size,
    /// What was looked for.
    pub detection_types: Vec<String>,
    /// Where the models run, or what stands for one.
    pub device: String,
}
