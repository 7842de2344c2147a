//! Models as such: what there is, tensors in and out, loading and unloading while others are served.

use std::sync::Arc;

use breakwater_core::{CallContext, Failure};
use breakwater_inference::{EmbedderInfo, Inference, ModelMetadata, ModelState, Tensor};

/// The models of the inference engine.
#[derive(Clone)]
pub struct Models(Arc<Inference>);

impl Models {
    /// The models of `inference`.
    #[must_use]
    pub fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }

    /// Every model that is built in or configured, whether it serves or not.
    #[must_use]
    pub fn catalogue(&self) -> Vec<ModelState> {
        self.0.catalogue()
    }

    /// The embedders that serve.
    #[must_use]
    pub fn embedders(&self) -> Vec<EmbedderInfo> {
        self.0.embedders()
    }

    /// Id of the embedder that is asked when a call names none.
    #[must_use]
    pub fn default_embedder(&self) -> Arc<str> {
        self.0.default_embedder()
    }

    /// Whether a model serves.
    #[must_use]
    pub fn is_ready(&self, model: &str) -> bool {
        self.0.is_ready(model)
    }

    /// What a model takes and gives, as tensors.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), `embedder.unavailable`.
    pub fn metadata(&self, model: &str) -> Result<ModelMetadata, Failure> {
        self.0.metadata(model)
    }

    /// Runs a model on tensors as they are: no chain stands in for it.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), `tensor.*` (invalid request), `call.deadline`, and what the model fails with.
    pub async fn infer(&self, context: &CallContext, model: &str, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Failure> {
        self.0.infer(model, inputs, context.deadline).await
    }

    /// Loads an embedder from where the configuration says, or loads it again; what served before serves until then. A caller who leaves does
    /// not stop it.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), `embedder.load-failed`, `call.deadline` after ten minutes.
    pub async fn load(&self, model: &str) -> Result<(), Failure> {
        self.0.load(model).await
    }

    /// Stops serving an embedder. Calls under way end as usual.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), `embedder.in-use` for the default.
    pub async fn unload(&self, model: &str) -> Result<(), Failure> {
        self.0.unload(model).await
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Models").finish_non_exhaustive()
    }
}
