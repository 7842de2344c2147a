//! Features of several images and texts in one call.

use std::sync::Arc;

use breakwater_core::{CallContext, Failure, Outcome};

use crate::operations::Operations;
use crate::source::ImageSource;

/// The most images and texts in one call.
pub const MAX_INPUTS: usize = 256;

/// One image or text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// An image.
    Image(ImageSource),
    /// A text.
    Text(String),
}

/// Features of one image or text.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The model that gave them, as it names itself.
    pub model: String,
    /// The space they are in: the model, its revision and its dimension.
    pub space: breakwater_search::Space,
    /// A direction of length one.
    pub vector: Arc<breakwater_search::Vector>,
    /// Tokens of the text, as far as the model says; 0 for images.
    pub tokens: u32,
}

/// What [`Operations::embed`] takes.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedRequest {
    /// At least one, at most [`MAX_INPUTS`].
    pub inputs: Vec<EmbedInput>,
    /// The model or an alias of models; the default when absent.
    pub model: Option<String>,
}

/// What [`Operations::embed`] gives.
#[derive(Debug)]
pub struct Embedded {
    /// In the order of the inputs; one that failed does not touch the others.
    pub items: Vec<Result<Outcome<Features>, Failure>>,
    /// Tokens of all texts together.
    pub tokens: u64,
}

impl Operations {
    /// Features of images and texts, each by the chain of `extract-features` or `embed-text`.
    ///
    /// # Errors
    /// The whole call: `embed.inputs-invalid` (none), `embed.too-many-inputs` (limit). One input: `embedder.unknown-model` (not found),
    /// `embedder.no-text`, and what loading, decoding and the chain fail with.
    pub async fn embed(&self, context: &CallContext, request: EmbedRequest) -> Result<Embedded, Failure> {
        let _ = (context, request);
        Err(Failure::internal("search is being set up"))
    }
}
