//! What the Open Inference Protocol says of a server and its models.

use breakwater_operations::{LoadState, ModelMetadata, ModelState, TensorSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::json::Known;
use crate::wire::each;

/// A server of the protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceServer)]
pub(crate) struct ServerBody {
    /// Its name.
    #[schema(example = "breakwater")]
    name: &'static str,
    /// Version of the build.
    version: &'static str,
    /// Extensions that it knows.
    #[schema(example = json!(["binary_tensor_data", "model_repository"]))]
    extensions: [&'static str; 2],
}

impl ServerBody {
    /// This one.
    pub(crate) fn this() -> Self {
        Self { name: "breakwater", version: env!("CARGO_PKG_VERSION"), extensions: ["binary_tensor_data", "model_repository"] }
    }
}

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceLive)]
pub(crate) struct LiveBody {
    /// Always true.
    pub(crate) live: bool,
}

/// Whether the service can do its work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceReady)]
pub(crate) struct ReadyBody {
    /// Whether it can.
    pub(crate) ready: bool,
}

/// Whether a model serves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModelReady)]
pub(crate) struct ModelReadyBody {
    /// The model's id.
    pub(crate) name: String,
    /// Whether it does.
    pub(crate) ready: bool,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModel)]
pub(crate) struct MetadataBody {
    /// Its id.
    #[schema(example = "efficientnet-lite0")]
    name: String,
    /// Its only version: the beginning of the digest of its weights and preparation.
    versions: [String; 1],
    /// What computes it.
    platform: String,
    /// What it takes: one of these at a time.
    inputs: Vec<SpecBody>,
    /// What it gives.
    outputs: Vec<SpecBody>,
}

/// A tensor that a model takes or gives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceTensor)]
pub(crate) struct SpecBody {
    /// Its name.
    #[schema(example = "embedding")]
    name: String,
    /// `FP16`, `FP32`, `INT64` or `BYTES`.
    #[schema(example = "FP32")]
    datatype: &'static str,
    /// Its sizes; -1 for any.
    #[schema(example = json!([-1, 1280]))]
    shape: Vec<i64>,
}

impl From<TensorSpec> for SpecBody {
    fn from(TensorSpec { name, data_type, shape }: TensorSpec) -> Self {
        Self { name, datatype: data_type.name(), shape }
    }
}

impl From<ModelMetadata> for MetadataBody {
    fn from(metadata: ModelMetadata) -> Self {
        Self {
            name: metadata.name.to_string(),
            versions: [metadata.revision.short()],
            platform: metadata.platform,
            inputs: each(metadata.inputs),
            outputs: each(metadata.outputs),
        }
    }
}

/// Which models are listed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RepositoryIndexRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexRequest {
    /// Only those that serve; false when absent.
    #[schema(default = false)]
    pub(crate) ready: Option<bool>,
}

impl Known for IndexRequest {
    const FIELDS: &'static [&'static str] = &["ready"];
}

/// How a model is loaded or unloaded. Parameters of the protocol that would change what is configured are refused.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RepositoryModelRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadRequest {
    /// None is known; an empty object is taken.
    #[schema(value_type = Option<Object>)]
    pub(crate) parameters: Option<serde_json::Map<String, Value>>,
}

impl Known for LoadRequest {
    const FIELDS: &'static [&'static str] = &["parameters"];
}

/// A model of the repository.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RepositoryModel)]
pub(crate) struct IndexEntry {
    /// Its id.
    #[schema(example = "efficientnet-lite0")]
    name: String,
    /// Its version, once it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// `READY`, `LOADING` or `UNAVAILABLE`.
    #[schema(example = "READY")]
    state: &'static str,
    /// Why it does not serve.
    reason: String,
}

impl From<ModelState> for IndexEntry {
    fn from(model: ModelState) -> Self {
        let (state, reason) = match &model.state {
            LoadState::Ready => ("READY", String::new()),
            LoadState::Loading => ("LOADING", String::new()),
            LoadState::Unloaded => ("UNAVAILABLE", "unloaded".to_owned()),
            LoadState::Missing { file, .. } => ("UNAVAILABLE", format!("{file} is not there")),
            // The reason may name paths; `breakwater models check` and the log show it.
            LoadState::Failed { .. } => ("UNAVAILABLE", "it could not be loaded; see the log".to_owned()),
        };
        Self { name: model.id.to_string(), version: model.revision.map(|revision| revision.short()), state, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use breakwater_core::Digest;
    use breakwater_operations::DataType;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_described_as_the_protocol_wants_it() {
        let revision = Digest::of(b"weights");
        let spec = |name: &str, data_type, shape: &[i64]| TensorSpec { name: name.into(), data_type, shape: shape.to_vec() };
        let metadata = ModelMetadata {
            name: "m".into(),
            platform: "cpu".into(),
            revision,
            inputs: vec![spec("image", DataType::Bytes, &[-1])],
            outputs: vec![spec("embedding", DataType::Fp32, &[-1, 2])],
        };
        assert_eq!(
            serde_json::to_value(MetadataBody::from(metadata)).unwrap(),
            json!({
                "name": "m", "versions": [revision.short()], "platform": "cpu",
                "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [-1] }],
                "outputs": [{ "name": "embedding", "datatype": "FP32", "shape": [-1, 2] }],
            })
        );
    }

    #[test]
    fn a_model_that_does_not_serve_says_why_without_a_path() {
        let entry = |state| {
            let model = ModelState {
                id: "clip".into(),
                kind: "clip".into(),
                path: Some("/secret/clip".into()),
                state,
                bytes: 0,
                dimension: None,
                revision: None,
                device: None,
            };
            serde_json::to_value(IndexEntry::from(model)).unwrap()
        };
        let missing = entry(LoadState::Missing { file: "model.safetensors".into(), place: PathBuf::from("/secret/clip") });
        assert_eq!(missing, json!({ "name": "clip", "state": "UNAVAILABLE", "reason": "model.safetensors is not there" }));
        for (state, word) in [
            (LoadState::Ready, "READY"),
            (LoadState::Loading, "LOADING"),
            (LoadState::Unloaded, "UNAVAILABLE"),
            (LoadState::Failed { why: "/secret/clip is no folder".into() }, "UNAVAILABLE"),
        ] {
            let entry = entry(state);
            assert_eq!(entry["state"], word);
            assert!(!entry.to_string().contains("secret"), "{entry}");
        }
    }
}
