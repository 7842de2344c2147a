//! Weights by name, from safetensors files, and their fit to a graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::Digest;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::graph::Graph;
use crate::graph::shape::{GraphError, Shape};

/// One array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order; as many as the dimensions say, all finite.
    pub values: Vec<f32>,
}

/// Every array of a weights file, widened to `f32`.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, WeightTensor>,
    digest: Digest,
}

/// A weights file that cannot be used, or not for this network.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The bytes are no complete safetensors file.
    #[error("not a complete safetensors file")]
    Malformed(#[source] safetensors::SafeTensorError),
    /// The file holds numbers of a type that networks here do not use.
    #[error("tensor {name:?} holds {dtype:?}; f32, f16 and bf16 are understood")]
    Dtype {
        /// The tensor.
        name: String,
        /// What it holds.
        dtype: Dtype,
    },
    /// The file holds a number that is infinite or not a number.
    #[error("tensor {name:?} holds a value that is not a finite number")]
    NotFinite {
        /// The tensor.
        name: String,
    },
    /// The network needs a tensor that is not there.
    #[error("tensor {name:?} is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor has other dimensions than the network needs.
    #[error("tensor {name:?} is {found:?}, the network needs {expected:?}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// What the network needs.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// The file holds a tensor that the network does not know: it belongs to another network.
    #[error("tensor {name:?} belongs to no layer of the network")]
    Unused {
        /// The tensor.
        name: String,
    },
    /// The network itself is wrong.
    #[error("the network cannot be computed")]
    Graph(#[from] GraphError),
}

impl Weights {
    /// Reads a safetensors file of f32, f16 or bf16 tensors.
    ///
    /// # Errors
    /// When the file is cut off, holds other types, or values that are not finite.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(WeightsError::Malformed)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let data = view.data();
            let values: Vec<f32> = match view.dtype() {
                Dtype::F32 => widen(data, f32::from_le_bytes),
                Dtype::F16 => widen(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
                Dtype::BF16 => widen(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
                dtype => return Err(WeightsError::Dtype { name: name.to_owned(), dtype }),
            };
            if !values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite { name: name.to_owned() });
            }
            tensors.insert(name.to_owned(), WeightTensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { tensors, digest: Digest::of(bytes) })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many numbers there are.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.values.len()).sum()
    }

    /// A tensor by name.
    ///
    /// # Errors
    /// [`WeightsError::Missing`].
    pub fn get(&self, name: &str) -> Result<&WeightTensor, WeightsError> {
        self.tensors.get(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })
    }

    fn expect(&self, name: &str, expected: &[usize]) -> Result<(), WeightsError> {
        let found = &self.get(name)?.shape;
        if found == expected {
            return Ok(());
        }
        Err(WeightsError::WrongShape { name: name.to_owned(), expected: expected.to_vec(), found: found.clone() })
    }
}

fn widen<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
}

/// A graph with weights that were checked to fit it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Arc<Graph>,
    weights: Arc<Weights>,
    input: Shape,
}

impl Network {
    /// Checks every layer of `graph` for `input`, the size it will run at most often, and every tensor of `weights` against it.
    ///
    /// # Errors
    /// A graph that cannot be computed; a tensor that is missing, misshapen or left over.
    pub fn new(graph: Graph, weights: Weights, input: Shape) -> Result<Self, WeightsError> {
        let shapes = graph.shapes(input)?;
        let mut known = 0;
        for node in graph.nodes() {
            let crate::graph::Op::Conv(conv) = &node.op else { continue };
            let channels = node.inputs.first().and_then(|id| shapes.get(id.index())).map_or(0, |shape| shape.channels);
            let per_group = channels.checked_div(conv.groups).unwrap_or(0);
            weights.expect(&format!("{}.weight", conv.name), &[conv.out_channels, per_group, conv.kernel, conv.kernel])?;
            weights.expect(&format!("{}.bias", conv.name), &[conv.out_channels])?;
            known += 2;
        }
        if known != weights.tensors.len() {
            let named = |name: &str| graph.convolutions().any(|conv| name.rsplit_once('.').is_some_and(|(prefix, _)| prefix == conv.name));
            let name = weights.tensors.keys().find(|name| !named(name)).cloned().unwrap_or_default();
            return Err(WeightsError::Unused { name });
        }
        Ok(Self { graph: Arc::new(graph), weights: Arc::new(weights), input })
    }

    /// The layers.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The input that it was made for. It takes others, too.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The numbers.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Conv, GraphBuilder, Padding};
    use safetensors::tensor::TensorView;

    fn file(tensors: &[(&str, &[usize], f32)]) -> Vec<u8> {
        let data: Vec<Vec<u8>> = tensors.iter().map(|(_, shape, value)| value.to_le_bytes().repeat(shape.iter().product())).collect();
        let views =
            tensors.iter().zip(&data).map(|((name, shape, _), data)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    fn network(tensors: &[(&str, &[usize], f32)]) -> Result<Network, WeightsError> {
        let (mut builder, x) = GraphBuilder::new("test", 3);
        let conv = Conv {
            name: "c".into(),
            out_channels: 4,
            kernel: 3,
            stride: 1,
            padding: Padding::all(1),
            groups: 1,
            activation: Activation::Relu,
        };
        let y = builder.conv(x, conv);
        builder.output("y", y);
        Network::new(builder.finish(), Weights::read(&file(tensors))?, Shape::new(1, 3, 8, 8))
    }

    const WEIGHT: (&str, &[usize], f32) = ("c.weight", &[4, 3, 3, 3], 0.5);
    const BIAS: (&str, &[usize], f32) = ("c.bias", &[4], 0.0);

    #[test]
    fn weights_must_fit_the_graph_exactly() {
        assert!(network(&[WEIGHT, BIAS]).is_ok());
        assert!(matches!(network(&[WEIGHT]), Err(WeightsError::Missing { name }) if name == "c.bias"));
        assert!(matches!(network(&[("c.weight", &[4, 3, 3], 0.5), BIAS]), Err(WeightsError::WrongShape { .. })));
        assert!(matches!(network(&[WEIGHT, BIAS, ("d.bias", &[1], 0.0)]), Err(WeightsError::Unused { name }) if name == "d.bias"));
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        assert!(matches!(network(&[WEIGHT, ("c.bias", &[4], f32::NAN)]), Err(WeightsError::NotFinite { name }) if name == "c.bias"));
        assert!(matches!(network(&[WEIGHT, ("c.bias", &[4], f32::INFINITY)]), Err(WeightsError::NotFinite { .. })));
    }

    #[test]
    fn a_file_cut_off_anywhere_is_malformed() {
        let bytes = file(&[WEIGHT, BIAS]);
        for length in (0..bytes.len()).step_by(7) {
            let result = Weights::read(bytes.get(..length).unwrap());
            assert!(matches!(result, Err(WeightsError::Malformed(_))), "{length}");
        }
    }

    #[test]
    fn a_file_with_a_lying_header_is_malformed() {
        let mut bytes = file(&[WEIGHT, BIAS]);
        bytes.splice(..8, u64::MAX.to_le_bytes());
        assert!(matches!(Weights::read(&bytes), Err(WeightsError::Malformed(_))));
    }

    #[test]
    fn half_precision_is_widened_and_integers_are_refused() {
        let one = f16::from_f32(1.5).to_le_bytes();
        let view = TensorView::new(Dtype::F16, vec![1], &one).unwrap();
        let weights = Weights::read(&safetensors::serialize([("a", view)], None).unwrap()).unwrap();
        assert_eq!(weights.get("a").unwrap().values, [1.5]);
        let view = TensorView::new(Dtype::U8, vec![2], &one).unwrap();
        let error = Weights::read(&safetensors::serialize([("a", view)], None).unwrap()).unwrap_err();
        assert!(matches!(error, WeightsError::Dtype { dtype: Dtype::U8, .. }));
    }
}
