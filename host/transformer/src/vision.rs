//! The image tower.

use std::ops::Range;

use crate::config::{ClipConfig, VisionConfig};
use crate::encoder::{Encoder, Names, Run, Scaling};
use crate::error::TransformerError;
use crate::matrix::{Matrix, Source};
use crate::tower::{Options, Tower};
use crate::weights::ClipWeights;

/// Planes of an image: red, green and blue.
const PLANES: usize = 3;

/// The image tower, ready to run: weights packed, memory kept between runs. Any number of threads may call [`VisionTower::run`] at
/// once.
pub struct VisionTower {
    config: VisionConfig,
    tower: Tower,
    patches: Matrix,
    /// What a token begins with, row by row: its position, and the image's own vector in the first.
    positions: Vec<f32>,
    first_norm: Scaling,
}

impl VisionTower {
    /// Packs the weights of a model's image tower. The files are not needed afterwards.
    ///
    /// # Errors
    /// When the model has no image tower, a tensor is missing, has another shape or holds numbers that are not finite, or the machine
    /// does not have the instructions asked for.
    pub fn new(config: &ClipConfig, weights: &ClipWeights<'_>, options: Options) -> Result<Self, TransformerError> {
        let vision = config.vision.clone().ok_or(TransformerError::NoTower { tower: "vision" })?;
        let kernels = options.kernels()?;
        let (width, patch) = (vision.encoder.width, vision.patch);
        let name = |part: &str| format!("vision_model.embeddings.{part}");
        let source = Source { weight: &name("patch_embedding.weight"), bias: None };
        let patches = Matrix::pack(weights, &[source], &[width, PLANES, patch, patch], kernels)?;
        let image = weights.tensor(&name("class_embedding"), &[width])?.widen();
        let mut positions = weights.tensor(&name("position_embedding.weight"), &[vision.tokens(), width])?.widen();
        // The image's own vector belongs to the first row, where there is no patch.
        positions.iter_mut().zip(image).for_each(|(position, image)| *position += image);
        let names = Names { tower: "vision_model", last_norm: "post_layernorm", projection: "visual_projection" };
        let encoder = Encoder::pack(&vision.encoder, config.projection, false, &names, weights, kernels)?;
        // The name is misspelt in the files.
        let first_norm = Scaling::read(weights, "vision_model.pre_layrnorm", width)?;
        Ok(Self { config: vision, tower: Tower::new(encoder, options), patches, positions, first_norm })
    }

    /// Embeds images of three planes (red, green, blue) of edge times edge values, normalised as the model wants them, one image
    /// after the other: [`VisionTower::dimension`] numbers each, not normalised. No images give no numbers. The numbers do not depend
    /// on how many threads there are, nor on the other images.
    ///
    /// # Errors
    /// When the values are not whole images, or one is not finite. Nothing fails once the run has begun.
    pub fn run(&self, planes: &[f32]) -> Result<Vec<f32>, TransformerError> {
        let each = self.values();
        if !planes.len().is_multiple_of(each) {
            return Err(TransformerError::Images { values: planes.len(), each });
        }
        if let Some(index) = planes.iter().position(|value| !value.is_finite()) {
            return Err(TransformerError::NotFinite { index });
        }
        let lengths = vec![self.tokens(); planes.len() / each];
        let embed = |run: &mut Run<'_>, range: Range<usize>| {
            self.embed(run, planes.get(range.start * each..range.end * each).unwrap_or_default());
        };
        Ok(self.tower.run(&lengths, |_| 0, self.patches_depth(), embed))
    }

    /// Numbers in an embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.tower.encoder.projection()
    }

    /// Rows and columns of an image.
    #[must_use]
    pub fn edge(&self) -> usize {
        self.config.edge
    }

    /// Values of an image.
    #[must_use]
    pub fn values(&self) -> usize {
        PLANES * self.config.edge * self.config.edge
    }

    /// Tokens of an image.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.config.tokens()
    }

    /// The instructions in use.
    #[must_use]
    pub fn isa(&self) -> breakwater_convnet::Isa {
        self.tower.encoder.kernels().isa
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.tower.encoder.bytes() + self.patches.bytes() + self.positions.len() * size_of::<f32>() + self.first_norm.bytes()
    }

    /// Bytes of working memory that a run of so many images needs on one thread, besides weights, input and output.
    #[must_use]
    pub fn run_bytes(&self, images: usize) -> usize {
        self.tower.run_bytes(&vec![self.tokens(); images], self.patches_depth())
    }

    /// Bytes of memory that is kept for later runs.
    #[must_use]
    pub fn idle_bytes(&self) -> usize {
        self.tower.idle_bytes()
    }

    fn patches_depth(&self) -> usize {
        PLANES * self.config.patch * self.config.patch
    }

    /// Patches times their weights, added to positions, then normalised.
    fn embed(&self, run: &mut Run<'_>, planes: &[f32]) {
        let (tokens, input, width) = (run.grids.tokens, run.grids.input, self.tower.encoder.width());
        let (count, depth) = (self.config.tokens(), self.patches_depth());
        for (image, planes) in planes.chunks_exact(self.values()).enumerate() {
            for (token, position) in self.positions.chunks_exact(width).enumerate() {
                let row = image * count + token;
                // SAFETY: the run has as many rows as the images have tokens; rows of tokens have the encoder's width, those of the
                // input the depth of the patches' weights.
                unsafe {
                    tokens.row(row).copy_from_nonoverlapping(position.as_ptr(), width);
                    let input = std::slice::from_raw_parts_mut(input.row(row), depth);
                    match token.checked_sub(1) {
                        Some(patch) => self.patch(planes, patch, input),
                        None => input.fill(0.0),
                    }
                }
            }
        }
        run.dense(&self.patches, 0..self.patches.panels(), &run.linear(input, run.rows(), tokens, true));
        run.norm(&self.first_norm, tokens, tokens, run.rows());
    }

    /// Copies the pixels of a patch, plane by plane and row by row.
    fn patch(&self, planes: &[f32], patch: usize, to: &mut [f32]) {
        let VisionConfig { edge, patch: size, .. } = self.config;
        let across = self.config.patches_per_edge().max(1);
        let first = patch / across * size * edge + patch % across * size;
        for (line, to) in to.chunks_exact_mut(size).enumerate() {
            let start = line / size * edge * edge + first + line % size * edge;
            if let Some(pixels) = planes.get(start..start + size) {
                to.copy_from_slice(pixels);
            }
        }
    }
}
