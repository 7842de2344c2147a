//! `POST /v1/crop`.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::crop_answer::{self, CropAnswer, Picture};
use super::crop_request::{self, CropForm, CropRequest, FIELDS};
use crate::app::App;
use crate::body;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate;
use crate::problem::{Problem, Refusal};

/// Cuts a picture to a ratio where a strategy says. `Accept: image/*` is answered with the picture and the decision in
/// `X-Breakwater-*` headers; `Accept: application/json`, `*/*` or none with a description, the picture being written below the media
/// root. The name of a specific format, such as `image/webp`, chooses that format unless `output_format` does.
#[utoipa::path(
    post,
    path = "/v1/crop",
    tag = "images",
    operation_id = "cropImage",
    request_body(content((CropRequest = "application/json"), (CropForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "The picture, or where it was cut and why",
            content((CropAnswer = "application/json"), (Picture = "image/jpeg"), (Picture = "image/png"), (Picture = "image/webp"),
                (Picture = "image/avif")),
            headers(
                ("x-breakwater-crop" = String, description = "x,y,width,height in pixels of the original"),
                ("x-breakwater-strategy" = String, description = "The strategy asked for"),
                ("x-breakwater-score" = f32, description = "0 to 1"),
                ("x-breakwater-served-by" = String, description = "Who chose"),
                ("x-breakwater-degraded" = bool, description = "Whether another than the strategy's plugin chose"),
                ("x-breakwater-degraded-reason" = String, description = "Who failed before, and the codes"),
                ("x-breakwater-plugin" = String, description = "ID@VERSION of the plugin that chose"),
                ("x-breakwater-plugin-digest" = String, description = "Digest of its generation"),
                ("server-timing" = String, description = "How long each stage took")
            )),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn crop(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // What could not be answered anyway is refused before the picture is sent.
    negotiate::crop_answer(&headers, None)?;
    let max_bytes = app.operations().limits().max_bytes;
    let mut input = match BodyKind::of(&headers)? {
        BodyKind::Json => crop_request::of_json(&body::read(&headers, body, app.body_limits()).await?, max_bytes)?,
        BodyKind::Form => crop_request::of_form(Form::read(&headers, body, FIELDS, app.form_limits()).await?, max_bytes)?,
    };
    let context = incoming.context(app.config.request_timeout);
    match negotiate::crop_answer(&headers, input.format)? {
        negotiate::CropAnswer::Json => {
            input.store = true;
            let output = app.operations().crop(&context, input).await?;
            Ok(json::answer(&CropAnswer::from(output)))
        }
        negotiate::CropAnswer::Picture(format) => {
            input.format = input.format.or(format);
            let output = app.operations().crop(&context, input).await?;
            Ok(crop_answer::picture(output))
        }
    }
}
