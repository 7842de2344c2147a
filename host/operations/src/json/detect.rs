//! `detect-objects` as JSON.

use std::time::Duration;

use breakwater_core::{DetectionKind, Failure, OperationSpec, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{DetectionJson, SizeJson, detection_schema, image_source, payload, read, read_reply, size_schema};
use crate::detect::{DetectInput, DetectOutput, DetectTimings};
use crate::operation::DETECT_OBJECTS;

#[derive(Debug, Deserialize)]
struct Input {
    image_path: Option<String>,
    #[serde(default)]
    detection_types: Vec<DetectionKind>,
    confidence_threshold: Option<f32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    detections: Vec<DetectionJson>,
    image: SizeJson,
    #[serde(default)]
    detection_types: Vec<DetectionKind>,
    #[serde(default)]
    device: String,
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    OperationSpec {
        name: DETECT_OBJECTS.name.to_owned(),
        summary: DETECT_OBJECTS.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "image_path": { "type": "string", "minLength": 1, "maxLength": 4096 },
                "detection_types": { "type": "array", "maxItems": 16, "items": { "enum": ["face", "person", "object"] } },
                "confidence_threshold": { "type": "number", "minimum": 0, "maximum": 1 }
            },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["detections", "image"],
            "properties": {
                "detections": { "type": "array", "maxItems": 10_000, "items": detection_schema() },
                "image": size_schema(),
                "detection_types": { "type": "array", "items": { "enum": ["face", "person", "object"] } },
                "device": { "type": "string" }
            }
        }),
        effect: DETECT_OBJECTS.effect,
        idempotent: true,
        permission: None,
    }
}

/// From what a caller by name writes.
pub(crate) fn input(mut given: Payload) -> Result<DetectInput, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    let image = image_source(input.image_path, &mut given)?;
    Ok(DetectInput { image, kinds: input.detection_types, threshold: input.confidence_threshold })
}

/// For a provider that takes JSON.
pub(crate) fn to_payload(input: &DetectInput) -> Payload {
    let mut fields = Map::new();
    if !input.kinds.is_empty() {
        fields.insert("detection_types".to_owned(), json!(input.kinds));
    }
    if let Some(threshold) = input.threshold {
        fields.insert("confidence_threshold".to_owned(), json!(threshold));
    }
    payload(&input.image, fields)
}

/// For a caller by name.
pub(crate) fn output(output: &DetectOutput) -> Payload {
    let detections = output.detections.iter().map(DetectionJson::from).collect();
    let output = Output { detections, image: output.size.into(), detection_types: output.kinds.clone(), device: output.device.clone() };
    Payload::json(json!(output))
}

/// From what a provider answered.
pub(crate) fn from_payload(reply: Payload, elapsed: Duration) -> Result<DetectOutput, Failure> {
    let output: Output = read_reply(reply.json)?;
    let mut detections: Vec<breakwater_core::Detection> = output.detections.into_iter().map(Into::into).collect();
    detections.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let timings = DetectTimings { total: elapsed, ..DetectTimings::default() };
    Ok(DetectOutput { detections, size: output.image.into(), kinds: output.detection_types, device: output.device, timings })
}

#[cfg(test)]
mod tests {
    use breakwater_core::Size;
    use breakwater_plugins::OperationSchema;

    use super::*;
    use crate::source::ImageSource;
    use crate::testing::detection;

    #[test]
    fn an_input_survives_the_way_out_and_back() {
        let given = json!({ "image_path": "/uploads/image.jpg", "detection_types": ["face", "person"], "confidence_threshold": 0.5 });
        OperationSchema::compile(spec()).unwrap().check_input(&given).unwrap();
        let input = input(Payload::json(given.clone())).unwrap();
        assert_eq!(input.image, ImageSource::Path("/uploads/image.jpg".into()));
        assert_eq!(to_payload(&input).json, given);
    }

    #[test]
    fn an_output_survives_the_way_out_and_back_and_fits_its_schema() {
        let found = DetectOutput {
            detections: vec![detection(DetectionKind::Face, 0.5)],
            size: Size::new(6, 4),
            kinds: vec![DetectionKind::Face],
            device: "cpu".into(),
            timings: DetectTimings::default(),
        };
        let reply = output(&found);
        OperationSchema::compile(spec()).unwrap().check_output(&reply.json).unwrap();
        let back = from_payload(reply, Duration::from_millis(3)).unwrap();
        assert_eq!((back.detections, back.size, back.timings.total), (found.detections, found.size, Duration::from_millis(3)));
    }

    #[test]
    fn a_picture_is_given_in_one_way() {
        let attachment = breakwater_core::Attachment { media_type: "image/png".into(), bytes: bytes::Bytes::from_static(b"x") };
        let both = Payload { json: json!({ "image_path": "a" }), attachments: vec![attachment] };
        assert_eq!(input(both).unwrap_err().code, "operation.image-missing");
        assert_eq!(input(Payload::json(json!({}))).unwrap_err().code, "operation.image-missing");
    }
}
