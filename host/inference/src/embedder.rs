//! Models that turn images and texts into directions, by id.

mod loaded;
mod parts;
mod preparation;
mod registry;

pub(crate) use loaded::{Loaded, quarantined};
pub(crate) use parts::Parts;
pub(crate) use registry::{Registry, Slot, Source};

use std::path::PathBuf;
use std::sync::Arc;

use breakwater_core::Digest;
use serde::Serialize;

use crate::error::{self, InferenceError};

/// An embedder that serves, as its users see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedderInfo {
    /// Such as `efficientnet-lite0`, or the operator's name of it.
    pub id: Arc<str>,
    /// Numbers in an embedding.
    pub dimension: u32,
    /// SHA-256 of its weights and of how inputs are prepared. Embeddings of two revisions cannot be compared.
    pub revision: Digest,
    /// Whether it takes images.
    pub images: bool,
    /// Whether it takes texts. A text and an image by the same model can be compared.
    pub texts: bool,
    /// The most tokens of a text, those that begin and end it included; none if it takes no texts.
    pub max_tokens: Option<u32>,
    /// How it sees an image, for people.
    pub input: String,
    /// Licence of the weights as an SPDX expression; none if nobody said.
    pub licence: Option<String>,
    /// Number of its parameters.
    pub parameters: u64,
    /// Where it computes now, for people.
    pub device: String,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Someone: these calls overtake the others in a model's queue, but never more than four batches in a row.
    #[default]
    Interactive,
    /// A background job, such as an import. Takes at most three quarters of a model's queue.
    Bulk,
}

impl Priority {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Bulk,
            Self::Bulk => Self::Interactive,
        }
    }
}

/// What becomes of a text with more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlong {
    /// It is refused with `embedder.text-too-long`.
    #[default]
    Refuse,
    /// Its first tokens are used.
    Truncate,
}

/// A model that is built in or configured, whether it serves or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelState {
    /// Its id.
    pub id: Arc<str>,
    /// Such as `yunet` or `clip`.
    pub kind: String,
    /// Where its weights come from; none if they are built in.
    pub path: Option<PathBuf>,
    /// Whether it serves, and why not.
    #[serde(flatten)]
    pub state: LoadState,
    /// Bytes of its weights' files; 0 when they are not there.
    pub bytes: u64,
    /// Numbers in an embedding, as far as known; none for detectors.
    pub dimension: Option<u32>,
    /// As in [`EmbedderInfo::revision`], once loaded.
    pub revision: Option<Digest>,
    /// Where it computes, once loaded.
    pub device: Option<String>,
}

impl LoadState {
    /// What is said of a model that could not be loaded.
    pub(crate) fn of(error: &InferenceError) -> Self {
        match error {
            InferenceError::Read { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                Self::Missing { file, place: path.parent().unwrap_or(path).to_owned() }
            }
            other => Self::Failed { why: error::with_causes(other) },
        }
    }
}

/// Whether a model serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LoadState {
    /// It serves.
    Ready,
    /// It is being loaded for the first time, or after it was unloaded. While a model that serves is replaced it stays ready.
    Loading,
    /// Its files are there and it could be loaded.
    Unloaded,
    /// A file is not there.
    Missing {
        /// The file, such as `model.safetensors`.
        file: String,
        /// The folder that it belongs into, or the file itself.
        place: PathBuf,
    },
    /// It could not be loaded.
    Failed {
        /// Why, for the operator.
        why: String,
    },
}
