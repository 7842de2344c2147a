//! What `POST /v1/crop` takes, as JSON and as a form.

use breakwater_core::{AspectRatio, Detection, Failure};
use breakwater_operations::{CropInput, Format, WantedSize};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::form::{Fields, Form, at, field_invalid};
use crate::json::{self, Known};
use crate::picture;
use crate::routes::detect::DetectAnswer;
use crate::wire::{DetectionBody, each};

/// What to cut out of which picture. Exactly one of `image_path` and `image_base64`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CropRequest {
    /// Path of a picture below the media root; a leading slash means the media root.
    #[schema(example = "/uploads/photo.jpg")]
    image_path: Option<String>,
    /// The picture in base64, also as a `data:` URL.
    image_base64: Option<String>,
    /// The ratio of the crop, as `{"width": 4, "height": 6}` or `"4:6"`. When absent, that of `width` and `height`.
    #[schema(value_type = Option<RatioForms>)]
    target_aspect_ratio: Option<Value>,
    /// Name of a strategy; `center_faces` when absent. `GET /v1/strategies` lists them.
    #[schema(default = "center_faces")]
    crop_strategy: Option<String>,
    /// Parameters of the strategy.
    #[schema(value_type = Option<Object>)]
    strategy_parameters: Option<Value>,
    /// Detections to go by instead of detecting: a list, or the whole answer of `/v1/detect`. An empty list detects as needed.
    #[schema(value_type = Option<DetectionForms>)]
    detection_results: Option<Value>,
    /// `jpeg`, `png`, `webp` or `avif`; that of the input when absent, JPEG if that cannot be written.
    #[schema(example = "jpeg")]
    output_format: Option<String>,
    /// 1 to 100, for JPEG, WebP and AVIF.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// Columns of the result. One of `width` and `height` gives the other; both must have the ratio within a pixel.
    #[schema(minimum = 1)]
    width: Option<u32>,
    /// Rows of the result.
    #[schema(minimum = 1)]
    height: Option<u32>,
    /// Whether EXIF data is kept, where the format allows; false when absent.
    #[schema(default = false)]
    keep_metadata: Option<bool>,
}

/// Width to height, whole numbers from 1 to 10000.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = Ratio)]
pub(crate) struct RatioBody {
    /// Parts of width.
    #[schema(example = 4)]
    pub(crate) width: u32,
    /// Parts of height.
    #[schema(example = 6)]
    pub(crate) height: u32,
}

/// Both ways of writing a ratio.
#[derive(ToSchema)]
#[schema(as = AspectRatio)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: a value is read with a clearer error than an untagged one gives")]
pub(crate) enum RatioForms {
    /// In parts.
    Parts(RatioBody),
    /// Such as `4:6`.
    Text(String),
}

/// Both ways of giving detections.
#[derive(ToSchema)]
#[schema(as = GivenDetections)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: a value is read with a clearer error than an untagged one gives")]
pub(crate) enum DetectionForms {
    /// A list.
    List(Vec<DetectionBody>),
    /// The whole answer of `/v1/detect`.
    Answer(DetectAnswer),
}

impl Known for CropRequest {
    const FIELDS: &'static [&'static str] = &[
        "image_path",
        "image_base64",
        "target_aspect_ratio",
        "crop_strategy",
        "strategy_parameters",
        "detection_results",
        "output_format",
        "quality",
        "width",
        "height",
        "keep_metadata",
    ];
}

pub(crate) const FIELDS: Fields = Fields {
    files: &["image"],
    texts: &[
        "image_path",
        "target_aspect_ratio",
        "crop_strategy",
        "strategy_parameters",
        "detection_results",
        "output_format",
        "quality",
        "width",
        "height",
        "keep_metadata",
    ],
    repeated: &[],
};

/// What to cut out of which picture, as a form. Exactly one of `image` and `image_path`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct CropForm {
    /// The picture.
    #[schema(value_type = Option<String>, format = Binary, content_media_type = "application/octet-stream")]
    image: Option<String>,
    /// Path of a picture below the media root, instead of `image`.
    image_path: Option<String>,
    /// The ratio of the crop. When absent, that of `width` and `height`.
    #[schema(example = "4:6")]
    target_aspect_ratio: Option<String>,
    /// Name of a strategy; `center_faces` when absent.
    crop_strategy: Option<String>,
    /// Parameters of the strategy: a JSON object.
    #[schema(example = "{}")]
    strategy_parameters: Option<String>,
    /// Detections to go by: JSON, a list or the whole answer of `/v1/detect`.
    detection_results: Option<String>,
    /// `jpeg`, `png`, `webp` or `avif`.
    output_format: Option<String>,
    /// 1 to 100.
    quality: Option<u8>,
    /// Columns of the result.
    width: Option<u32>,
    /// Rows of the result.
    height: Option<u32>,
    /// Whether EXIF data is kept.
    keep_metadata: Option<bool>,
}

/// Reads a JSON body. Whether the picture is stored is decided by the answer.
pub(crate) fn of_json(bytes: &[u8], max_bytes: u64) -> Result<CropInput, Failure> {
    let request: CropRequest = json::read(bytes)?;
    let (path, base64) = (request.image_path.clone(), request.image_base64.clone());
    request.into_input(None, path, base64, max_bytes)
}

/// Reads a form.
pub(crate) fn of_form(mut form: Form, max_bytes: u64) -> Result<CropInput, Failure> {
    let file = form.take("image").map(|part| part.bytes);
    let path = form.text("image_path")?;
    let request = CropRequest {
        image_path: None,
        image_base64: None,
        target_aspect_ratio: form.text("target_aspect_ratio")?.map(Value::String),
        crop_strategy: form.text("crop_strategy")?,
        strategy_parameters: form.json("strategy_parameters")?,
        detection_results: form.json("detection_results")?,
        output_format: form.text("output_format")?,
        quality: form.parsed("quality")?,
        width: form.parsed("width")?,
        height: form.parsed("height")?,
        keep_metadata: form.parsed("keep_metadata")?,
    };
    request.into_input(file, path, None, max_bytes)
}

impl CropRequest {
    fn into_input(self, file: Option<Bytes>, path: Option<String>, base64: Option<String>, max_bytes: u64) -> Result<CropInput, Failure> {
        Ok(CropInput {
            image: picture::source(file, path, base64, max_bytes)?,
            ratio: self.target_aspect_ratio.map(ratio).transpose()?,
            strategy: self.crop_strategy,
            parameters: self.strategy_parameters,
            detections: self.detection_results.map(detections).transpose()?.unwrap_or_default(),
            size: WantedSize { width: self.width, height: self.height },
            format: self.output_format.as_deref().map(format).transpose()?,
            quality: self.quality,
            keep_metadata: self.keep_metadata.unwrap_or(false),
            store: false,
        })
    }
}

fn ratio(value: Value) -> Result<AspectRatio, Failure> {
    let invalid = |problem: &str| at("target_aspect_ratio", "crop.ratio-invalid", problem);
    match value {
        Value::String(text) => text.parse().map_err(|error: breakwater_core::geometry::InvalidAspectRatio| invalid(&error.to_string())),
        object @ Value::Object(_) => {
            let parts: RatioBody = serde_json::from_value(object).map_err(|error| invalid(&error.to_string()))?;
            AspectRatio::new(parts.width, parts.height).map_err(|error| invalid(&error.to_string()))
        }
        _ => Err(invalid("write {\"width\": 4, \"height\": 6} or \"4:6\"")),
    }
}

fn detections(value: Value) -> Result<Vec<Detection>, Failure> {
    let list = match value {
        Value::Object(mut answer) => answer.remove("detections").unwrap_or_default(),
        list => list,
    };
    if !list.is_array() {
        return Err(field_invalid("detection_results", "give a list of detections, or the whole answer of /v1/detect"));
    }
    let list: Vec<DetectionBody> = serde_path_to_error::deserialize(list)
        .map_err(|error| field_invalid("detection_results", &format!("at {}: {}", error.path().clone(), error.inner())))?;
    Ok(each(list))
}

fn format(text: &str) -> Result<Format, Failure> {
    let parsed: Result<Format, _> = text.trim().to_ascii_lowercase().parse();
    match parsed {
        Ok(format) if format.can_be_written() => Ok(format),
        _ => Err(field_invalid("output_format", "formats are jpeg, png, webp and avif")),
    }
}

#[cfg(test)]
mod tests {
    use breakwater_operations::ImageSource;

    use super::*;

    fn code(text: &str) -> String {
        of_json(text.as_bytes(), 100).unwrap_err().code.into_owned()
    }

    #[test]
    fn the_names_of_the_image_processing_client_are_understood() {
        let text = r#"{
            "image_path": "/uploads/image.jpg",
            "target_aspect_ratio": {"width": 4, "height": 6},
            "detection_results": {"detections": [{"kind":"face","confidence":0.9,"box":{"x":1,"y":2,"width":3,"height":4}}], "degraded": false},
            "crop_strategy": "center_faces"
        }"#;
        let input = of_json(text.as_bytes(), 100).unwrap();
        assert_eq!(input.image, ImageSource::Path("/uploads/image.jpg".into()));
        assert_eq!(input.ratio.unwrap().to_string(), "4:6");
        assert_eq!((input.detections.len(), input.detections[0].bounds.width), (1, 3.0));
        assert_eq!(input.strategy.as_deref(), Some("center_faces"));
    }

    #[test]
    fn a_ratio_is_an_object_or_text() {
        for value in [r#"{"width":4,"height":6}"#, r#""4:6""#, r#""4x6""#] {
            let input = of_json(format!(r#"{{"image_path":"a","target_aspect_ratio":{value}}}"#).as_bytes(), 100).unwrap();
            assert_eq!(input.ratio.unwrap().to_string(), "4:6", "{value}");
        }
        for value in [r#"{"width":0,"height":6}"#, r#""wide""#, "1.5", "[]", r#"{"width":1.5,"height":1}"#] {
            assert_eq!(code(&format!(r#"{{"image_path":"a","target_aspect_ratio":{value}}}"#)), "crop.ratio-invalid", "{value}");
        }
    }

    #[test]
    fn detections_that_are_none_are_refused() {
        for value in ["{}", "1", r#"[{"kind":"face"}]"#, r#"[{"kind":"cat","confidence":1,"box":{}}]"#] {
            assert_eq!(code(&format!(r#"{{"image_path":"a","detection_results":{value}}}"#)), "request.field-invalid", "{value}");
        }
    }

    #[test]
    fn gif_cannot_be_asked_for() {
        assert_eq!(code(r#"{"image_path":"a","output_format":"gif"}"#), "request.field-invalid");
        assert_eq!(of_json(br#"{"image_path":"a","output_format":"JPG"}"#, 9).unwrap().format, Some(Format::Jpeg));
    }
}
