//! `POST /api/process-image`: the integration example of the image-processing client, as its callers know it. Its errors have that
//! example's shape as well.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::{AspectRatio, Failure, FailureKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::crop_answer::CropAnswer;
use super::crop_request::RatioBody;
use super::detect::DetectAnswer;
use crate::app::App;
use crate::body;
use crate::form::at;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind, Known};
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// Where it is. Failures under this path are answered as [`ErrorBody`], whoever finds them.
pub(crate) const PATH: &str = "/api/process-image";
/// What callers are told while nobody can do the work.
const UNAVAILABLE: &str = "Image processing service temporarily unavailable";
/// What callers are told of a defect.
const INTERNAL: &str = "Internal server error";

/// Which picture, and what shape it should have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProcessImageRequest {
    /// Path of a picture below the media root; a leading slash means the media root.
    #[schema(example = "/uploads/image.jpg")]
    image_path: String,
    /// The ratio of the crop.
    aspect_ratio: RatioBody,
}

impl Known for ProcessImageRequest {
    const FIELDS: &'static [&'static str] = &["imagePath", "aspectRatio"];
}

/// What was found and where it was cut.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProcessImageAnswer {
    /// Always true.
    success: bool,
    /// The crop around the faces; the picture is written below the media root.
    result: CropAnswer,
    /// The faces and people in the picture.
    detections: DetectAnswer,
}

/// Why not.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ProcessImageError)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    /// For people.
    error: String,
    /// Stable code; absent while the service is unavailable, and for defects.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
}

impl ErrorBody {
    fn of(problem: &Problem, kind: FailureKind) -> Self {
        use FailureKind::{BudgetExhausted, CircuitOpen, Internal, Unavailable};
        match kind {
            Unavailable | CircuitOpen | BudgetExhausted => Self { error: UNAVAILABLE.to_owned(), error_code: None },
            Internal => Self { error: INTERNAL.to_owned(), error_code: None },
            _ => Self { error: problem.detail.clone(), error_code: Some(problem.code.clone()) },
        }
    }
}

/// A failure as callers of this route know it. The correlation id is in the header as everywhere.
pub(crate) fn refusal(problem: &Problem, kind: FailureKind) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, json::answer(&ErrorBody::of(problem, kind))).into_response();
    if let Some(wait) = problem.retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
    }
    response
}

/// Finds faces and people in a picture, then cuts it around the faces.
#[utoipa::path(
    post,
    path = "/api/process-image",
    tag = "images",
    operation_id = "processImage",
    request_body(content = ProcessImageRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "What was found and where it was cut", body = ProcessImageAnswer, content_type = "application/json"),
        (status = 503, description = "Nobody can do it at the moment", body = ErrorBody, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = ErrorBody, content_type = "application/json"),
        (status = "5XX", description = "It could not be done", body = ErrorBody, content_type = "application/json")
    )
)]
pub(crate) async fn process_image(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    BodyKind::require_json(&headers)?;
    let request: ProcessImageRequest = json::read(&body::read(&headers, body, app.body_limits()).await?)?;
    let ratio = ratio(request.aspect_ratio)?;
    let context = incoming.context(app.config.request_timeout);
    let (crop, found) = app.operations().process_image(&context, request.image_path, ratio).await?;
    Ok(json::answer(&ProcessImageAnswer { success: true, result: crop.into(), detections: found.into() }))
}

fn ratio(RatioBody { width, height }: RatioBody) -> Result<AspectRatio, Failure> {
    AspectRatio::new(width, height).map_err(|error| at("aspectRatio", "crop.ratio-invalid", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use breakwater_core::CorrelationId;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_body_of_the_example_is_understood() {
        let request: ProcessImageRequest =
            json::read(br#"{"imagePath":"/uploads/image.jpg","aspectRatio":{"width":4,"height":6}}"#).unwrap();
        assert_eq!((request.image_path.as_str(), ratio(request.aspect_ratio).unwrap().to_string()), ("/uploads/image.jpg", "4:6".into()));
        for (text, code) in [
            (r#"{"aspectRatio":{"width":4,"height":6}}"#, "request.field-invalid"),
            (r#"{"imagePath":"a"}"#, "request.field-invalid"),
            (r#"{"imagePath":"a","aspectRatio":"4:6"}"#, "request.field-invalid"),
            (r#"{"image_path":"a"}"#, "request.unknown-field"),
        ] {
            assert_eq!(json::read::<ProcessImageRequest>(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
        assert_eq!(ratio(RatioBody { width: 0, height: 1 }).unwrap_err().code, "crop.ratio-invalid");
    }

    #[tokio::test]
    async fn errors_have_the_shape_of_the_example() {
        use FailureKind::*;
        let id = CorrelationId::generate();
        for (kind, code, status, body) in [
            (Unavailable, "upstream.connection", 503, json!({ "error": "Image processing service temporarily unavailable" })),
            (CircuitOpen, "upstream.circuit-open", 503, json!({ "error": "Image processing service temporarily unavailable" })),
            (Timeout, "call.deadline", 504, json!({ "error": "why", "errorCode": "call.deadline" })),
            (NotFound, "media.not-found", 404, json!({ "error": "why", "errorCode": "media.not-found" })),
            (Internal, "internal", 500, json!({ "error": "Internal server error" })),
        ] {
            let failure = Failure::new(kind, code, "why");
            let response = refusal(&Problem::of(&failure, &id), kind);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-type"]),
                (status, &HeaderValue::from_static("application/json"))
            );
            let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), body);
        }
        let full = Failure::limit("http.overloaded", "full").retry_after(std::time::Duration::from_millis(1500));
        let response = refusal(&Problem::of(&full, &id), full.kind);
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &HeaderValue::from(2)));
    }
}
