//! Models as a test makes and changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_convnet::Isa;
use breakwater_transformer::{ClipConfig, ClipWeights, Options, TextTower, TransformerError, VisionTower};
use half::{bf16, f16};
use rayon::{ThreadPool, ThreadPoolBuilder};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A tensor: dimensions and numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f32>,
}

/// A model: its description and its tensors by name.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) config: ClipConfig,
    pub(crate) tensors: BTreeMap<String, Values>,
}

impl Model {
    /// A tensor that is there.
    pub(crate) fn get(&self, name: &str) -> &[f32] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("{name}")).numbers
    }

    /// The model as files of one type, tensors dealt out in turns.
    pub(crate) fn files(&self, dtype: Dtype, count: usize) -> Vec<Vec<u8>> {
        let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, values)| {
                let numbers = values.numbers.iter();
                let bytes = match dtype {
                    Dtype::F16 => numbers.flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
                    Dtype::BF16 => numbers.flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect(),
                    _ => numbers.flat_map(|number| number.to_le_bytes()).collect(),
                };
                (name.as_str(), values.shape.clone(), bytes)
            })
            .collect();
        let file = |part: usize| {
            let tensors = bytes.iter().skip(part).step_by(count);
            let views = tensors.map(|(name, shape, bytes)| (*name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
            safetensors::serialize(views, None).unwrap()
        };
        (0..count).map(file).collect()
    }

    /// Its image tower, from files in single precision.
    pub(crate) fn vision(&self, options: Options) -> Result<VisionTower, TransformerError> {
        let files = self.files(Dtype::F32, 1);
        VisionTower::new(&self.config, &ClipWeights::read(&slices(&files)).unwrap(), options)
    }

    /// Its text tower, from files in single precision.
    pub(crate) fn text(&self, options: Options) -> Result<TextTower, TransformerError> {
        let files = self.files(Dtype::F32, 1);
        TextTower::new(&self.config, &ClipWeights::read(&slices(&files)).unwrap(), options)
    }
}

pub(crate) fn slices(files: &[Vec<u8>]) -> Vec<&[u8]> {
    files.iter().map(Vec::as_slice).collect()
}

/// A pool with so many threads; none for one.
pub(crate) fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    (threads > 1).then(|| Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().unwrap()))
}

/// An instruction set on some threads.
pub(crate) fn options(isa: Isa, threads: usize) -> Options {
    Options { isa: Some(isa), threads: pool(threads), busy: None }
}

/// How alike two vectors are; 1 if they point the same way.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
