//! The models of `tests/models`, with inputs and what onnxruntime computed of them.

use std::path::PathBuf;

use breakwater_transformer::ClipConfig;
use half::f16;
use safetensors::{Dtype, SafeTensors};

use crate::model::{Model, Values};

pub(crate) const NAMES: [&str; 2] = ["clip-tiny", "clip-tiny-gelu"];

/// A model of the repository.
pub(crate) struct Fixture {
    pub(crate) model: Model,
    /// The file as it is shipped.
    pub(crate) file: Vec<u8>,
    pub(crate) pixels: Vec<f32>,
    pub(crate) image_embeddings: Vec<f32>,
    /// Texts with their padding.
    pub(crate) tokens: Vec<Vec<u32>>,
    pub(crate) text_embeddings: Vec<f32>,
}

impl Fixture {
    pub(crate) fn load(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/models").join(name);
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let (file, known) = (read("model.safetensors"), read("io.safetensors"));
        let known = SafeTensors::deserialize(&known).unwrap();
        let numbers = |name: &str| known.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let tokens = known.tensor("tokens").unwrap();
        let all: Vec<u32> = tokens.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect();
        let halves = SafeTensors::deserialize(&file).unwrap();
        let halves = halves.iter().filter(|(_, view)| view.dtype() == Dtype::F16);
        let tensors = halves.map(|(name, view)| {
            let numbers = view.data().as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect();
            (name.to_owned(), Values { shape: view.shape().to_vec(), numbers })
        });
        Self {
            model: Model { config: ClipConfig::read(&read("config.json")).unwrap(), tensors: tensors.collect() },
            pixels: numbers("pixels"),
            image_embeddings: numbers("image_embeddings"),
            tokens: all.chunks(tokens.shape()[1]).map(<[u32]>::to_vec).collect(),
            text_embeddings: numbers("text_embeddings"),
            file,
        }
    }

    pub(crate) fn texts(&self) -> Vec<&[u32]> {
        self.tokens.iter().map(Vec::as_slice).collect()
    }
}
