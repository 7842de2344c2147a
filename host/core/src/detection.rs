//! What detectors find in an image.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::geometry::{Bounds, Point};

/// What a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectionKind {
    /// Human faces with five landmarks.
    Face,
    /// Whole people.
    Person,
    /// Things of the 79 other COCO classes.
    Object,
}

impl DetectionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Face, Self::Person, Self::Object];

    /// As users write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Person => "person",
            Self::Object => "object",
        }
    }
}

impl fmt::Display for DetectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no kind of detection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("detection types are face, person and object; got {0:?}")]
pub struct UnknownDetectionKind(String);

impl FromStr for DetectionKind {
    type Err = UnknownDetectionKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let found = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownDetectionKind(text.chars().take(40).collect()))
    }
}

/// One thing found, in pixels of the original image after EXIF orientation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// What was looked for.
    pub kind: DetectionKind,
    /// Class name of the model, such as `dog`; `face` for faces.
    pub label: String,
    /// 0..=1.
    pub confidence: f32,
    /// Where it is.
    #[serde(rename = "box")]
    pub bounds: Bounds,
    /// For faces: right eye, left eye, nose tip, right and left corner of the mouth. Empty for the others.
    #[serde(default)]
    pub landmarks: Vec<Point>,
}
