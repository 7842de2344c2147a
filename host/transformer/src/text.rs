//! The text tower.

use std::ops::Range;

use half::{bf16, f16};

use crate::config::{ClipConfig, EndOfText, TextConfig};
use crate::encoder::{Encoder, Names, Run};
use crate::error::{TextError, TransformerError};
use crate::tower::{Options, Tower};
use crate::weights::{ClipWeights, Precision};

/// The text tower, ready to run: weights packed, memory kept between runs. Any number of threads may call [`TextTower::run`] at
/// once.
pub struct TextTower {
    config: TextConfig,
    tower: Tower,
    /// A row per token of the vocabulary, as it stands in the file.
    vocabulary: Vec<u8>,
    precision: Precision,
    positions: Vec<f32>,
}

impl TextTower {
    /// Packs the weights of a model's text tower. The files are not needed afterwards.
    ///
    /// # Errors
    /// When the model has no text tower, a tensor is missing, has another shape or holds numbers that are not finite, or the machine
    /// does not have the instructions asked for.
    pub fn new(config: &ClipConfig, weights: &ClipWeights<'_>, options: Options) -> Result<Self, TransformerError> {
        let text = config.text.clone().ok_or(TransformerError::NoTower { tower: "text" })?;
        let kernels = options.kernels()?;
        let width = text.encoder.width;
        let tokens = weights.tensor("text_model.embeddings.token_embedding.weight", &[text.vocabulary, width])?;
        let positions = weights.tensor("text_model.embeddings.position_embedding.weight", &[text.positions, width])?.widen();
        let names = Names { tower: "text_model", last_norm: "final_layer_norm", projection: "text_projection" };
        let encoder = Encoder::pack(&text.encoder, config.projection, true, &names, weights, kernels)?;
        let (vocabulary, precision) = (tokens.bytes().to_vec(), tokens.precision);
        Ok(Self { config: text, tower: Tower::new(encoder, options), vocabulary, precision, positions })
    }

    /// Embeds texts of tokens, each with the token that ends it: [`TextTower::dimension`] numbers each, not normalised. What stands
    /// behind the end, such as padding, is not looked at and costs nothing. The numbers do not depend on how many threads there are,
    /// nor on the other texts.
    ///
    /// # Errors
    /// When a text is empty, has more tokens than there are positions or one that is not in the vocabulary, or does not end. Nothing
    /// fails once the run has begun.
    pub fn run(&self, texts: &[&[u32]]) -> Result<Vec<f32>, TransformerError> {
        let ends = texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.end(text).map_err(|reason| TransformerError::Text { index, reason }).map(|end| end + 1));
        let lengths = ends.collect::<Result<Vec<_>, _>>()?;
        let embed = |run: &mut Run<'_>, range: Range<usize>| {
            let texts = texts.get(range.clone()).unwrap_or_default().iter();
            self.embed(
                run,
                texts.zip(lengths.get(range).unwrap_or_default()).flat_map(|(text, length)| text.iter().take(*length).enumerate()),
            );
        };
        Ok(self.tower.run(&lengths, |tokens| tokens - 1, 0, embed))
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.tower.encoder.projection()
    }

    /// The most tokens of a text, its begin and its end included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.config.positions
    }

    /// Tokens in the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// The instructions in use.
    #[must_use]
    pub fn isa(&self) -> breakwater_convnet::Isa {
        self.tower.encoder.kernels().isa
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.tower.encoder.bytes() + self.vocabulary.len() + self.positions.len() * size_of::<f32>()
    }

    /// Bytes of working memory that a run of texts of so many tokens needs on one thread, besides weights, input and output.
    #[must_use]
    pub fn run_bytes(&self, lengths: &[usize]) -> usize {
        self.tower.run_bytes(lengths, 0)
    }

    /// Bytes of memory that is kept for later runs.
    #[must_use]
    pub fn idle_bytes(&self) -> usize {
        self.tower.idle_bytes()
    }

    /// Where a text ends.
    fn end(&self, text: &[u32]) -> Result<usize, TextError> {
        let TextConfig { vocabulary, positions, end, .. } = self.config;
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > positions {
            return Err(TextError::TooLong { tokens: text.len(), limit: positions });
        }
        if let Some((position, token)) = text.iter().enumerate().find(|(_, token)| **token as usize >= vocabulary) {
            return Err(TextError::UnknownToken { token: *token, position, vocabulary });
        }
        match end {
            EndOfText::Token(end) => text.iter().position(|token| *token == end).ok_or(TextError::NoEnd { end }),
            EndOfText::Largest => {
                let largest = text.iter().max();
                text.iter().position(|token| Some(token) == largest).ok_or(TextError::Empty)
            }
        }
    }

    /// Rows of the vocabulary, added to positions.
    fn embed<'t>(&self, run: &mut Run<'_>, tokens: impl Iterator<Item = (usize, &'t u32)>) {
        let width = self.tower.encoder.width();
        for (row, (position, token)) in tokens.enumerate() {
            // SAFETY: the run has a row of the encoder's width for every token up to the ends of its texts.
            let to = unsafe { std::slice::from_raw_parts_mut(run.grids.tokens.row(row), width) };
            let positions = self.positions.get(position * width..).unwrap_or_default();
            let bytes = self.precision.bytes() * width;
            let vocabulary = self.vocabulary.get(*token as usize * bytes..).unwrap_or_default();
            let places = to.iter_mut().zip(positions);
            match self.precision {
                Precision::F32 => {
                    let numbers = vocabulary.as_chunks::<4>().0;
                    places.zip(numbers).for_each(|((to, position), number)| *to = position + f32::from_le_bytes(*number));
                }
                Precision::F16 => {
                    let numbers = vocabulary.as_chunks::<2>().0;
                    places.zip(numbers).for_each(|((to, position), number)| *to = position + f16::from_le_bytes(*number).to_f32());
                }
                Precision::Bf16 => {
                    let numbers = vocabulary.as_chunks::<2>().0;
                    places.zip(numbers).for_each(|((to, position), number)| *to = position + bf16::from_le_bytes(*number).to_f32());
                }
            }
        }
    }
}
