//! Features of several images and texts in one call.

use breakwater_core::{CallContext, Failure, Outcome};
use futures_util::{StreamExt as _, stream};

pub use crate::features::Features;
use crate::operations::Operations;
use crate::search::request::checked_text;
use crate::source::ImageSource;

/// The most images and texts in one call.
pub const MAX_INPUTS: usize = 256;

/// Inputs of one call that are worked on at the same time: enough to fill a batch of a model.
const AT_ONCE: usize = 32;

/// One image or text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    /// An image.
    Image(ImageSource),
    /// A text.
    Text(String),
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
        if request.inputs.is_empty() {
            return Err(Failure::invalid("embed.inputs-invalid", "give at least one image or text"));
        }
        if request.inputs.len() > MAX_INPUTS {
            return Err(Failure::limit("embed.too-many-inputs", format!("a call may bring at most {MAX_INPUTS} images and texts")));
        }
        // One moment for all of them.
        let (context, _) = self.enter(context);
        let chosen = self.chosen_model(&context, request.model.as_deref(), None)?;
        let model = chosen.model.as_deref();
        let one = async |input: EmbedInput| match input {
            EmbedInput::Image(image) => self.features(&context, image, model).await,
            EmbedInput::Text(text) => self.text_features(&context, &checked_text(text)?, model).await,
        };
        let items: Vec<_> = stream::iter(request.inputs).map(one).buffered(AT_ONCE).collect().await;
        let tokens = items.iter().flatten().map(|outcome| u64::from(outcome.value.tokens)).sum();
        Ok(Embedded { items, tokens })
    }
}
