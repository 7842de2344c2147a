//! CLIP models of Hugging Face: two towers, images and texts, that end in one space.
//!
//! A model is files on disk until a session reads them: nothing of the weights is kept beside what an engine makes of them.

mod files;
mod preparation;
mod tokenizer;

pub use files::{MAX_DESCRIPTION_BYTES, MAX_MODEL_BYTES, MAX_SHARDS};
pub use preparation::ClipPreparation;
pub use tokenizer::{ClipTokenizer, MAX_TEXT_BYTES};

use std::path::{Path, PathBuf};

use breakwater_core::Digest;
use breakwater_transformer::{ClipConfig, ClipWeights};

use crate::array::{Array, Outputs};
use crate::engine::EngineError;
use crate::error::InferenceError;
use crate::graph::shape::Shape;
use files::Files;

/// Name of the only output of both towers.
pub const OUTPUT: &str = "embedding";

/// A CLIP model on disk.
#[derive(Debug)]
pub struct Clip {
    config: ClipConfig,
    preparation: Option<ClipPreparation>,
    files: Files,
    weights: Digest,
}

impl Clip {
    /// Finds the files of a model in a folder, or beside a `.safetensors` file, and reads all but the weights, of which it takes the
    /// digest.
    ///
    /// # Errors
    /// When a file is missing, cannot be read, is too large, or describes no CLIP model.
    pub fn open(path: &Path) -> Result<Self, InferenceError> {
        let files = Files::find(path)?;
        let description = files.description()?;
        let unusable = |source| InferenceError::Unusable { path: files.config().to_owned(), source: Box::new(source) };
        let config = ClipConfig::read(&description).map_err(unusable)?;
        let preparation = match &config.vision {
            Some(vision) => Some(ClipPreparation::read(files.preparation()?, vision.edge)?),
            None => None,
        };
        let weights = files.digest()?;
        Ok(Self { config, preparation, files, weights })
    }

    /// What it is made of.
    #[must_use]
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// How its images are prepared; none when it has no image tower.
    #[must_use]
    pub fn preparation(&self) -> Option<&ClipPreparation> {
        self.preparation.as_ref()
    }

    /// Whether the tokenizer that is built in is the model's.
    #[must_use]
    pub fn has_tokenizer(&self) -> bool {
        self.config.text.as_ref().is_some_and(|text| text.vocabulary == tokenizer::VOCABULARY)
    }

    /// SHA-256 of its weights, of what it is made of, and of how inputs are prepared.
    #[must_use]
    pub fn revision(&self) -> Digest {
        let (made_of, preparation) = (format!("{:?}", self.config), format!("{:?}", self.preparation));
        let parts: [&[u8]; 5] =
            [b"clip", self.weights.as_bytes(), made_of.as_bytes(), preparation.as_bytes(), b"bpe_simple_vocab_16e6; nfc; lower case; 1"];
        Digest::of_parts(parts)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        self.files.config()
    }

    /// Hands over the tensors, whose files are read for that and given back afterwards.
    pub(crate) fn with_weights<R>(&self, take: impl FnOnce(&ClipConfig, &[&[u8]]) -> Result<R, EngineError>) -> Result<R, EngineError> {
        let refused = |error: InferenceError| EngineError::Refused { what: crate::error::with_causes(&error) };
        let files = self.files.read_weights().map_err(refused)?;
        let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        if files::digest_of(&slices) != self.weights {
            return Err(EngineError::Refused { what: "the files of the model have changed; load it again".to_owned() });
        }
        take(&self.config, &slices)
    }

    /// Numbers in its tensors, as the headers of its files say.
    pub(crate) fn parameters(&self) -> u64 {
        self.files.parameters()
    }
}

/// Bytes of the files of the model at `path`, as far as they are there.
pub(crate) fn bytes(path: &Path) -> u64 {
    Files::find(path).map_or(0, |files| files.bytes())
}

/// Embeddings of a batch as an engine gives them.
pub(crate) fn outputs(values: Vec<f32>, dimension: usize) -> Result<Outputs, EngineError> {
    let shape = Shape::new(values.len().checked_div(dimension).unwrap_or(0), dimension, 1, 1);
    Ok(Outputs::new(vec![(OUTPUT.to_owned(), Array::new(shape, values)?)]))
}

/// The towers of a model for which there are weights and a description.
pub(crate) fn towers(config: &ClipConfig, weights: &ClipWeights<'_>) -> (bool, bool) {
    (config.vision.is_some() && weights.has_vision(), config.text.is_some() && weights.has_text())
}

/// Whether a batch holds images of three planes of `edge` rows and columns.
pub(crate) fn check_edge(shape: Shape, edge: usize) -> Result<(), EngineError> {
    if (shape.channels, shape.height, shape.width) == (3, edge, edge) {
        return Ok(());
    }
    Err(EngineError::Refused { what: format!("images of {:?}; the model sees 3 planes of {edge} x {edge}", shape.dims()) })
}
