//! `/v2/repository`: the model repository extension of the Open Inference Protocol.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use breakwater_core::Failure;

use super::inference_body::{IndexEntry, IndexRequest, LoadRequest};
use crate::app::App;
use crate::dialect::InferenceError;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::management;
use crate::oip::request::check_type;
use crate::problem::Refusal;
use crate::wire::each;

/// Every model that is built in or configured, and whether it serves.
#[utoipa::path(
    post,
    path = "/v2/repository/index",
    tag = "inference",
    operation_id = "repositoryIndex",
    request_body(content = Option<IndexRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "The models", body = Vec<IndexEntry>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn index(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let request: IndexRequest = read(&app, &headers, body).await?;
    let only_ready = request.ready.unwrap_or(false);
    let models = app.state.models.catalogue().into_iter().filter(|model| !only_ready || app.state.models.is_ready(&model.id));
    Ok(json::answer(&each::<_, IndexEntry>(models.collect())))
}

/// Loads a configured model, or loads it again from the same files; what served before serves until then. From this machine only, unless remote
/// management is switched on.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/load",
    tag = "inference",
    operation_id = "loadModel",
    params(("model" = String, Path, description = "The model's id")),
    request_body(content = Option<LoadRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "It serves"),
        (status = 404, description = "No model of this id is configured", body = InferenceError, content_type = "application/json"),
        (status = "4XX", description = "The request is refused", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "It could not be loaded", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn load(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    check(read(&app, &headers, body).await?)?;
    let models = app.state.models.clone();
    finished(async move { models.load(&model).await }).await
}

/// Stops serving a model. Calls under way end as usual, and its memory is given back with the last of them. From this machine only, unless remote
/// management is switched on.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/unload",
    tag = "inference",
    operation_id = "unloadModel",
    params(("model" = String, Path, description = "The model's id")),
    request_body(content = Option<LoadRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "It serves no more"),
        (status = 404, description = "No model of this id is configured", body = InferenceError, content_type = "application/json"),
        (status = "4XX", description = "The request is refused; 409: it is the model that serves by default", body = InferenceError, content_type = "application/json"),
        (status = "5XX", description = "It could not be unloaded", body = InferenceError, content_type = "application/json")
    )
)]
pub(crate) async fn unload(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    check(read(&app, &headers, body).await?)?;
    let models = app.state.models.clone();
    finished(async move { models.unload(&model).await }).await
}

/// Clients of the protocol send JSON without saying so, or nothing.
async fn read<T: Known + Default>(app: &App, headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    check_type(headers)?;
    let bytes = management::bytes(app, headers, body).await?;
    if bytes.is_empty() { Ok(T::default()) } else { json::read(&bytes) }
}

/// A change that has begun runs to its end, even if the client hangs up.
async fn finished(change: impl Future<Output = Result<(), Failure>> + Send + 'static) -> Result<StatusCode, Refusal> {
    let changed = tokio::spawn(change).await;
    changed.map_err(|error| Failure::internal("a change of the models ended early").caused_by(error))??;
    Ok(StatusCode::OK)
}

/// # Errors
/// `tensor.parameter-unsupported`: a parameter would load something else than what is configured.
fn check(request: LoadRequest) -> Result<(), Failure> {
    match request.parameters.unwrap_or_default().keys().next() {
        Some(name) => {
            let message = format!("the parameter {name:?} is not supported: models are loaded as they are configured");
            Err(Failure::invalid("tensor.parameter-unsupported", message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_is_configured_is_loaded() {
        let read = |text: &str| json::read::<LoadRequest>(text.as_bytes()).and_then(check).map_err(|failure| failure.code.into_owned());
        for text in ["{}", r#"{"parameters": null}"#, r#"{"parameters": {}}"#] {
            assert_eq!(read(text), Ok(()), "{text}");
        }
        assert_eq!(read(r#"{"parameters": {"config": "{}"}}"#), Err("tensor.parameter-unsupported".into()));
        assert_eq!(read(r#"{"config": {}}"#), Err("request.unknown-field".into()));
    }
}
