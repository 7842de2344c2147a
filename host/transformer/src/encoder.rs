//! The layers that both towers are made of.

mod attention;
mod run;
mod workspace;

use breakwater_convnet::memory::Memory;

use crate::config::EncoderConfig;
use crate::error::WeightsError;
use crate::kernel::Kernels;
use crate::matrix::{Matrix, Source};
use crate::weights::ClipWeights;

pub(crate) use run::{Run, Span};
pub(crate) use workspace::{Size, Workspace};

/// Layers, the normalisation after them and the projection into the space of embeddings.
pub(crate) struct Encoder {
    config: EncoderConfig,
    /// Numbers in an embedding.
    projection: usize,
    /// Whether a token sees only itself and those before it.
    causal: bool,
    kernels: &'static Kernels,
    layers: Vec<Layer>,
    last_norm: Scaling,
    last: Matrix,
}

/// One layer: attention and two dense layers, each after a normalisation and added to what goes in.
struct Layer {
    norm1: Scaling,
    /// Queries, keys and values.
    attention: Matrix,
    out: Matrix,
    norm2: Scaling,
    dense1: Matrix,
    dense2: Matrix,
}

/// Scale and shift of a normalisation.
pub(crate) struct Scaling {
    scale: Memory,
    shift: Memory,
}

/// The names of a tower's tensors.
pub(crate) struct Names {
    /// Before `encoder.layers`.
    pub(crate) tower: &'static str,
    /// The normalisation after the layers.
    pub(crate) last_norm: &'static str,
    /// The projection into the space of embeddings.
    pub(crate) projection: &'static str,
}

impl Encoder {
    /// Packs the weights of a tower.
    pub(crate) fn pack(
        config: &EncoderConfig,
        projection: usize,
        causal: bool,
        names: &Names,
        weights: &ClipWeights<'_>,
        kernels: &'static Kernels,
    ) -> Result<Self, WeightsError> {
        let layers =
            (0..config.layers).map(|number| Layer::pack(config, &format!("{}.encoder.layers.{number}", names.tower), weights, kernels));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let last_norm = Scaling::read(weights, &format!("{}.{}", names.tower, names.last_norm), config.width)?;
        let source = Source { weight: &format!("{}.weight", names.projection), bias: None };
        let last = Matrix::pack(weights, &[source], &[projection, config.width], kernels)?;
        Ok(Self { config: config.clone(), projection, causal, kernels, layers, last_norm, last })
    }

    /// The kernels in use.
    pub(crate) fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    /// Numbers per token between the layers.
    pub(crate) fn width(&self) -> usize {
        self.config.width
    }

    /// Numbers in an embedding.
    pub(crate) fn projection(&self) -> usize {
        self.projection
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let matrices = [&layer.attention, &layer.out, &layer.dense1, &layer.dense2];
            layer.norm1.bytes() + layer.norm2.bytes() + matrices.iter().map(|matrix| matrix.bytes()).sum::<usize>()
        };
        self.layers.iter().map(layer).sum::<usize>() + self.last_norm.bytes() + self.last.bytes()
    }
}

impl Layer {
    fn pack(config: &EncoderConfig, at: &str, weights: &ClipWeights<'_>, kernels: &Kernels) -> Result<Self, WeightsError> {
        let dense = |names: &[&str], shape: [usize; 2]| {
            let names: Vec<_> = names.iter().map(|name| (format!("{at}.{name}.weight"), format!("{at}.{name}.bias"))).collect();
            let sources: Vec<_> = names.iter().map(|(weight, bias)| Source { weight, bias: Some(bias) }).collect();
            Matrix::pack(weights, &sources, &shape, kernels)
        };
        let (width, hidden) = (config.width, config.hidden);
        Ok(Self {
            norm1: Scaling::read(weights, &format!("{at}.layer_norm1"), width)?,
            attention: dense(&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], [width, width])?,
            out: dense(&["self_attn.out_proj"], [width, width])?,
            norm2: Scaling::read(weights, &format!("{at}.layer_norm2"), width)?,
            dense1: dense(&["mlp.fc1"], [hidden, width])?,
            dense2: dense(&["mlp.fc2"], [width, hidden])?,
        })
    }
}

impl Scaling {
    /// Reads `NAME.weight` and `NAME.bias`.
    pub(crate) fn read(weights: &ClipWeights<'_>, name: &str, width: usize) -> Result<Self, WeightsError> {
        let read = |part: &str| -> Result<Memory, WeightsError> {
            let values = weights.tensor(&format!("{name}.{part}"), &[width])?.widen();
            let mut memory = Memory::zeros(width);
            memory.as_mut_slice().iter_mut().zip(values).for_each(|(to, value)| *to = value);
            Ok(memory)
        };
        Ok(Self { scale: read("weight")?, shift: read("bias")? })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.scale.bytes() + self.shift.bytes()
    }
}
