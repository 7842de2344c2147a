//! How inputs become what an embedder's network takes.

use std::sync::Arc;

use breakwater_core::{Failure, Size};
use breakwater_vision::{Image, RgbImage};

use crate::clip::{self, Clip, ClipTokenizer};
use crate::efficientnet_lite0;
use crate::embedder::Overlong;
use crate::frame::Frame;
use crate::model::Model;
use crate::worker::job::Job;

/// How inputs become what the network takes.
pub(crate) enum Preparation {
    /// Of EfficientNet-Lite0.
    Lite0,
    /// Of a CLIP model.
    Clip(Arc<Clip>),
}

impl Preparation {
    /// The smallest raster of an image of this size from which the network sees what it would see of the whole.
    pub(crate) fn raster(&self, image: Size) -> Size {
        let (scaled, times) = match self {
            Self::Lite0 => (efficientnet_lite0::scaled(image), 1),
            // Decoders make images smaller with a box; at twice the size nearly all is left to the filter that the model knows.
            Self::Clip(clip) => (clip.preparation().map_or(image, |preparation| preparation.scaled(image)), 2),
        };
        let edge = |scaled: u32, whole: u32| scaled.saturating_mul(times).min(whole);
        Size::new(edge(scaled.width, image.width), edge(scaled.height, image.height))
    }

    /// The image as the network sees it; none if it takes no images. Takes the processor for a while.
    pub(crate) fn frame(&self, image: &Image) -> Option<Frame> {
        match self {
            Self::Lite0 => Some(Model::EfficientNetLite0.frame(image)),
            Self::Clip(clip) => clip.preparation().map(|preparation| preparation.frame(image)),
        }
    }

    /// The network's output that holds the features.
    pub(crate) fn output(&self) -> &'static str {
        match self {
            Self::Lite0 => efficientnet_lite0::OUTPUT,
            Self::Clip(_) => clip::OUTPUT,
        }
    }

    /// Size of the images that the network takes.
    pub(crate) fn input(&self) -> Option<Size> {
        match self {
            Self::Lite0 => Some(efficientnet_lite0::INPUT),
            Self::Clip(clip) => clip.preparation().map(|preparation| Size::new(preparation.edge, preparation.edge)),
        }
    }

    /// The most tokens of a text.
    pub(crate) fn context(&self) -> Option<usize> {
        match self {
            Self::Lite0 => None,
            Self::Clip(clip) => clip.config().text.as_ref().map(|text| text.positions),
        }
    }

    /// The text's tokens; none if it takes no texts as such. Takes the processor for a while.
    pub(crate) fn tokens(&self, text: &str, overlong: Overlong) -> Option<Result<Vec<u32>, Failure>> {
        match self {
            Self::Clip(clip) if clip.has_tokenizer() => {
                let most = self.context()?;
                Some(ClipTokenizer::shared().and_then(|tokenizer| tokenizer.encode(text, most, overlong)))
            }
            Self::Lite0 | Self::Clip(_) => None,
        }
    }

    /// Tokens of a text of this length, for a first run.
    pub(crate) fn any_text(&self, length: usize) -> Option<Job> {
        let Self::Clip(clip) = self else { return None };
        let text = clip.config().text.as_ref()?;
        let end = match text.end {
            breakwater_transformer::config::EndOfText::Largest => u32::try_from(text.vocabulary.checked_sub(1)?).ok()?,
            breakwater_transformer::config::EndOfText::Token(end) => end,
        };
        let tokens: Arc<[u32]> = std::iter::repeat_n(0, length.max(1) - 1).chain([end]).collect();
        Some(Job::Tokens(tokens, text.positions))
    }

    /// A grey picture, or a text of a model that takes no pictures.
    pub(crate) fn probe(&self) -> Option<Job> {
        let Some(input) = self.input() else { return self.any_text(2) };
        let pixels = vec![128; input.width as usize * input.height as usize * 3];
        Some(Job::Frame(Frame { content: RgbImage { size: input, pixels }, left: 0, top: 0, input }))
    }
}
