//! The host's own operations as JSON: what a caller by name writes and gets, and what an adapter in front of a remote service takes and
//! gives. The names are those of the image-processing client.

pub(crate) mod batch;
pub(crate) mod crop;
pub(crate) mod detect;
pub(crate) mod features;
pub(crate) mod plan;
pub(crate) mod search;
pub(crate) mod sheet;

use breakwater_core::{Attachment, Bounds, Detection, DetectionKind, Failure, Payload, Point, Rect, Size};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::source::ImageSource;

/// Where the picture of an input is: `image_path` names one below the media root, otherwise it is the only attachment.
pub(crate) fn image_source(path: Option<String>, payload: &mut Payload) -> Result<ImageSource, Failure> {
    match (path, payload.attachments.len()) {
        (Some(path), 0) => Ok(ImageSource::Path(path)),
        (None, 1) => Ok(ImageSource::Bytes(payload.attachments.remove(0).bytes)),
        _ => Err(Failure::invalid("operation.image-missing", "give the picture either as `image_path` or as the only attachment")),
    }
}

/// The other way round.
pub(crate) fn payload(source: &ImageSource, mut fields: serde_json::Map<String, Value>) -> Payload {
    match source {
        ImageSource::Path(path) => {
            fields.insert("image_path".to_owned(), path.clone().into());
            Payload::json(fields.into())
        }
        // Whoever takes URLs has fetched them before.
        ImageSource::Url(url) => {
            fields.insert("image_url".to_owned(), url.clone().into());
            Payload::json(fields.into())
        }
        ImageSource::Bytes(bytes) => {
            let media_type = breakwater_vision::Format::sniff(bytes).map_or("application/octet-stream", |format| format.media_type());
            let attachment = Attachment { media_type: media_type.to_owned(), bytes: bytes.clone() };
            Payload { json: fields.into(), attachments: vec![attachment] }
        }
    }
}

/// Reads a typed value out of JSON that was validated already.
pub(crate) fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::invalid("operation.input-invalid", format!("the input cannot be read: {error}")))
}

/// Reads what a provider answered.
pub(crate) fn read_reply<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        let message = format!("the answer of a provider cannot be read: {error}");
        Failure::new(breakwater_core::FailureKind::Rejected, "plugin.output-invalid", message)
    })
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SizeJson {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl From<Size> for SizeJson {
    fn from(size: Size) -> Self {
        Self { width: size.width, height: size.height }
    }
}

impl From<SizeJson> for Size {
    fn from(size: SizeJson) -> Self {
        Self::new(size.width, size.height)
    }
}

/// Whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RectJson {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl From<Rect> for RectJson {
    fn from(rect: Rect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

impl From<RectJson> for Rect {
    fn from(rect: RectJson) -> Self {
        Self::new(rect.x, rect.y, rect.width, rect.height)
    }
}

/// A detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DetectionJson {
    kind: DetectionKind,
    #[serde(default)]
    label: String,
    confidence: f64,
    #[serde(rename = "box")]
    bounds: BoundsJson,
    #[serde(default)]
    landmarks: Vec<PointJson>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct BoundsJson {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct PointJson {
    x: f64,
    y: f64,
}

/// The number that is written with the same digits: JSON values hold doubles, and 0.9 as a float is not 0.9 as a double.
pub(crate) fn double(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

impl From<&Detection> for DetectionJson {
    fn from(found: &Detection) -> Self {
        let Bounds { x, y, width, height } = found.bounds;
        Self {
            kind: found.kind,
            label: found.label.clone(),
            confidence: double(found.confidence),
            bounds: BoundsJson { x: double(x), y: double(y), width: double(width), height: double(height) },
            landmarks: found.landmarks.iter().map(|&Point { x, y }| PointJson { x: double(x), y: double(y) }).collect(),
        }
    }
}

impl From<DetectionJson> for Detection {
    fn from(found: DetectionJson) -> Self {
        let BoundsJson { x, y, width, height } = found.bounds;
        let label = if found.label.is_empty() { found.kind.name().to_owned() } else { found.label };
        let landmarks = found.landmarks.into_iter().map(|PointJson { x, y }| Point { x: x as f32, y: y as f32 }).collect();
        let bounds = Bounds { x: x as f32, y: y as f32, width: width as f32, height: height as f32 };
        Self { kind: found.kind, label, confidence: found.confidence as f32, bounds, landmarks }
    }
}

/// The schema of one detection.
pub(crate) fn detection_schema() -> Value {
    let number = json!({ "type": "number" });
    json!({
        "type": "object",
        "required": ["kind", "confidence", "box"],
        "properties": {
            "kind": { "enum": ["face", "person", "object"] },
            "label": { "type": "string", "maxLength": 64 },
            "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
            "box": {
                "type": "object",
                "required": ["x", "y", "width", "height"],
                "properties": { "x": number, "y": number, "width": number, "height": number }
            },
            "landmarks": {
                "type": "array",
                "maxItems": 16,
                "items": { "type": "object", "required": ["x", "y"], "properties": { "x": number, "y": number } }
            }
        }
    })
}

/// The schema of detections that a caller brings: a list, or the whole answer of `detect-objects`.
pub(crate) fn given_detections_schema() -> Value {
    let detections = json!({ "type": "array", "maxItems": 10_000, "items": detection_schema() });
    json!({ "anyOf": [
        detections,
        { "type": "object", "required": ["detections"], "properties": { "detections": detections } }
    ] })
}

/// The schema of a size in pixels.
pub(crate) fn size_schema() -> Value {
    let edge = json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 });
    json!({ "type": "object", "required": ["width", "height"], "properties": { "width": edge, "height": edge } })
}

/// The schema of a ratio: parts, or text such as `4:6`.
pub(crate) fn ratio_schema() -> Value {
    let part = json!({ "type": "integer", "minimum": 1, "maximum": 10_000 });
    json!({ "anyOf": [
        { "type": "object", "required": ["width", "height"], "properties": { "width": part, "height": part }, "additionalProperties": false },
        { "type": "string", "pattern": "^[0-9]{1,5}:[0-9]{1,5}$" }
    ] })
}
