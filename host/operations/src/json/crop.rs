//! `crop-image` as JSON. The picture is written below the media root where there is one, otherwise it is the answer's attachment.

use breakwater_core::{
    AspectRatio, Attachment, Detection, Failure, FailureKind, OperationSpec, Outcome, Payload, Rect, ServedBy, Size, Term,
};
use breakwater_vision::{Encoded, Format, RenderTimings};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    DetectionJson, RectJson, SizeJson, detection_schema, double, given_detections_schema, image_source, payload, ratio_schema, read,
    read_reply, size_schema,
};
use crate::crop::{CropInput, CropOutput, CropTimings};
use crate::operation::CROP_IMAGE;
use crate::output_size::WantedSize;
use crate::plan::DEFAULT_STRATEGY;

#[derive(Debug, Deserialize)]
struct Input {
    image_path: Option<String>,
    target_aspect_ratio: Option<RatioJson>,
    detection_results: Option<DetectionsJson>,
    crop_strategy: Option<String>,
    strategy_parameters: Option<Value>,
    output_format: Option<String>,
    quality: Option<u8>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(default)]
    keep_metadata: bool,
    store: Option<bool>,
}

/// A ratio in parts or as text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum RatioJson {
    Parts(SizeJson),
    Text(String),
}

impl RatioJson {
    pub(crate) fn ratio(self) -> Result<AspectRatio, Failure> {
        let ratio = match self {
            Self::Parts(parts) => AspectRatio::new(parts.width, parts.height),
            Self::Text(text) => text.parse(),
        };
        ratio.map_err(|error| Failure::invalid("crop.ratio-invalid", error.to_string()))
    }
}

/// A list, or the whole answer of `detect-objects`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum DetectionsJson {
    List(Vec<DetectionJson>),
    Answer { detections: Vec<DetectionJson> },
}

impl DetectionsJson {
    pub(crate) fn list(self) -> Vec<Detection> {
        let (Self::List(list) | Self::Answer { detections: list }) = self;
        list.into_iter().map(Into::into).collect()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    crop: RectJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_path: Option<String>,
    output: PictureJson,
    image: SizeJson,
    #[serde(default)]
    crop_strategy: String,
    #[serde(default)]
    target_aspect_ratio: String,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    reasons: Vec<TermJson>,
    #[serde(default)]
    detections: Vec<DetectionJson>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PictureJson {
    width: u32,
    height: u32,
    #[serde(default)]
    format: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct TermJson {
    name: String,
    weight: f64,
    value: f64,
}

impl From<&Term> for TermJson {
    fn from(term: &Term) -> Self {
        Self { name: term.name.clone(), weight: double(term.weight), value: double(term.value) }
    }
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    let edge = json!({ "type": "integer", "minimum": 1, "maximum": 65_535 });
    let pixel = json!({ "type": "integer", "minimum": 0 });
    let detections = json!({ "type": "array", "maxItems": 10_000, "items": detection_schema() });
    OperationSpec {
        name: CROP_IMAGE.name.to_owned(),
        summary: CROP_IMAGE.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "image_path": { "type": "string", "minLength": 1, "maxLength": 4096 },
                "target_aspect_ratio": ratio_schema(),
                "detection_results": given_detections_schema(),
                "crop_strategy": { "type": "string", "minLength": 1, "maxLength": 64 },
                "strategy_parameters": { "type": "object" },
                "output_format": { "enum": ["jpeg", "png", "webp", "avif"] },
                "quality": { "type": "integer", "minimum": 1, "maximum": 100 },
                "width": edge,
                "height": edge,
                "keep_metadata": { "type": "boolean" },
                "store": { "type": "boolean" }
            },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["crop", "output", "image"],
            "properties": {
                "crop": {
                    "type": "object",
                    "required": ["x", "y", "width", "height"],
                    "properties": { "x": pixel, "y": pixel, "width": edge, "height": edge }
                },
                "output_path": { "type": "string" },
                "output": size_schema(),
                "image": size_schema(),
                "crop_strategy": { "type": "string" },
                "target_aspect_ratio": { "type": "string" },
                "score": { "type": "number" },
                "reasons": { "type": "array", "items": {
                    "type": "object",
                    "required": ["name", "weight", "value"],
                    "properties": { "name": { "type": "string" }, "weight": { "type": "number" }, "value": { "type": "number" } }
                } },
                "detections": detections
            }
        }),
        effect: CROP_IMAGE.effect,
        idempotent: true,
        permission: None,
    }
}

/// From what a caller by name writes. `can_store` is whether there is a media root.
pub(crate) fn input(mut given: Payload, can_store: bool) -> Result<CropInput, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    let image = image_source(input.image_path, &mut given)?;
    let format = input.output_format.map(|name| name.parse::<Format>()).transpose();
    Ok(CropInput {
        image,
        ratio: input.target_aspect_ratio.map(RatioJson::ratio).transpose()?,
        strategy: input.crop_strategy,
        parameters: input.strategy_parameters,
        detections: input.detection_results.map(DetectionsJson::list).unwrap_or_default(),
        size: WantedSize { width: input.width, height: input.height },
        format: format.map_err(|error| Failure::invalid("operation.input-invalid", error.to_string()))?,
        quality: input.quality,
        keep_metadata: input.keep_metadata,
        store: input.store.unwrap_or(can_store),
    })
}

/// For a provider that takes JSON.
pub(crate) fn to_payload(input: &CropInput) -> Payload {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("target_aspect_ratio", input.ratio.map(|ratio| json!({ "width": ratio.width, "height": ratio.height })));
    put("crop_strategy", input.strategy.clone().map(Value::from));
    put("strategy_parameters", input.parameters.clone());
    let detections: Vec<_> = input.detections.iter().map(DetectionJson::from).collect();
    put("detection_results", (!detections.is_empty()).then(|| json!(detections)));
    put("output_format", input.format.map(|format| format.name().into()));
    put("quality", input.quality.map(Value::from));
    put("width", input.size.width.map(Value::from));
    put("height", input.size.height.map(Value::from));
    put("keep_metadata", input.keep_metadata.then(|| true.into()));
    put("store", Some(input.store.into()));
    payload(&input.image, fields)
}

/// For a caller by name: the picture is attached unless it was written.
pub(crate) fn output(output: &CropOutput) -> Payload {
    let picture = &output.image;
    let json = json!(Output {
        crop: output.crop.into(),
        output_path: output.output_path.clone(),
        output: PictureJson {
            width: picture.size.width,
            height: picture.size.height,
            format: picture.format.name().to_owned(),
            media_type: picture.format.media_type().to_owned(),
            bytes: picture.bytes.len() as u64,
        },
        image: output.source_size.into(),
        crop_strategy: output.strategy.clone(),
        target_aspect_ratio: output.ratio.to_string(),
        score: double(output.score),
        reasons: output.reasons.iter().map(TermJson::from).collect(),
        detections: output.detections.iter().map(DetectionJson::from).collect(),
    });
    let attachment = Attachment { media_type: picture.format.media_type().to_owned(), bytes: picture.bytes.clone() };
    let attachments = if output.output_path.is_some() { Vec::new() } else { vec![attachment] };
    Payload { json, attachments }
}

/// What a provider that takes JSON answered, before the picture was fetched or written.
pub(crate) struct Reply {
    output: Output,
    /// The picture, if it came along.
    pub(crate) picture: Option<Bytes>,
}

impl Reply {
    /// Reads an answer.
    pub(crate) fn of(mut payload: Payload) -> Result<Self, Failure> {
        let output: Output = read_reply(payload.json)?;
        let picture = payload.attachments.pop().map(|attachment| attachment.bytes);
        Ok(Self { output, picture })
    }

    /// Where the provider wrote the picture.
    pub(crate) fn path(&self) -> Option<&str> {
        self.output.output_path.as_deref()
    }

    /// The size of its picture.
    pub(crate) fn size(&self) -> Size {
        Size::new(self.output.output.width, self.output.output.height)
    }

    /// Where the provider says to cut.
    pub(crate) fn crop(&self) -> Rect {
        self.output.crop.into()
    }

    /// As the typed operation answers. `history` says who answered and what failed before.
    pub(crate) fn into_output(
        self,
        (picture, size): (Bytes, Size),
        path: Option<String>,
        asked: &CropInput,
        history: Outcome<()>,
    ) -> Result<CropOutput, Failure> {
        let unusable =
            |what: &str| Failure::new(FailureKind::Rejected, "plugin.output-invalid", format!("the answer of a provider {what}"));
        let format = Format::sniff(&picture).ok_or_else(|| unusable("is no picture this service knows"))?;
        let Output { crop, image, crop_strategy, target_aspect_ratio, score, reasons, detections, .. } = self.output;
        let named = (!target_aspect_ratio.is_empty()).then(|| target_aspect_ratio.parse().ok()).flatten();
        let ratio = named.or(asked.ratio).or_else(|| AspectRatio::new(crop.width, crop.height).ok());
        let strategy =
            if crop_strategy.is_empty() { asked.strategy.clone().unwrap_or_else(|| DEFAULT_STRATEGY.to_owned()) } else { crop_strategy };
        let timings = CropTimings { total: history.elapsed, ..CropTimings::default() };
        Ok(CropOutput {
            strategy,
            ratio: ratio.ok_or_else(|| unusable("names no ratio"))?,
            source_size: image.into(),
            crop: Rect::from(crop),
            score: score as f32,
            reasons: reasons
                .into_iter()
                .map(|term| Term { name: term.name, weight: term.weight as f32, value: term.value as f32 })
                .collect(),
            detections: detections.into_iter().map(Into::into).collect(),
            plugin: None,
            served_by: history.served_by,
            degraded_reasons: history.reasons,
            level: history.level,
            attempts: history.attempts,
            timings,
            image: Encoded { bytes: picture, format, size, timings: RenderTimings::default() },
            output_path: path,
        })
    }
}

/// The history of a typed crop.
pub(crate) fn history(output: &CropOutput) -> Outcome<()> {
    Outcome {
        reasons: output.degraded_reasons.clone(),
        attempts: output.attempts,
        level: output.level.clone(),
        elapsed: output.timings.total,
        ..Outcome::new((), ServedBy::clone(&output.served_by))
    }
}
