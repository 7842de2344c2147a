//! What embedders are made of before they serve.

use std::path::Path;
use std::sync::Arc;

use breakwater_core::Digest;

use crate::clip::Clip;
use crate::config::ModelSource;
use crate::efficientnet_lite0;
use crate::embedder::EmbedderInfo;
use crate::embedder::preparation::Preparation;
use crate::error::InferenceError;
use crate::model::Model;
use crate::worker::job::Program;

/// What an embedder is made of.
pub(crate) struct Parts {
    pub(crate) info: EmbedderInfo,
    pub(crate) program: Program,
    pub(crate) preparation: Preparation,
}

impl Parts {
    /// EfficientNet-Lite0 with its own weights, or those of a folder.
    pub(crate) fn lite0(folder: Option<&Path>) -> Result<Self, InferenceError> {
        let model = Model::EfficientNetLite0;
        let network = model.load(folder)?;
        let known = model.info(&network);
        let preparation = "rgb; shorter edge 256, linear; middle 224; mean 127, deviation 128; length 1";
        let info = EmbedderInfo {
            id: model.name().into(),
            dimension: efficientnet_lite0::FEATURES as u32,
            revision: Digest::of_parts([model.name().as_bytes(), known.weights.as_bytes(), preparation.as_bytes()]),
            images: true,
            texts: false,
            max_tokens: None,
            input: known.input.to_owned(),
            licence: Some(known.licence.to_owned()),
            parameters: known.parameters as u64,
            device: String::new(),
        };
        Ok(Self { info, program: model.program(network), preparation: Preparation::Lite0 })
    }

    /// A CLIP model on disk.
    pub(crate) fn clip(source: &ModelSource) -> Result<Self, InferenceError> {
        let clip = Arc::new(Clip::open(&source.path)?);
        let preparation = clip.preparation();
        let input = preparation.map_or_else(String::new, |preparation| {
            let (shorter, edge) = (preparation.shorter, preparation.edge);
            let filter = if preparation.cubic { "bicubic" } else { "bilinear" };
            format!("RGB, shorter edge {shorter} ({filter}), {edge}x{edge} of its centre")
        });
        let context = clip.config().text.as_ref().map(|text| text.positions as u32);
        let info = EmbedderInfo {
            id: Arc::clone(&source.id),
            dimension: clip.config().projection as u32,
            revision: clip.revision(),
            images: preparation.is_some(),
            texts: clip.has_tokenizer(),
            max_tokens: context,
            input,
            licence: source.licence.clone(),
            parameters: clip.parameters(),
            device: String::new(),
        };
        // A model without images has nothing to normalise.
        let normalisation = preparation.map_or_else(|| crate::batch::Normalisation::rgb([0.0; 3], [1.0; 3]), |known| known.normalisation());
        let program = Program::Clip(Arc::clone(&clip), Arc::new(normalisation));
        Ok(Self { info, program, preparation: Preparation::Clip(clip) })
    }
}
