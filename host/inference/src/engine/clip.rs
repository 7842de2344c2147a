//! CLIP models computed by `breakwater-transformer`, on the processor.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use breakwater_transformer::error::WeightsError;
use breakwater_transformer::{ClipWeights, Options, TextTower, TransformerError, VisionTower};

use crate::array::Outputs;
use crate::batch::Batch;
use crate::clip::{self, Clip};
use crate::engine::{EngineError, Session};

/// A model with its weights packed.
pub(crate) struct Towers {
    clip: Arc<Clip>,
    vision: Option<VisionTower>,
    text: Option<TextTower>,
}

/// Models that sessions hold.
#[derive(Default)]
pub(crate) struct Packed(Mutex<Vec<Weak<Towers>>>);

impl Packed {
    /// The model with its weights packed, by an earlier session if one still holds it.
    pub(crate) fn session(&self, clip: &Arc<Clip>, options: &Options) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(ClipSession(self.towers(clip, options)?)))
    }

    fn towers(&self, clip: &Arc<Clip>, options: &Options) -> Result<Arc<Towers>, EngineError> {
        // Held while weights are packed: whoever wants the same model waits for that instead of doing it again.
        let mut packed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packed.retain(|known| known.strong_count() > 0);
        if let Some(known) = packed.iter().filter_map(Weak::upgrade).find(|known| Arc::ptr_eq(&known.clip, clip)) {
            return Ok(known);
        }
        let new = Arc::new(Towers::pack(clip, options)?);
        packed.push(Arc::downgrade(&new));
        Ok(new)
    }

    /// Bytes of all packed weights that are held now.
    pub(crate) fn bytes(&self) -> u64 {
        let packed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        packed.iter().filter_map(Weak::upgrade).map(|towers| towers.bytes()).sum()
    }
}

impl Towers {
    fn pack(clip: &Arc<Clip>, options: &Options) -> Result<Self, EngineError> {
        clip.with_weights(|config, files| {
            let weights = ClipWeights::read(files)?;
            let (has_vision, has_text) = clip::towers(config, &weights);
            let vision = has_vision.then(|| VisionTower::new(config, &weights, options.clone())).transpose()?;
            let text = has_text.then(|| TextTower::new(config, &weights, options.clone())).transpose()?;
            Ok(Self { clip: Arc::clone(clip), vision, text })
        })
    }

    fn bytes(&self) -> u64 {
        let (vision, text) = (self.vision.as_ref().map(VisionTower::weight_bytes), self.text.as_ref().map(TextTower::weight_bytes));
        (vision.unwrap_or(0) + text.unwrap_or(0)) as u64
    }
}

struct ClipSession(Arc<Towers>);

impl Session for ClipSession {
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        match batch {
            Batch::Tokens(texts) => {
                let tower = self.0.text.as_ref().ok_or_else(|| missing("text"))?;
                clip::outputs(tower.run(texts)?, tower.dimension())
            }
            images => {
                let tower = self.0.vision.as_ref().ok_or_else(|| missing("image"))?;
                let images = images.into_array()?;
                clip::check_edge(images.shape(), tower.edge())?;
                clip::outputs(tower.run(images.values())?, tower.dimension())
            }
        }
    }
}

pub(crate) fn missing(tower: &str) -> EngineError {
    EngineError::Refused { what: format!("the files of the model hold no {tower} tower") }
}

impl From<TransformerError> for EngineError {
    fn from(error: TransformerError) -> Self {
        match error {
            TransformerError::Isa { .. } => Self::Device { what: error.to_string() },
            other => Self::Refused { what: crate::error::with_causes(&other) },
        }
    }
}

impl From<WeightsError> for EngineError {
    fn from(error: WeightsError) -> Self {
        TransformerError::from(error).into()
    }
}
