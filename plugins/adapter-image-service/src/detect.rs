//! `detect-objects`.

use breakwater_guest::{Failure, Invocation, Reply, Upstreams};
use image_model::{DetectOutput, Size};
use serde::Deserialize;

use crate::service::{self, Found, Route};

pub(crate) const NAME: &str = "detect-objects";
const ROUTE: Route = Route { setting: "detect_path", path: "/detect", named_by: "image_path", part: "image", several: false };

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    detection_types: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    detections: Vec<Found>,
    image: Size,
    #[serde(default)]
    device: Option<String>,
}

/// Asks the service what is in a picture.
pub(crate) fn detect<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let answer: Answer = service::ask(host, call, &ROUTE, "application/json")?.json()?;
    if !answer.image.is_possible() {
        return Err(Failure::response_invalid("/image: an edge is not from 1 to 1000000"));
    }
    let types = if asked.detection_types.is_empty() { vec!["face".to_owned(), "person".to_owned()] } else { asked.detection_types };
    Reply::of(&DetectOutput {
        detections: service::detections(answer.detections)?,
        image: answer.image,
        detection_types: types,
        device: answer.device.unwrap_or_else(|| "remote".to_owned()),
    })
}
