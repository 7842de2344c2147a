//! CLIP models computed by burn: both towers as tensors on the device, in half precision where the device has it.

mod tower;
mod weights;

use std::sync::Arc;

use breakwater_transformer::config::{EndOfText, TextConfig, VisionConfig};
use burn::tensor::module::{embedding, linear};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::ThreadPool;

use self::tower::Tower;
use self::weights::Reader;
use crate::array::{Array, Outputs};
use crate::batch::Batch;
use crate::clip::{self, Clip};
use crate::engine::clip::missing;
use crate::engine::{DeviceKind, EngineError, Session};
use crate::graph::shape::Shape;
use crate::worker::job::padded;

/// A model on a device.
pub(super) struct ClipSession {
    vision: Option<Vision>,
    text: Option<Text>,
    device: Device,
    kind: DeviceKind,
    threads: Option<Arc<ThreadPool>>,
}

struct Vision {
    config: VisionConfig,
    /// Values of a patch by width.
    patches: Tensor<2>,
    /// The image's own vector with its position, one row.
    image: Tensor<3>,
    /// Positions of the patches.
    positions: Tensor<3>,
    first_norm: tower::Norm,
    tower: Tower,
}

struct Text {
    config: TextConfig,
    vocabulary: Tensor<2>,
    positions: Tensor<2>,
    tower: Tower,
}

impl ClipSession {
    /// Brings the model onto the device; its files are given back then.
    pub(super) fn new(clip: &Clip, device: &Device, kind: DeviceKind, threads: Option<Arc<ThreadPool>>) -> Result<Self, EngineError> {
        // Halves are right for GPUs only: elsewhere they are widened for every operation.
        let half = kind == DeviceKind::Gpu && device.supports_dtype(FloatDType::F16);
        let precision = if half { FloatDType::F16 } else { FloatDType::F32 };
        clip.with_weights(|config, files| {
            let reader = Reader::new(files, device, precision)?;
            let vision = config.vision.as_ref().filter(|_| reader.has("vision_model.embeddings.patch_embedding.weight"));
            let text = config.text.as_ref().filter(|_| reader.has("text_model.embeddings.token_embedding.weight"));
            Ok(Self {
                vision: vision.map(|vision| Vision::read(&reader, vision, config.projection)).transpose()?,
                text: text.map(|text| Text::read(&reader, text, config.projection)).transpose()?,
                device: device.clone(),
                kind,
                threads,
            })
        })
    }
}

impl Session for ClipSession {
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        match self.threads.clone() {
            Some(threads) => threads.install(|| self.compute(batch)),
            None => self.compute(batch),
        }
    }
}

impl Drop for ClipSession {
    fn drop(&mut self) {
        // First the tensors: the device's pools can only give back what nothing holds.
        (self.vision, self.text) = (None, None);
        self.device.memory_cleanup();
    }
}

impl ClipSession {
    fn compute(&self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        let count = batch.images();
        // Few shapes, so that kernels are compiled and tuned once.
        let rows = if self.kind == DeviceKind::Gpu { count.next_power_of_two() } else { count };
        let (found, dimension) = match batch {
            Batch::Tokens(texts) => {
                let text = self.text.as_ref().ok_or_else(|| missing("text"))?;
                (text.embed(texts, rows, &self.device)?, text.tower.projection())
            }
            images => {
                let vision = self.vision.as_ref().ok_or_else(|| missing("image"))?;
                (vision.embed(images.into_array()?, rows, &self.device)?, vision.tower.projection())
            }
        };
        let failed = |what: String| EngineError::Device { what };
        let data = found.cast(FloatDType::F32).try_into_data().map_err(|error| failed(error.to_string()))?;
        let mut values = data.try_into_vec::<f32>().map_err(|error| failed(error.to_string()))?;
        values.truncate(count * dimension);
        clip::outputs(values, dimension)
    }
}

impl Vision {
    fn read(reader: &Reader<'_>, config: &VisionConfig, projection: usize) -> Result<Self, EngineError> {
        let (width, patch) = (config.encoder.width, config.patch);
        let name = |part: &str| format!("vision_model.embeddings.{part}");
        let patches = reader.linear(&[&name("patch_embedding.weight")], &[width, 3, patch, patch])?;
        let image = reader.numbers(&name("class_embedding"), &[width])?;
        let positions = reader.numbers(&name("position_embedding.weight"), &[config.tokens(), width])?;
        let (first, rest) = positions.split_at_checked(width).ok_or_else(|| missing("image"))?;
        let image = image.iter().zip(first).map(|(image, position)| image + position).collect();
        Ok(Self {
            patches,
            image: reader.tensor(image, [1, 1, width]),
            positions: reader.tensor(rest.to_vec(), [1, config.tokens() - 1, width]),
            // The name is misspelt in the files.
            first_norm: reader.norm("vision_model.pre_layrnorm", width, config.encoder.epsilon)?,
            tower: Tower::read(reader, &config.encoder, ["vision_model", "post_layernorm", "visual_projection"], projection)?,
            config: config.clone(),
        })
    }

    /// Embeds images; those beyond the ones given are black and their results mean nothing.
    fn embed(&self, images: Array, rows: usize, device: &Device) -> Result<Tensor<2>, EngineError> {
        let (edge, patch, side) = (self.config.edge, self.config.patch, self.config.patches_per_edge());
        clip::check_edge(images.shape(), edge)?;
        if let Some(index) = images.values().iter().position(|value| !value.is_finite()) {
            return Err(EngineError::Refused { what: format!("value {index} of the input is not a finite number") });
        }
        let mut values = images.into_values();
        let shape = Shape::new(rows, 3, edge, edge);
        values.resize(shape.elements().unwrap_or(0), 0.0);
        let pixels = Tensor::<4>::from_data(TensorData::new(values, shape.dims()), device).cast(self.tower.precision());
        // Pixels beyond the last whole patch are not looked at.
        let seen = side * patch;
        let pixels = if seen < edge { pixels.slice([0..rows, 0..3, 0..seen, 0..seen]) } else { pixels };
        let patches = pixels.reshape([rows, 3, side, patch, side, patch]).permute([0, 2, 4, 1, 3, 5]);
        let patches = linear(patches.reshape([rows, side * side, 3 * patch * patch]), self.patches.clone(), None);
        let patches = patches.cast(FloatDType::F32) + self.positions.clone();
        let image = self.image.clone().repeat_dim(0, rows);
        let x = self.first_norm.apply(Tensor::cat(vec![image, patches], 1));
        let pooled = (0..rows).map(|row| row * self.config.tokens()).collect::<Vec<_>>();
        Ok(self.tower.run(x, None, &pooled, device))
    }
}

impl Text {
    fn read(reader: &Reader<'_>, config: &TextConfig, projection: usize) -> Result<Self, EngineError> {
        let width = config.encoder.width;
        let table = |name: &str, rows: usize| {
            let name = format!("text_model.embeddings.{name}.weight");
            Ok::<_, EngineError>(reader.tensor(reader.numbers(&name, &[rows, width])?, [rows, width]))
        };
        Ok(Self {
            vocabulary: table("token_embedding", config.vocabulary)?,
            positions: table("position_embedding", config.positions)?,
            tower: Tower::read(reader, &config.encoder, ["text_model", "final_layer_norm", "text_projection"], projection)?,
            config: config.clone(),
        })
    }

    /// Embeds texts; those beyond the ones given are made of one token and their results mean nothing.
    fn embed(&self, texts: &[&[u32]], rows: usize, device: &Device) -> Result<Tensor<2>, EngineError> {
        let ends = texts.iter().enumerate().map(|(index, text)| self.end(text).map_err(|what| refused(index, &what)));
        let ends = ends.collect::<Result<Vec<usize>, _>>()?;
        let longest = ends.iter().max().map_or(1, |end| end + 1);
        let length = padded(longest, self.config.positions);
        let mut tokens = vec![0i32; rows * length];
        for ((row, text), end) in tokens.chunks_exact_mut(length).zip(texts).zip(&ends) {
            // What stands behind the end is seen by nothing that is read.
            row.iter_mut().zip(text.iter().take(end + 1)).for_each(|(place, token)| *place = *token as i32);
        }
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [rows, length]), device);
        let positions = self.positions.clone().slice([0..length, 0..self.config.encoder.width]);
        let x = embedding(self.vocabulary.clone(), tokens) + positions.unsqueeze::<3>();
        let pooled = (0..rows).map(|row| row * length + ends.get(row).copied().unwrap_or(0)).collect::<Vec<_>>();
        Ok(self.tower.run(x, Some(length), &pooled, device))
    }

    /// Where the text ends.
    fn end(&self, text: &[u32]) -> Result<usize, String> {
        let TextConfig { vocabulary, positions, end, .. } = self.config;
        if let Some(token) = text.iter().find(|token| **token as usize >= vocabulary) {
            return Err(format!("token {token} is not in the vocabulary of {vocabulary}"));
        }
        let token = match end {
            EndOfText::Largest => text.iter().max().copied().ok_or("there are no tokens")?,
            EndOfText::Token(token) => token,
        };
        let end = text.iter().position(|found| *found == token).ok_or_else(|| format!("token {token}, which ends a text, is missing"))?;
        if text.len() > positions {
            return Err(format!("{} tokens; the model has positions for {positions}", text.len()));
        }
        Ok(end)
    }
}

fn refused(index: usize, what: &str) -> EngineError {
    EngineError::Refused { what: format!("text {index}: {what}") }
}
