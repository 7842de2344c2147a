//! One detection that covers the picture.

use breakwater_guest::{Failure, ImageView, Invocation, Reply};
use image_model::{Bounds, DetectOutput, Detection};
use serde::Deserialize;

pub(crate) const NAME: &str = "whole-image";
/// The label by which callers tell that nothing was looked at.
pub const LABEL: &str = "whole-image";
/// How sure it is: less than any detector reports, and less than the default threshold. The caller's threshold is not applied to it.
pub const CONFIDENCE: f64 = 0.01;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    detection_types: Vec<String>,
}

/// Says that there is something somewhere. It is an object whatever was asked for, so that nobody takes it for a face.
pub(crate) fn answer<I: ImageView>(image: &I, call: &Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let size = image.size();
    let bounds = Bounds { x: 0.0, y: 0.0, width: size.width.into(), height: size.height.into() };
    let whole = Detection { kind: "object".to_owned(), label: LABEL.to_owned(), confidence: CONFIDENCE, bounds, landmarks: Vec::new() };
    let types = if asked.detection_types.is_empty() { vec!["face".to_owned(), "person".to_owned()] } else { asked.detection_types };
    Reply::of(&DetectOutput { detections: vec![whole], image: size.into(), detection_types: types, device: "none".to_owned() })
}
