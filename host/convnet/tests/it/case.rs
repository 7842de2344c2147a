//! A graph with an input size, from which weights and inputs follow: what properties are checked on.

use std::fmt;

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::{Network, Weights};
use breakwater_convnet::graph::{Graph, Op};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A valid graph, the shape of a batch for it, and where its numbers come from.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) shape: Shape,
    pub(crate) seed: u64,
}

impl Case {
    pub(crate) fn new(graph: Graph, shape: [usize; 4]) -> Self {
        let [images, channels, height, width] = shape;
        Self { graph, shape: Shape::new(images, channels, height, width), seed: 1 }
    }

    /// The graph with weights that keep the size of the numbers about the same from layer to layer.
    pub(crate) fn network(&self) -> Network {
        network(&self.graph, self.shape, self.seed)
    }

    /// Numbers from -1 to 1.
    pub(crate) fn input(&self) -> Array {
        Array::new(self.shape, numbers(self.shape.elements().unwrap(), self.seed ^ 0xABCD)).unwrap()
    }

    /// The largest finite numbers, of both signs: sums of them are infinite, and differences of those no numbers.
    pub(crate) fn overflowing(&self) -> Array {
        let signs = numbers(self.shape.elements().unwrap(), self.seed ^ 0x1234);
        Array::new(self.shape, signs.iter().map(|sign| f32::MAX.copysign(*sign)).collect()).unwrap()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "input {:?}, seed {}", self.shape.dims(), self.seed)?;
        f.write_str(&describe(&self.graph, self.shape))
    }
}

/// A line for each node and output.
pub(crate) fn describe(graph: &Graph, input: Shape) -> String {
    let shapes = graph.shapes(input).unwrap_or_default();
    let mut text = String::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let inputs: Vec<usize> = node.inputs.iter().map(|id| id.index()).collect();
        let shape = shapes.get(index).map(Shape::dims);
        let layer = match &node.op {
            Op::Conv(conv) => format!(
                "Conv {:?} to {} of {}x{} step {} groups {} {:?} {:?}",
                conv.name, conv.out_channels, conv.kernel, conv.kernel, conv.stride, conv.groups, conv.padding, conv.activation
            ),
            op => format!("{op:?}"),
        };
        text.push_str(&format!("  %{index} = {layer} of {inputs:?} -> {shape:?}\n"));
    }
    let outputs: Vec<_> = graph.outputs().iter().map(|output| (output.name.as_str(), output.node.index())).collect();
    text.push_str(&format!("  outputs {outputs:?}\n"));
    text
}

/// Numbers from -1 to 1 that look random and are the same every time.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0xD1B5_4A32_D192_ED03);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The tensors that a graph needs, as a weights file.
pub(crate) fn weights(graph: &Graph, input: Shape, seed: u64) -> Weights {
    let shapes = graph.shapes(input).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let Op::Conv(conv) = &node.op else { continue };
        let per_group = shapes[node.inputs[0].index()].channels / conv.groups;
        let dims = vec![conv.out_channels, per_group, conv.kernel, conv.kernel];
        let scale = (3.0 / (per_group * conv.kernel * conv.kernel) as f32).sqrt() * 1.2;
        for (suffix, dims, scale) in [("weight", dims, scale), ("bias", vec![conv.out_channels], 0.5)] {
            let values = numbers(dims.iter().product(), seed.wrapping_add((index * 16 + suffix.len()) as u64));
            let bytes = values.iter().flat_map(|value| (value * scale).to_le_bytes()).collect();
            tensors.push((format!("{}.{suffix}", conv.name), dims, bytes));
        }
    }
    let views = tensors.iter().map(|(name, dims, bytes)| (name, TensorView::new(Dtype::F32, dims.clone(), bytes).unwrap()));
    Weights::read(&safetensors::serialize(views, None).unwrap()).unwrap()
}

pub(crate) fn network(graph: &Graph, input: Shape, seed: u64) -> Network {
    Network::new(graph.clone(), weights(graph, input, seed), input).unwrap()
}
