//! `POST /v1/operations/{name}`.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::crop_answer::Picture;
use super::invoke_answer::{self, InvokeAnswer};
use super::invoke_request::{self, FIELDS, InvokeForm, InvokeRequest};
use crate::app::App;
use crate::body;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::json::BodyKind;
use crate::negotiate;
use crate::problem::{Problem, Refusal};

/// Calls an operation by name. The answer says who gave it and whether it is degraded. An operation that gives exactly one attachment
/// gives its bytes to `Accept: application/octet-stream` or the attachment's own type, with the rest in `X-Breakwater-*` headers.
#[utoipa::path(
    post,
    path = "/v1/operations/{name}",
    tag = "operations",
    operation_id = "callOperation",
    params(
        ("name" = String, Path, description = "The operation's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same for every try at one effect; 1 to 255 printable ASCII characters")
    ),
    request_body(content((InvokeRequest = "application/json"), (InvokeForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "What the operation answered",
            content((InvokeAnswer = "application/json"), (Picture = "application/octet-stream")),
            headers(
                ("x-breakwater-served-by" = String, description = "With bytes: who answered"),
                ("x-breakwater-degraded" = bool, description = "With bytes: whether the answer is degraded"),
                ("x-breakwater-degraded-reason" = String, description = "With bytes: who failed before, and the codes"),
                ("x-breakwater-level" = String, description = "With bytes: the level of a degraded answer"),
                ("x-breakwater-attempts" = u32, description = "With bytes: how many providers were asked"),
                ("x-breakwater-upstream-attempts" = u32, description = "With bytes: how many requests were sent to services elsewhere"),
                ("x-breakwater-cached-age-ms" = u64, description = "With bytes: how old an answer from the cache is"),
                ("x-breakwater-output" = String, description = "With bytes: the output, JSON in ASCII; left out over 8 KiB")
            )),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Nobody could answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn invoke(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // What could not be answered anyway is refused before the attachments are sent.
    negotiate::require_answer(&headers)?;
    app.operations().require_operation(&name)?;
    let max_bytes = app.operations().limits().max_bytes;
    let call = match BodyKind::of(&headers)? {
        BodyKind::Json => invoke_request::of_json(&body::read(&headers, body, app.body_limits()).await?, max_bytes)?,
        BodyKind::Form => invoke_request::of_form(Form::read(&headers, body, FIELDS, app.form_limits()).await?)?,
    };
    let context = call.context(&incoming, &headers, app.config.request_timeout)?;
    let outcome = app.operations().invoke(&context, &name, call.payload).await?;
    Ok(invoke_answer::answer(&headers, outcome, &context))
}
