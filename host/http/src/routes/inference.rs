//! `/v2`: the Open Inference Protocol. Models as they are, with tensors as they are: no chain stands in for a model that fails.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use breakwater_core::{Failure, FailureKind};
use breakwater_operations::ModelMetadata;

use super::inference_body::{LiveBody, MetadataBody, ModelReadyBody, ReadyBody, ServerBody};
use crate::app::App;
use crate::body;
use crate::dialect::InferenceError;
use crate::incoming::Incoming;
use crate::json;
use crate::oip::{answer, request};
use crate::problem::Refusal;

/// What speaks the protocol here, and which of its extensions it knows.
#[utoipa::path(
    get,
    path = "/v2",
    tag = "inference",
    operation_id = "inferenceServer",
    responses((status = 200, description = "The server", body = ServerBody, content_type = "application/json"))
)]
pub(crate) async fn server() -> Response {
    json::answer(&ServerBody::this())
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/v2/health/live",
    tag = "inference",
    operation_id = "inferenceLive",
    responses((status = 200, description = "It lives", body = LiveBody, content_type = "application/json"))
)]
pub(crate) async fn live() -> Response {
    json::answer(&LiveBody { live: true })
}

/// Whether the service can do its work, as `GET /readyz` says.
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tag = "inference",
    operation_id = "inferenceReady",
    responses(
        (status = 200, description = "Ready", body = ReadyBody, content_type = "application/json"),
        (status = 503, description = "Not ready", body = ReadyBody, content_type = "application/json")
    )
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let ready = app.state.readiness.state().is_ok();
    (ready_status(ready), json::answer(&ReadyBody { ready })).into_response()
}

/// What a model takes and gives.
#[utoipa::path(
    get,
    path = "/v2/models/{model}",
    tag = "inference",
    operation_id = "inferenceModel",
    params(("model" = String, Path, description = "The model's id", example = "efficientnet-lite0")),
    responses(
        (status = 200, description = "The model", body = MetadataBody, content_type = "application/json"),
        (status = 404, description = "There is no such model", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "It does not serve now", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn model(State(app): State<App>, Path(model): Path<String>) -> Result<Response, Refusal> {
    Ok(json::answer(&MetadataBody::from(of_version(&app, &model, None)?)))
}

/// What a version of a model takes and gives. A model has one version at a time: the beginning of the digest of its weights.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}",
    tag = "inference",
    operation_id = "inferenceModelVersion",
    params(
        ("model" = String, Path, description = "The model's id"),
        ("version" = String, Path, description = "Its version, as `GET /v2/models/{model}` names it")
    ),
    responses(
        (status = 200, description = "The model", body = MetadataBody, content_type = "application/json"),
        (status = 404, description = "There is no such model or version", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "It does not serve now", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn model_version(State(app): State<App>, Path((model, version)): Path<(String, String)>) -> Result<Response, Refusal> {
    Ok(json::answer(&MetadataBody::from(of_version(&app, &model, Some(&version))?)))
}

/// Whether a model serves.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready",
    tag = "inference",
    operation_id = "inferenceModelReady",
    params(("model" = String, Path, description = "The model's id")),
    responses(
        (status = 200, description = "It serves", body = ModelReadyBody, content_type = "application/json"),
        (status = 404, description = "There is no such model", body = InferenceError, content_type = "application/json"),
        (status = 503, description = "It does not serve now", body = ModelReadyBody, content_type = "application/json")
    )
)]
pub(crate) async fn model_ready(State(app): State<App>, Path(model): Path<String>) -> Result<Response, Refusal> {
    readiness_of(&app, model)
}

/// Whether a version of a model serves.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}/ready",
    tag = "inference",
    operation_id = "inferenceModelVersionReady",
    params(
        ("model" = String, Path, description = "The model's id"),
        ("version" = String, Path, description = "Its version, as `GET /v2/models/{model}` names it")
    ),
    responses(
        (status = 200, description = "It serves", body = ModelReadyBody, content_type = "application/json"),
        (status = 404, description = "There is no such model or version", body = InferenceError, content_type = "application/json"),
        (status = 503, description = "It does not serve now", body = ModelReadyBody, content_type = "application/json")
    )
)]
pub(crate) async fn model_version_ready(
    State(app): State<App>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    if app.state.models.is_ready(&model) {
        of_version(&app, &model, Some(&version))?;
    }
    readiness_of(&app, model)
}

/// Runs a model on tensors. Those may follow the JSON in binary form, as `Inference-Header-Content-Length` and `binary_data_size` say, and so may
/// those of the answer. Pictures and texts are `BYTES`: files as they are, text as UTF-8.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    tag = "inference",
    operation_id = "infer",
    params(
        ("model" = String, Path, description = "The model's id", example = "efficientnet-lite0"),
        ("Inference-Header-Content-Length" = Option<u64>, Header, description = "Bytes of the JSON, when tensors follow it")
    ),
    request_body(content((request::Body = "application/json"), (super::crop_answer::Picture = "application/octet-stream"))),
    responses(
        (status = 200, description = "What the model gave",
            content((answer::Body = "application/json"), (super::crop_answer::Picture = "application/octet-stream")),
            headers(("inference-header-content-length" = u64, description = "Bytes of the JSON, when tensors follow it"))),
        (status = 404, description = "There is no such model", body = InferenceError, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "The model could not answer", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn infer(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    run(&app, &incoming, &model, None, &headers, body).await
}

/// Runs a version of a model on tensors, as `POST /v2/models/{model}/infer` does.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/versions/{version}/infer",
    tag = "inference",
    operation_id = "inferVersion",
    params(
        ("model" = String, Path, description = "The model's id"),
        ("version" = String, Path, description = "Its version, as `GET /v2/models/{model}` names it"),
        ("Inference-Header-Content-Length" = Option<u64>, Header, description = "Bytes of the JSON, when tensors follow it")
    ),
    request_body(content((request::Body = "application/json"), (super::crop_answer::Picture = "application/octet-stream"))),
    responses(
        (status = 200, description = "What the model gave",
            content((answer::Body = "application/json"), (super::crop_answer::Picture = "application/octet-stream")),
            headers(("inference-header-content-length" = u64, description = "Bytes of the JSON, when tensors follow it"))),
        (status = 404, description = "There is no such model or version", body = InferenceError, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "The model could not answer", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn infer_version(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path((model, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    run(&app, &incoming, &model, Some(&version), &headers, body).await
}

async fn run(
    app: &App,
    incoming: &Incoming,
    model: &str,
    version: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // What could not be answered anyway is refused before the tensors are sent.
    request::check_type(headers)?;
    let metadata = of_version(app, model, version)?;
    let request = request::read(headers, body::read(headers, body, app.body_limits()).await?)?;
    request.wanted.check(metadata.outputs.iter().map(|output| output.name.as_str()))?;
    let most = app.config.request_timeout;
    let context = incoming.context(request.timeout.map_or(most, |timeout| timeout.min(most)));
    let outputs = app.state.models.infer(&context, model, request.inputs).await?;
    let named = (metadata.name.to_string(), metadata.revision.short());
    Ok(answer::answer(named, request.id, &request.wanted, outputs)?)
}

/// A model, if it has this version.
fn of_version(app: &App, model: &str, version: Option<&str>) -> Result<ModelMetadata, Failure> {
    let metadata = app.state.models.metadata(model)?;
    match version {
        Some(version) if version != metadata.revision.short() => {
            let message = format!("the model has only the version {}", metadata.revision.short());
            Err(Failure::new(FailureKind::NotFound, "tensor.unknown-version", message))
        }
        _ => Ok(metadata),
    }
}

fn readiness_of(app: &App, name: String) -> Result<Response, Refusal> {
    let models = &app.state.models;
    let ready = models.is_ready(&name);
    if !ready && !models.catalogue().iter().any(|model| *model.id == *name) {
        // Says that there is no such model.
        models.metadata(&name)?;
    }
    Ok((ready_status(ready), json::answer(&ModelReadyBody { name, ready })).into_response())
}

fn ready_status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
