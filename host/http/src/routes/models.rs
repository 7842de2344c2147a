//! `GET /v1/models` and `GET /health`: which models there are, and how the service is.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use breakwater_operations::{DeviceKind, EmbedderInfo, LoadState, ModelState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};

/// The models, in OpenAI's form with more said of each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelsAnswer {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// Every model that is built in or configured.
    data: Vec<ModelBody>,
    /// Id of the embedder that is asked when a call names none.
    default_model: String,
}

/// A model.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelBody {
    /// Its id.
    #[schema(example = "efficientnet-lite0")]
    id: String,
    /// Always `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// Always `breakwater`.
    owned_by: &'static str,
    /// Such as `efficientnet-lite0`, `clip` or `yunet`.
    kind: String,
    /// `ready`, `loading`, `unloaded`, `missing` or `failed`; `breakwater models check` says where missing files belong.
    #[schema(example = "ready")]
    state: &'static str,
    /// Of embedders: numbers in an embedding, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    /// Digest of its weights and of how inputs are prepared, once loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Where it computes, once loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// Of embedders that serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder: Option<EmbedderBody>,
}

/// What an embedder takes.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Embedder)]
pub(crate) struct EmbedderBody {
    /// Whether it takes pictures.
    images: bool,
    /// Whether it takes texts.
    texts: bool,
    /// The most tokens of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    /// How it sees a picture.
    input: String,
    /// Licence of the weights (SPDX).
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    /// Number of its parameters.
    parameters: u64,
}

impl From<EmbedderInfo> for EmbedderBody {
    fn from(info: EmbedderInfo) -> Self {
        let EmbedderInfo { images, texts, max_tokens, input, licence, parameters, .. } = info;
        Self { images, texts, max_tokens, input, licence, parameters }
    }
}

impl ModelBody {
    /// Paths and reasons of failures are for the operator and stay here.
    fn of(model: ModelState, embedders: &[EmbedderInfo]) -> Self {
        let state = match model.state {
            LoadState::Ready => "ready",
            LoadState::Loading => "loading",
            LoadState::Unloaded => "unloaded",
            LoadState::Missing { .. } => "missing",
            LoadState::Failed { .. } => "failed",
        };
        Self {
            embedder: embedders.iter().find(|embedder| embedder.id == model.id).cloned().map(EmbedderBody::from),
            id: model.id.to_string(),
            object: "model",
            owned_by: "breakwater",
            kind: model.kind,
            state,
            dimension: model.dimension,
            revision: model.revision.map(|revision| revision.to_string()),
            device: model.device,
        }
    }
}

/// Every model that is built in or configured, and whether it serves.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "embeddings",
    operation_id = "listModels",
    responses(
        (status = 200, description = "The models", body = ModelsAnswer, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let models = &app.state.models;
    let embedders = models.embedders();
    let data = models.catalogue().into_iter().map(|model| ModelBody::of(model, &embedders)).collect();
    Ok(json::answer(&ModelsAnswer { object: "list", data, default_model: models.default_embedder().to_string() }))
}

/// How the service is, as clients of the image service in Python ask.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceHealth)]
pub(crate) struct HealthBody {
    /// `healthy` or `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The model that is asked when a call names none.
    #[schema(example = "efficientnet-lite0")]
    model: String,
    /// Whether it serves.
    model_loaded: bool,
    /// Numbers in its embeddings, while it serves.
    dimension: Option<u32>,
    /// Where inference runs: `cuda`-like names are not used, but `gpu` or `cpu`.
    #[schema(example = "cpu")]
    device: &'static str,
    /// Name of that device.
    device_name: String,
    /// Version of the build.
    version: &'static str,
    /// Seconds since the start.
    uptime_seconds: u64,
}

/// How the service is, in the form of the image service in Python. `GET /readyz` says more.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operation",
    operation_id = "serviceHealth",
    responses(
        (status = 200, description = "It can do its work", body = HealthBody, content_type = "application/json"),
        (status = 503, description = "It cannot now", body = HealthBody, content_type = "application/json")
    )
)]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let models = &app.state.models;
    let default = models.default_embedder();
    let embedder = models.embedders().into_iter().find(|embedder| embedder.id == default);
    let device = app.operations().device();
    let healthy = app.state.readiness.state().is_ok();
    let body = HealthBody {
        status: if healthy { "healthy" } else { "unhealthy" },
        model: default.to_string(),
        model_loaded: embedder.is_some(),
        dimension: embedder.map(|embedder| embedder.dimension),
        device: match device.kind {
            DeviceKind::Gpu => "gpu",
            DeviceKind::Cpu => "cpu",
        },
        device_name: device.name,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
    };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json::answer(&body)).into_response()
}

#[cfg(test)]
mod tests {
    use breakwater_core::Digest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_says_how_it_is_but_not_where_it_lies() {
        let state = |state| ModelState {
            id: "clip".into(),
            kind: "clip".into(),
            path: Some("/secret".into()),
            state,
            bytes: 5,
            dimension: Some(512),
            revision: Some(Digest::of(b"")),
            device: Some("cpu".into()),
        };
        let embedder = EmbedderInfo {
            id: "clip".into(),
            dimension: 512,
            revision: Digest::of(b""),
            images: true,
            texts: true,
            max_tokens: Some(77),
            input: "224x224".into(),
            licence: None,
            parameters: 9,
            device: "cpu".into(),
        };
        let body = serde_json::to_value(ModelBody::of(state(LoadState::Ready), &[embedder])).unwrap();
        assert_eq!((&body["state"], &body["dimension"]), (&json!("ready"), &json!(512)));
        assert_eq!(body["embedder"], json!({ "images": true, "texts": true, "max_tokens": 77, "input": "224x224", "parameters": 9 }));
        let failed = ModelBody::of(state(LoadState::Failed { why: "/secret is gone".into() }), &[]);
        let text = serde_json::to_string(&failed).unwrap();
        assert!(text.contains("\"failed\"") && !text.contains("secret"), "{text}");
    }
}
