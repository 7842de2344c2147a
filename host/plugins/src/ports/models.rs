//! The host's models, as guests reach them.

use std::sync::Arc;

use breakwater_core::{BoxFuture, Deadline, Digest, Failure, FailureKind};
use breakwater_vision::Image;
use bytes::Bytes;

/// What is known of a model that gives vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDescription {
    /// Its name.
    pub model: Arc<str>,
    /// Digest of its weights and of how it prepares its input: vectors of different revisions cannot be compared.
    pub revision: Digest,
    /// Numbers in a vector.
    pub dimension: u32,
    /// Whether it embeds images.
    pub images: bool,
    /// Whether it embeds texts.
    pub texts: bool,
    /// The longest text, in tokens of the model.
    pub max_tokens: Option<u32>,
}

/// A vector and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVector {
    /// The model.
    pub model: Arc<str>,
    /// As in the model's description.
    pub revision: Digest,
    /// Finite numbers of which the squares sum up to one.
    pub values: Arc<[f32]>,
}

/// Gives vectors of images and texts; implemented over the inference engine.
///
/// Every method fails with `embedder.unknown-model` (not found) for a model that is not there.
pub trait Embed: Send + Sync + 'static {
    /// What is known of a model. Answers at once.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found).
    fn describe(&self, model: &str) -> Result<ModelDescription, Failure>;

    /// The vector of an image.
    fn embed_image<'a>(&'a self, model: &'a str, image: &'a Arc<Image>, deadline: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>>;

    /// The vector of a text.
    fn embed_text<'a>(&'a self, model: &'a str, text: &'a str, deadline: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>>;
}

/// The type of a tensor's elements. Little-endian where an element has several bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// The upper half of a binary32.
    Bf16,
    /// Bytes. A text or an encoded image is a tensor of one dimension of them.
    U8,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

/// A named tensor, row-major. Its data has as many bytes as its dimensions and its type say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelTensor {
    /// Of the model's input or output.
    pub name: String,
    /// Sizes of the dimensions, at most 8.
    pub dimensions: Vec<u32>,
    /// Of each element.
    pub element: ElementType,
    /// The elements.
    pub data: Bytes,
}

/// Runs models on tensors; implemented over the inference engine.
pub trait Infer: Send + Sync + 'static {
    /// Whether there is a model of this name that takes tensors. Answers at once.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found) when there is none.
    fn find(&self, model: &str) -> Result<(), Failure>;

    /// Runs a model. Fails as an invalid request when the tensors are not those that it takes.
    fn infer<'a>(
        &'a self,
        model: &'a str,
        inputs: Vec<ModelTensor>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<ModelTensor>, Failure>>;
}

/// A host without models: none is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

impl NoModels {
    fn unknown(model: &str) -> Failure {
        let shown: String = model.escape_debug().take(64).collect();
        Failure::new(FailureKind::NotFound, "embedder.unknown-model", format!("there is no model `{shown}`"))
    }
}

impl Embed for NoModels {
    fn describe(&self, model: &str) -> Result<ModelDescription, Failure> {
        Err(Self::unknown(model))
    }

    fn embed_image<'a>(&'a self, model: &'a str, _: &'a Arc<Image>, _: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        Box::pin(std::future::ready(Err(Self::unknown(model))))
    }

    fn embed_text<'a>(&'a self, model: &'a str, _: &'a str, _: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        Box::pin(std::future::ready(Err(Self::unknown(model))))
    }
}

impl Infer for NoModels {
    fn find(&self, model: &str) -> Result<(), Failure> {
        Err(Self::unknown(model))
    }

    fn infer<'a>(&'a self, model: &'a str, _: Vec<ModelTensor>, _: Deadline) -> BoxFuture<'a, Result<Vec<ModelTensor>, Failure>> {
        Box::pin(std::future::ready(Err(Self::unknown(model))))
    }
}
