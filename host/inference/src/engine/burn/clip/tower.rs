//! The layers of a tower.

use breakwater_transformer::config::{Activation, EncoderConfig};
use burn::tensor::activation::{gelu, sigmoid, softmax};
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

use super::weights::Reader;
use crate::engine::EngineError;

/// Dense layers that read one input, side by side.
pub(super) struct Dense {
    pub(super) weight: Tensor<2>,
    pub(super) bias: Tensor<1>,
}

/// A normalisation over the width.
pub(super) struct Norm {
    pub(super) weight: Tensor<1>,
    pub(super) bias: Tensor<1>,
    pub(super) epsilon: f64,
}

struct Layer {
    first_norm: Norm,
    /// Queries, keys and values.
    attention: Dense,
    joined: Dense,
    second_norm: Norm,
    wide: Dense,
    narrow: Dense,
}

/// Layers, and what makes an embedding of one token of their result.
pub(super) struct Tower {
    config: EncoderConfig,
    layers: Vec<Layer>,
    last_norm: Norm,
    projection: Tensor<2>,
    precision: FloatDType,
}

/// What is added where a token must not look: as much as halves hold with room for a score beside it.
const UNSEEN: f32 = -3e4;

impl Norm {
    /// Of full precision.
    pub(super) fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.clone(), Some(self.bias.clone()), self.epsilon)
    }
}

impl Dense {
    fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        linear(x, self.weight.clone(), Some(self.bias.clone()))
    }
}

impl Tower {
    /// `names` are those of the tower, its last normalisation and its projection.
    pub(super) fn read(reader: &Reader<'_>, config: &EncoderConfig, names: [&str; 3], projection: usize) -> Result<Self, EngineError> {
        let [tower, last_norm, projected] = names;
        let (width, hidden) = (config.width, config.hidden);
        let layer = |index: usize| {
            let name = |part: &str| format!("{tower}.encoder.layers.{index}.{part}");
            let norm = |part: &str| reader.norm(&name(part), width, config.epsilon);
            let attention = ["q_proj", "k_proj", "v_proj"].map(|part| name(&format!("self_attn.{part}")));
            Ok(Layer {
                first_norm: norm("layer_norm1")?,
                attention: reader.dense(&attention, [width, width])?,
                joined: reader.dense(&[name("self_attn.out_proj")], [width, width])?,
                second_norm: norm("layer_norm2")?,
                wide: reader.dense(&[name("mlp.fc1")], [hidden, width])?,
                narrow: reader.dense(&[name("mlp.fc2")], [width, hidden])?,
            })
        };
        Ok(Self {
            layers: (0..config.layers).map(layer).collect::<Result<_, EngineError>>()?,
            last_norm: reader.norm(&format!("{tower}.{last_norm}"), width, config.epsilon)?,
            projection: reader.linear(&[&format!("{projected}.weight")], &[projection, width])?,
            precision: reader.precision(),
            config: config.clone(),
        })
    }

    /// Numbers in an embedding.
    pub(super) fn projection(&self) -> usize {
        let [_, projection] = self.projection.dims();
        projection
    }

    /// In which dense layers compute.
    pub(super) fn precision(&self) -> FloatDType {
        self.precision
    }

    /// Sequences of full precision through all layers; the embeddings of the tokens at `pooled`, counted over all sequences. With `causal`,
    /// the length of the sequences, a token sees only those before it.
    ///
    /// What goes from layer to layer stays in full precision, as do normalisations: sums of halves over many layers would not hold.
    pub(super) fn run(&self, mut x: Tensor<3>, causal: Option<usize>, pooled: &[usize], device: &Device) -> Tensor<2> {
        let mask = causal.map(|length| {
            let rows = (0..length).flat_map(|row| (0..length).map(move |column| if column > row { UNSEEN } else { 0.0 }));
            let data = TensorData::new(rows.collect::<Vec<f32>>(), [1, 1, length, length]);
            Tensor::<4>::from_data(data, device).cast(self.precision)
        });
        for layer in &self.layers {
            let seen = layer.first_norm.apply(x.clone()).cast(self.precision);
            x = x + self.attend(layer, seen, mask.as_ref()).cast(FloatDType::F32);
            let wide = layer.wide.apply(layer.second_norm.apply(x.clone()).cast(self.precision));
            x = x + layer.narrow.apply(self.activate(wide)).cast(FloatDType::F32);
        }
        let [sequences, length, width] = x.dims();
        let indices = pooled.iter().map(|index| *index as i32).collect::<Vec<_>>();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [pooled.len()]), device);
        let pooled = x.reshape([sequences * length, width]).select(0, indices);
        self.last_norm.apply(pooled).cast(self.precision).matmul(self.projection.clone())
    }

    fn attend(&self, layer: &Layer, x: Tensor<3>, mask: Option<&Tensor<4>>) -> Tensor<3> {
        let [sequences, length, width] = x.dims();
        let (heads, head) = (self.config.heads, self.config.head());
        let both = layer.attention.apply(x);
        let part = |index: usize| {
            let part = both.clone().slice([0..sequences, 0..length, index * width..(index + 1) * width]);
            part.reshape([sequences, length, heads, head]).swap_dims(1, 2)
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        // Before the product, so that halves hold it.
        let queries = queries.mul_scalar((head as f32).sqrt().recip());
        let scores = queries.matmul(keys.swap_dims(2, 3));
        let scores = match mask {
            Some(mask) => scores + mask.clone(),
            None => scores,
        };
        let joined = softmax(scores, 3).matmul(values).swap_dims(1, 2).reshape([sequences, length, width]);
        layer.joined.apply(joined)
    }

    fn activate(&self, x: Tensor<3>) -> Tensor<3> {
        match self.config.activation {
            Activation::QuickGelu => x.clone() * sigmoid(x.mul_scalar(1.702)),
            Activation::Gelu => gelu(x),
        }
    }
}
