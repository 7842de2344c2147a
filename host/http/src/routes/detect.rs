//! `POST /v1/detect`.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::{DetectionKind, Failure, Outcome};
use breakwater_operations::{DetectInput, DetectOutput, ImageSource};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::body;
use crate::form::{Fields, Form, field_invalid};
use crate::incoming::Incoming;
use crate::json::{self, BodyKind, Known};
use crate::negotiate::require_json;
use crate::picture;
use crate::problem::{Problem, Refusal};
use crate::wire::{DetectionBody, ReasonBody, SizeBody, each, milliseconds};

/// What to look for in which picture. Exactly one of `image_path` and `image_base64`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectRequest {
    /// Path of a picture below the media root; a leading slash means the media root.
    #[schema(example = "/uploads/photo.jpg")]
    image_path: Option<String>,
    /// The picture in base64, also as a `data:` URL.
    image_base64: Option<String>,
    /// `face`, `person`, `object`; `face` and `person` when absent or empty.
    #[schema(value_type = Option<Vec<String>>, example = json!(["face", "person"]))]
    detection_types: Option<Vec<DetectionKind>>,
    /// The least confidence reported, 0 to 1; 0.5 when absent.
    #[schema(minimum = 0, maximum = 1, default = 0.5)]
    confidence_threshold: Option<f32>,
}

impl Known for DetectRequest {
    const FIELDS: &'static [&'static str] = &["image_path", "image_base64", "detection_types", "confidence_threshold"];
}

const FIELDS: Fields =
    Fields { files: &["image"], texts: &["image_path", "detection_types", "confidence_threshold"], repeated: &["detection_types"] };

/// What to look for in which picture, as a form. Exactly one of `image` and `image_path`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct DetectForm {
    /// The picture.
    #[schema(value_type = Option<String>, format = Binary, content_media_type = "application/octet-stream")]
    image: Option<String>,
    /// Path of a picture below the media root, instead of `image`.
    image_path: Option<String>,
    /// Comma-separated: `face,person`.
    #[schema(example = "face,person")]
    detection_types: Option<String>,
    /// The least confidence reported, 0 to 1; 0.5 when absent.
    confidence_threshold: Option<f32>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct DetectAnswer {
    /// By falling confidence.
    detections: Vec<DetectionBody>,
    /// Size of the picture after EXIF orientation.
    image: SizeBody,
    /// What was looked for.
    #[schema(value_type = Vec<String>)]
    detection_types: Vec<DetectionKind>,
    /// Where the models run.
    device: String,
    /// Who answered, such as `model:yunet on cpu` or `cache:yunet`.
    served_by: String,
    /// Whether some of the types could not be looked for.
    degraded: bool,
    /// Why.
    degraded_reasons: Vec<ReasonBody>,
    /// How long each stage took, in milliseconds.
    timings_ms: DetectTimingsBody,
}

/// Milliseconds of each stage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DetectTimings)]
pub(crate) struct DetectTimingsBody {
    /// Getting the bytes.
    read: f64,
    /// Decoding.
    decode: f64,
    /// Running the models, waiting for a batch included.
    detect: f64,
    /// All of it.
    total: f64,
}

impl From<Outcome<DetectOutput>> for DetectAnswer {
    fn from(outcome: Outcome<DetectOutput>) -> Self {
        let (served_by, degraded) = (outcome.served_by.label(), outcome.is_degraded());
        let DetectOutput { detections, size, kinds, device, timings } = outcome.value;
        Self {
            detections: each(detections),
            image: size.into(),
            detection_types: kinds,
            device,
            served_by,
            degraded,
            degraded_reasons: each(outcome.reasons),
            timings_ms: DetectTimingsBody {
                read: milliseconds(timings.read),
                decode: milliseconds(timings.decode),
                detect: milliseconds(timings.detect),
                total: milliseconds(timings.total),
            },
        }
    }
}

/// Finds faces, people and objects in a picture.
#[utoipa::path(
    post,
    path = "/v1/detect",
    tag = "images",
    operation_id = "detectObjects",
    request_body(content((DetectRequest = "application/json"), (DetectForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "What was found", body = DetectAnswer, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn detect(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let max_bytes = app.operations().limits().max_bytes;
    let input = match BodyKind::of(&headers)? {
        BodyKind::Json => of_json(&body::read(&headers, body, app.body_limits()).await?, max_bytes)?,
        BodyKind::Form => of_form(Form::read(&headers, body, FIELDS, app.form_limits()).await?, max_bytes)?,
    };
    let context = incoming.context(app.config.request_timeout);
    let outcome = app.operations().detect(&context, input).await?;
    Ok(json::answer(&DetectAnswer::from(outcome)))
}

fn of_json(bytes: &[u8], max_bytes: u64) -> Result<DetectInput, Failure> {
    let request: DetectRequest = json::read(bytes)?;
    let image = picture::source(None, request.image_path, request.image_base64, max_bytes)?;
    Ok(DetectInput { image, kinds: request.detection_types.unwrap_or_default(), threshold: request.confidence_threshold })
}

fn of_form(mut form: Form, max_bytes: u64) -> Result<DetectInput, Failure> {
    let image: ImageSource = picture::source(form.take("image").map(|part| part.bytes), form.text("image_path")?, None, max_bytes)?;
    let mut kinds = Vec::new();
    while let Some(text) = form.text("detection_types")? {
        for name in text.split(',') {
            kinds.push(
                name.parse().map_err(|error: breakwater_core::detection::UnknownDetectionKind| {
                    field_invalid("detection_types", &error.to_string())
                })?,
            );
        }
    }
    Ok(DetectInput { image, kinds, threshold: form.parsed("confidence_threshold")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_image_processing_client_are_understood() {
        let text = r#"{"image_path":"/uploads/image.jpg","detection_types":["face","person"],"confidence_threshold":0.7}"#;
        let input = of_json(text.as_bytes(), 10).unwrap();
        assert_eq!(input.image, ImageSource::Path("/uploads/image.jpg".into()));
        assert_eq!((input.kinds, input.threshold), (vec![DetectionKind::Face, DetectionKind::Person], Some(0.7)));
    }

    #[test]
    fn an_unknown_type_is_named_with_its_place() {
        let failure = of_json(br#"{"image_path":"a","detection_types":["face","cat"]}"#, 10).unwrap_err();
        assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/detection_types/1");
    }
}
