//! Tensors in, tensors out.

use std::sync::Arc;

use breakwater_core::{Deadline, Failure};
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::{Inference, Lane};
use crate::array::Array;
use crate::embedder::{Overlong, Priority};
use crate::embedding::Embedding;
use crate::error::{self, TensorError};
use crate::graph::shape::Shape;
use crate::metadata::{EMBEDDING, IMAGE, PIXELS, PLANES, TEXT, TOKENS};
use crate::tensor::{DataType, MAX_ITEMS, MAX_TENSOR_BYTES, Tensor, TensorData};
use crate::worker::job::Job;

/// The most rows or columns of planes.
const MAX_EDGE: usize = 4096;

impl Inference {
    /// Runs a model on tensors; [`Inference::metadata`] says which it takes and gives. Exactly one input. Detectors take `input` (FP32 or
    /// FP16, images of three planes, numbers as their network takes them) and give the outputs of their network as they are. Embedders
    /// take `pixel_values` likewise, `image` (BYTES, files), `text` (BYTES, UTF-8) or `input_ids` (INT64), at most [`MAX_ITEMS`] of them,
    /// and give `embedding`, each of length one.
    ///
    /// # Errors
    /// `embedder.unknown-model`; `tensor.unknown-input`, `tensor.type`, `tensor.shape`, `tensor.too-large`, `tensor.refused` when the
    /// model does not take these tensors; otherwise as [`Inference::embed_image`], [`Inference::embed_text`] and decoding fail. If one
    /// image or text fails the call fails.
    pub async fn infer(&self, model: &str, inputs: Vec<Tensor>, deadline: Deadline) -> Result<Vec<Tensor>, Failure> {
        let bytes = inputs.iter().map(|tensor| tensor.data().bytes()).sum();
        if bytes > MAX_TENSOR_BYTES {
            return Err(TensorError::TooLarge { found: bytes }.into());
        }
        if let Some(lane) = self.lanes.iter().find(|lane| *lane.name.id == *model) {
            return deadline.bound("a run on tensors", lane.tensors(inputs, deadline)).await?;
        }
        let loaded = self.embedders.serving(Some(model))?;
        let input = only(inputs, &loaded.inputs())?;
        let found = match input.name() {
            PIXELS => {
                let name = input.name().to_owned();
                let planes = planes(input)?;
                let run = deadline.bound("a run on tensors", loaded.planes(planes, Priority::Interactive, deadline)).await?;
                run.map_err(|fault| refine(fault.failure, &name))?.into_iter().map(Arc::new).collect()
            }
            IMAGE => {
                let files = strings(input)?;
                try_join_all(files.into_iter().map(|file| self.embed_file(model, file, deadline))).await?
            }
            TEXT => {
                let name = input.name().to_owned();
                let texts = strings(input)?.into_iter().enumerate().map(|(index, text)| {
                    let what = format!("string {index} is not UTF-8");
                    String::from_utf8(text.to_vec()).map_err(|_| TensorError::Value { tensor: name.clone(), what })
                });
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                let one =
                    async |text: String| self.embed_text_with(Some(model), &text, Overlong::Refuse, Priority::Interactive, deadline).await;
                try_join_all(texts.into_iter().map(one)).await?
            }
            _ => {
                let rows = tokens(input)?;
                let one = async |row: Arc<[u32]>| {
                    self.embed_tokens(&loaded, row, Priority::Interactive, deadline).await.map_err(|failure| refine(failure, TOKENS))
                };
                try_join_all(rows.into_iter().map(one)).await?
            }
        };
        Ok(vec![embeddings(&found)?])
    }

    async fn embed_file(&self, model: &str, file: Bytes, deadline: Deadline) -> Result<Arc<Embedding>, Failure> {
        let decode = move || Image::decode(file, Detail::Full, &Limits::default()).map_err(Failure::from);
        let image = Arc::new(self.cpu.compute(deadline, decode).await??);
        self.embed_image(Some(model), &image, Priority::Interactive, deadline).await
    }
}

impl Lane {
    /// Runs the network on planes.
    async fn tensors(&self, inputs: Vec<Tensor>, deadline: Deadline) -> Result<Vec<Tensor>, Failure> {
        let input = only(inputs, &[PLANES])?;
        let planes = planes(input)?;
        let slot = self.worker.admit(Priority::Interactive)?;
        let run = slot.run(Job::Planes(planes), deadline).await.map_err(|fault| refine(fault.failure, PLANES))?;
        let tensor = |(name, array): (&str, &Array)| {
            let data = TensorData::Fp32(array.values().to_vec());
            Ok(Tensor::new(name, array.shape().dims().to_vec(), data)?)
        };
        run.outputs.iter().map(tensor).collect()
    }
}

/// A failure of a run whose cause is that the network does not take these numbers says so.
fn refine(failure: Failure, tensor: &str) -> Failure {
    match error::refusal(&failure) {
        Some(what) => TensorError::Value { tensor: tensor.to_owned(), what }.into(),
        None => failure,
    }
}

/// The only input, which must be one of those that are known.
fn only(mut inputs: Vec<Tensor>, known: &[&str]) -> Result<Tensor, TensorError> {
    if let [input] = &*inputs
        && known.contains(&input.name())
        && let Some(input) = inputs.pop()
    {
        return Ok(input);
    }
    // Names come from callers and go into messages.
    let found = inputs.iter().take(8).map(|input| input.name().chars().take(40).collect()).collect();
    Err(TensorError::Inputs { known: known.join(", "), found })
}

fn unexpected(input: &Tensor, expected: &'static str) -> TensorError {
    TensorError::Type { tensor: input.name().to_owned(), found: input.data_type(), expected }
}

/// Numbers of images of three planes.
fn planes(input: Tensor) -> Result<Array, TensorError> {
    let found = input.shape().to_vec();
    let misshapen = || {
        let expected = format!("[1 to {MAX_ITEMS}, 3, rows, columns], rows and columns at most {MAX_EDGE}");
        TensorError::Shape { tensor: input.name().to_owned(), found: found.clone(), expected }
    };
    let [images, 3, rows, columns] = *found else { return Err(misshapen()) };
    let fits = (1..=MAX_ITEMS).contains(&images) && [rows, columns].iter().all(|edge| (1..=MAX_EDGE).contains(edge));
    let shape = fits.then(|| Shape::new(images, 3, rows, columns)).ok_or_else(misshapen)?;
    let values = match input.data() {
        TensorData::Fp32(values) => values.clone(),
        TensorData::Fp16(values) => values.iter().map(|value| value.to_f32()).collect(),
        TensorData::Int64(_) | TensorData::Bytes(_) => return Err(unexpected(&input, "FP32 or FP16")),
    };
    Array::new(shape, values).map_err(|_| misshapen())
}

/// Byte strings in a list, or in a column.
fn strings(input: Tensor) -> Result<Vec<Bytes>, TensorError> {
    if !matches!(input.shape(), [1..=MAX_ITEMS] | [1..=MAX_ITEMS, 1]) {
        let expected = format!("[1 to {MAX_ITEMS}]");
        return Err(TensorError::Shape { tensor: input.name().to_owned(), found: input.shape().to_vec(), expected });
    }
    if input.data_type() != DataType::Bytes {
        return Err(unexpected(&input, "BYTES"));
    }
    match input.into_data() {
        TensorData::Bytes(strings) => Ok(strings),
        _ => Ok(Vec::new()),
    }
}

/// Tokens of texts, a row each.
fn tokens(input: Tensor) -> Result<Vec<Arc<[u32]>>, TensorError> {
    let &[1..=MAX_ITEMS, length @ 1..=usize::MAX] = input.shape() else {
        let expected = format!("[1 to {MAX_ITEMS}, tokens]");
        return Err(TensorError::Shape { tensor: input.name().to_owned(), found: input.shape().to_vec(), expected });
    };
    let TensorData::Int64(values) = input.data() else { return Err(unexpected(&input, "INT64")) };
    let value = |value: &i64| {
        let what = || TensorError::Value { tensor: input.name().to_owned(), what: format!("{value} is no token") };
        u32::try_from(*value).map_err(|_| what())
    };
    values.chunks_exact(length).map(|row| row.iter().map(value).collect()).collect()
}

fn embeddings(found: &[Arc<Embedding>]) -> Result<Tensor, TensorError> {
    let dimension = found.first().map_or(0, |one| one.dimension());
    let values = found.iter().flat_map(|one| one.values().iter().copied()).collect();
    Tensor::new(EMBEDDING, vec![found.len(), dimension], TensorData::Fp32(values))
}
