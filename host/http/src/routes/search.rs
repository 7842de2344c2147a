//! `POST /v1/search` and `GET /v1/search/status`.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::search_answer::SearchAnswer;
use super::search_request::{self, FIELDS, SearchBody, SearchFormBody};
use super::search_status::SearchStatusBody;
use crate::app::App;
use crate::body;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// Finds the products that look like a picture or another product, that a text describes, or that are near a vector. The answer says which model
/// and index found them and whether it is degraded. Pages are stable while products change.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    operation_id = "search",
    request_body(content((SearchBody = "application/json"), (SearchFormBody = "multipart/form-data"))),
    responses(
        (status = 200, description = "A page of what was found", body = SearchAnswer, content_type = "application/json"),
        (status = 404, description = "There is no such model, space or product", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn search(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let max_bytes = app.operations().limits().max_bytes;
    let request = match BodyKind::of(&headers)? {
        BodyKind::Json => search_request::of_json(&body::read(&headers, body, app.body_limits()).await?, max_bytes)?,
        BodyKind::Form => search_request::of_form(Form::read(&headers, body, FIELDS, app.form_limits()).await?, max_bytes)?,
    };
    let context = incoming.context(app.config.request_timeout);
    let outcome = app.operations().search(&context, request).await?;
    Ok(json::answer(&SearchAnswer::of(outcome, &context)))
}

/// How many products there are, and how the index of every space is.
#[utoipa::path(
    get,
    path = "/v1/search/status",
    tag = "search",
    operation_id = "searchStatus",
    responses(
        (status = 200, description = "How it is", body = SearchStatusBody, content_type = "application/json"),
        (status = "4XX", description = "Not acceptable", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&SearchStatusBody::from(app.operations().search_status().await?)))
}
