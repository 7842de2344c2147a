//! `POST /v1/sheets`.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::Failure;
use breakwater_operations::SheetDestination;

use super::crop_answer::Picture;
use super::sheets_answer::{self, Sheet, SheetAnswer};
use super::sheets_request::{self, FIELDS, SheetForm, SheetRequest};
use crate::app::App;
use crate::body;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate;
use crate::problem::{Problem, Refusal};

/// Puts photographs on pages: a grid of cells, or photographs of an exact size to cut out. `Accept: application/pdf` or `image/*` is answered
/// with the sheet, if it is one file, and what there is to say of it in `X-Breakwater-*` headers; `Accept: application/json`, `*/*` or none
/// with a description, the sheet being written below the media root. A photograph that cannot be read fails the sheet, and the problem
/// names every such photograph.
#[utoipa::path(
    post,
    path = "/v1/sheets",
    tag = "images",
    operation_id = "composeSheet",
    request_body(content((SheetRequest = "application/json"), (SheetForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "The sheet, or where it is",
            content((SheetAnswer = "application/json"), (Sheet = "application/pdf"), (Picture = "image/png"), (Picture = "image/jpeg")),
            headers(
                ("x-breakwater-pages" = u64, description = "Pages"),
                ("x-breakwater-placed" = u64, description = "Places that are filled"),
                ("x-breakwater-missing-characters" = String, description = "Indices of the captions with characters that no font has"),
                ("x-breakwater-served-by" = String, description = "Who made it"),
                ("x-breakwater-degraded" = bool, description = "Whether somebody else than asked made it, or a strategy did not choose"),
                ("x-breakwater-degraded-reason" = String, description = "Who failed before, and the codes")
            )),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn compose(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let mut input = match BodyKind::of(&headers)? {
        BodyKind::Json => sheets_request::of_json(&body::read(&headers, body, app.body_limits()).await?)?,
        BodyKind::Form => sheets_request::of_form(Form::read(&headers, body, FIELDS, app.sheet_limits()).await?)?,
    };
    let wants_sheet = negotiate::wants_sheet(&headers, input.spec.media_type()?)?;
    if wants_sheet {
        let files = input.spec.files(input.images.len())?;
        if files != 1 {
            let message = format!("the sheet is {files} pictures; ask for application/json, which says where they are, or for a PDF");
            return Err(Failure::invalid("sheet.several-files", message).into());
        }
        input.destination = SheetDestination::Unnamed;
    }
    let context = incoming.context(app.config.request_timeout);
    let outcome = app.operations().compose_sheet(&context, input).await?;
    if wants_sheet { Ok(sheets_answer::file(outcome)?) } else { Ok(json::answer(&SheetAnswer::from(outcome))) }
}
