//! `/v1/batches`: many images with the same work for each, as work that survives a crash.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::batches::Batch;
use breakwater_operations::workflows::Wanted;

use super::batch_body::{BatchBody, BatchRequest, BatchResultBody};
use super::execution_body;
use crate::app::App;
use crate::body;
use crate::caller;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::management::Allowed;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// What may have become of an image.
const STATES: [&str; 4] = ["pending", "running", "succeeded", "failed"];

/// A zip file.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Zip(Vec<u8>);

/// Starts a batch: a list of images, a folder or a manifest below the media root. Everything wrong with it is said before anything runs; an
/// image that fails leaves the others alone. It goes on after the service is started again. With `wait`, the answer comes when it has ended
/// or time is up.
#[utoipa::path(
    post,
    path = "/v1/batches",
    tag = "batches",
    operation_id = "startBatch",
    params(("idempotency-key" = Option<String>, Header, description = "Starting twice with one key and one list is starting once")),
    request_body(content = BatchRequest, content_type = "application/json"),
    responses(
        (status = 201, description = "It has ended", body = BatchBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the batch"))),
        (status = 202, description = "It is accepted", body = BatchBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the batch"))),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be kept", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    BodyKind::require_json(&headers)?;
    let request = json::read::<BatchRequest>(&body::read(&headers, body, app.body_limits()).await?)?;
    let context = incoming.context(app.config.request_timeout);
    let patience = request.patience(app.config.request_timeout);
    let (mut batch, _) = app.batches.start(request.new_batch(&headers)?).await?;
    if let Some(patience) = patience {
        batch = app.batches.wait(&batch.id, patience.min(context.deadline.remaining())).await?;
    }
    Ok(at(batch))
}

fn at(batch: Batch) -> Response {
    let status = if batch.status.is_final() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let location = format!("/v1/batches/{}", batch.id);
    json::located(status, &location, &BatchBody::from(batch))
}

/// The batches, the newest first.
#[utoipa::path(
    get,
    path = "/v1/batches",
    tag = "batches",
    operation_id = "listBatches",
    params(
        ("status" = Option<String>, Query, description = "Only with this status"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the batches", body = PageBody<BatchBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["status", page, per_page])?;
    let page = Page::of(&query)?;
    let status = query.text("status").map(execution_body::status).transpose()?;
    let part = app.batches.list(status, page.range()).await?;
    Ok(json::answer(&page.of_part::<Batch, BatchBody>(part)))
}

/// How far a batch is.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}",
    tag = "batches",
    operation_id = "getBatch",
    params(("id" = String, Path, description = "Names the batch")),
    responses(
        (status = 200, description = "How far it is", body = BatchBody, content_type = "application/json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&BatchBody::from(app.batches.get(&id).await?)))
}

/// What became of each image until now, in the order of the list.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/results",
    tag = "batches",
    operation_id = "getBatchResults",
    params(
        ("id" = String, Path, description = "Names the batch"),
        ("status" = Option<String>, Query, description = "Only `pending`, `running`, `succeeded` or `failed` images"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the images", body = PageBody<BatchResultBody>, content_type = "application/json"),
        (status = "4XX", description = "There is none, or the request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn results(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["status", page, per_page])?;
    let page = Page::of(&query)?;
    let state = query.text("status");
    if state.is_some_and(|state| !STATES.contains(&state)) {
        return Err(field_invalid("status", &format!("is one of {}", STATES.join(", "))).into());
    }
    let part = app.batches.results(&id, state, page.range()).await?;
    Ok(json::answer(&page.of_part::<_, BatchResultBody>(part)))
}

/// The results until now as one zip file, written while it is sent: each picture under the name of its image, then `manifest.json` and
/// `manifest.csv`. A result that is gone is named there.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/archive",
    tag = "batches",
    operation_id = "getBatchArchive",
    params(("id" = String, Path, description = "Names the batch")),
    responses(
        (status = 200, description = "The pictures and the manifests", content((Zip = "application/zip"))),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn archive(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let archive = app.batches.archive(&id).await?;
    let unnamed = |_| Failure::internal("the name of an archive is no header");
    let named = HeaderValue::try_from(format!("attachment; filename=\"{}\"", archive.name)).map_err(unnamed)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, named),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, Body::from_stream(archive.pieces())).into_response())
}

/// Does the failed images of a batch that has ended again, in a new batch. While that one goes on, it is also the answer to asking again;
/// once it has ended, asking again begins another one.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/retry",
    tag = "batches",
    operation_id = "retryBatch",
    params(
        ("id" = String, Path, description = "Names the batch"),
        ("idempotency-key" = Option<String>, Header, description = "Asking twice with one key is asking once, also after the end")
    ),
    responses(
        (status = 201, description = "The new batch has ended already", body = BatchBody, content_type = "application/json"),
        (status = 202, description = "The new batch", body = BatchBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the new batch"))),
        (status = "4XX", description = "There is none, it has not ended, or nothing failed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn retry(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let key = caller::idempotency_key(&headers)?;
    let (batch, _) = app.batches.retry(&id, key.map(|key| key.to_string())).await?;
    Ok(at(batch))
}

/// Pauses a batch: images at work end, and no other begins. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/pause",
    tag = "batches",
    operation_id = "pauseBatch",
    params(("id" = String, Path, description = "Names the batch")),
    responses(
        (status = 200, description = "How it is now", body = BatchBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it has ended", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn pause(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Pause).await
}

/// Lets a paused batch go on. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/resume",
    tag = "batches",
    operation_id = "resumeBatch",
    params(("id" = String, Path, description = "Names the batch")),
    responses(
        (status = 200, description = "How it is now", body = BatchBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it is not paused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn resume(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Resume).await
}

/// Ends a batch: images at work are left, and no other begins; results stay. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/batches/{id}/cancel",
    tag = "batches",
    operation_id = "cancelBatch",
    params(("id" = String, Path, description = "Names the batch")),
    responses(
        (status = 200, description = "How it is now", body = BatchBody, content_type = "application/json"),
        (status = "4XX", description = "There is none, or it has ended", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn cancel(_: Allowed, app: State<App>, id: Path<String>) -> Result<Response, Refusal> {
    command(app, id, Wanted::Cancel).await
}

async fn command(State(app): State<App>, Path(id): Path<String>, wanted: Wanted) -> Result<Response, Refusal> {
    Ok(json::answer(&BatchBody::from(app.batches.command(&id, wanted).await?)))
}
