//! `plan-crop` as JSON: where to cut, without cutting.

use breakwater_core::{CropPlan, Detection, Failure, OperationSpec, Payload, Size};
use serde::Deserialize;
use serde_json::{Value, json};

use super::crop::{DetectionsJson, RatioJson};
use super::{DetectionJson, RectJson, SizeJson, double, given_detections_schema, image_source, ratio_schema, read, size_schema};
use crate::operation::PLAN_CROP;
use crate::source::ImageSource;

#[derive(Debug, Deserialize)]
struct Input {
    image_path: Option<String>,
    target_aspect_ratio: RatioJson,
    detection_results: Option<DetectionsJson>,
    crop_strategy: Option<String>,
    strategy_parameters: Option<Value>,
}

/// What `plan-crop` takes by name.
#[derive(Debug)]
pub(crate) struct PlanCropInput {
    pub(crate) image: ImageSource,
    pub(crate) ratio: breakwater_core::AspectRatio,
    pub(crate) strategy: Option<String>,
    pub(crate) parameters: Option<Value>,
    pub(crate) detections: Vec<Detection>,
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    let pixel = json!({ "type": "integer", "minimum": 0 });
    OperationSpec {
        name: PLAN_CROP.name.to_owned(),
        summary: PLAN_CROP.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "required": ["target_aspect_ratio"],
            "properties": {
                "image_path": { "type": "string", "minLength": 1, "maxLength": 4096 },
                "target_aspect_ratio": ratio_schema(),
                "detection_results": given_detections_schema(),
                "crop_strategy": { "type": "string", "minLength": 1, "maxLength": 64 },
                "strategy_parameters": { "type": "object" }
            },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["crop", "image"],
            "properties": {
                "crop": {
                    "type": "object",
                    "required": ["x", "y", "width", "height"],
                    "properties": { "x": pixel, "y": pixel, "width": pixel, "height": pixel }
                },
                "image": size_schema(),
                "score": { "type": "number" },
                "reasons": { "type": "array" }
            }
        }),
        effect: PLAN_CROP.effect,
        idempotent: true,
        permission: None,
    }
}

/// From what a caller by name writes.
pub(crate) fn input(mut given: Payload) -> Result<PlanCropInput, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    Ok(PlanCropInput {
        image: image_source(input.image_path, &mut given)?,
        ratio: input.target_aspect_ratio.ratio()?,
        strategy: input.crop_strategy,
        parameters: input.strategy_parameters,
        detections: input.detection_results.map(DetectionsJson::list).unwrap_or_default(),
    })
}

/// For a caller by name.
pub(crate) fn output(plan: &CropPlan, size: Size, detections: &[Detection]) -> Payload {
    let reasons: Vec<_> =
        plan.reasons.iter().map(|term| json!({ "name": term.name, "weight": double(term.weight), "value": double(term.value) })).collect();
    let detections: Vec<_> = detections.iter().map(DetectionJson::from).collect();
    let (crop, image) = (RectJson::from(plan.crop), SizeJson::from(size));
    Payload::json(json!({ "crop": crop, "image": image, "score": double(plan.score), "reasons": reasons, "detections": detections }))
}
