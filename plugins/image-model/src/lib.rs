//! The JSON of image operations: types, limits and schemas that the plugins around images share.
//!
//! The names are those of the image-processing client. docs/image-service.md explains them.

mod crop;
mod detection;
mod features;
mod geometry;
pub mod schemas;

pub use crop::{CropOutput, Picture, Term};
pub use detection::{DetectOutput, Detection, MAX_DETECTIONS, MAX_LABEL, MAX_LANDMARKS};
pub use features::{FeaturesOutput, direction};
pub use geometry::{Bounds, Point, RatioInput, Rect, Size};
