//! Graphs of many layers, each made valid while it is written, so that every choice of the generator is a case.

use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::{Activation, Conv, NodeId, Padding};
use proptest::prelude::*;

use crate::blocks::{Blocks, conv, depthwise};
use crate::case::Case;
use crate::comparison::{cases, check};
use crate::convolutions::{activation, edges, window};

/// No tensor of a random graph has more channels, rows or columns.
const MOST_CHANNELS: usize = 120;
const LONGEST_EDGE: usize = 150;
/// Nor does a convolution multiply more often; it makes fewer channels otherwise.
const MOST_PRODUCTS: usize = 2_000_000;

/// What comes next. Numbers that do not fit the node it reads are cut down to what fits.
#[derive(Debug, Clone)]
enum Layer {
    Conv {
        out: usize,
        kernel: usize,
        padding: Padding,
        stride: usize,
        groups: usize,
        activation: Activation,
    },
    Depthwise {
        times: usize,
        kernel: usize,
        padding: Padding,
        stride: usize,
        activation: Activation,
    },
    PointwiseDepthwise {
        out: usize,
        activation: Activation,
    },
    InvertedResidual {
        expand: usize,
        stride: usize,
    },
    CrossStage {
        channels: usize,
    },
    Heads {
        channels: Vec<usize>,
    },
    /// With another node of the same shape, or with itself.
    Add {
        other: usize,
        swapped: bool,
    },
    /// With other nodes of the same rows and columns.
    Concat {
        others: Vec<usize>,
    },
    Channels {
        start: usize,
        count: usize,
    },
    MaxPool {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    Nearest {
        factor: usize,
    },
    /// Made smaller and larger again, on top of itself.
    UpsampleAdd {
        bilinear: bool,
    },
    Bilinear {
        numerator: usize,
        denominator: usize,
    },
    Mean,
    Activate(Activation),
}

/// A layer, and how many nodes back the one lies that it reads.
type Step = (usize, Layer);

fn layer() -> impl Strategy<Value = Layer> {
    let convolution = (1..=48usize, window(1..=5usize), 1..=2usize, prop_oneof![4 => Just(1usize), 1 => 2..=4usize], activation());
    let depthwise = (1..=2usize, window(2..=5usize), 1..=2usize, activation());
    prop_oneof![
        6 => convolution.prop_map(|(out, (kernel, padding), stride, groups, activation)| Layer::Conv { out, kernel, padding, stride, groups, activation }),
        3 => depthwise.prop_map(|(times, (kernel, padding), stride, activation)| Layer::Depthwise { times, kernel, padding, stride, activation }),
        3 => (1..=40usize, activation()).prop_map(|(out, activation)| Layer::PointwiseDepthwise { out, activation }),
        1 => (1..=3usize, 1..=2usize).prop_map(|(expand, stride)| Layer::InvertedResidual { expand, stride }),
        1 => (1..=20usize).prop_map(|channels| Layer::CrossStage { channels }),
        1 => prop::collection::vec(1..=10usize, 1..=4).prop_map(|channels| Layer::Heads { channels }),
        3 => (0..8usize, any::<bool>()).prop_map(|(other, swapped)| Layer::Add { other, swapped }),
        2 => prop::collection::vec(0..8usize, 0..=3).prop_map(|others| Layer::Concat { others }),
        2 => (0..60usize, 0..60usize).prop_map(|(start, count)| Layer::Channels { start, count }),
        2 => (1..=4usize, 1..=2usize, 0..=2usize).prop_map(|(kernel, stride, padding)| Layer::MaxPool { kernel, stride, padding }),
        1 => (1..=3usize).prop_map(|factor| Layer::Nearest { factor }),
        1 => any::<bool>().prop_map(|bilinear| Layer::UpsampleAdd { bilinear }),
        1 => prop_oneof![Just((2usize, 1usize)), Just((1, 2)), Just((3, 1))].prop_map(|(numerator, denominator)| Layer::Bilinear { numerator, denominator }),
        1 => Just(Layer::Mean),
        2 => activation().prop_map(Layer::Activate),
    ]
}

/// A graph that is being written, with the nodes that later layers may read.
struct Writer {
    blocks: Blocks,
    nodes: Vec<(NodeId, Shape)>,
}

impl Writer {
    /// Some node of the same shape.
    fn alike(&self, shape: Shape, pick: usize) -> NodeId {
        let same: Vec<_> = self.nodes.iter().rev().filter(|(_, other)| *other == shape).collect();
        same[pick % same.len()].0
    }

    /// A convolution, cut down to what fits, and its shape.
    fn conv(&mut self, x: NodeId, shape: Shape, layer: Conv) -> (NodeId, Shape) {
        let mut layer = layer;
        let room = |edge: usize, before: usize, after: usize| edge + before.min(edge) + after.min(edge);
        let p = layer.padding;
        layer.kernel = layer.kernel.min(room(shape.height, p.top, p.bottom)).min(room(shape.width, p.left, p.right));
        let cut = |padding: usize, edge: usize| padding.min(edge).min(layer.kernel - 1);
        layer.padding = Padding {
            top: cut(p.top, shape.height),
            bottom: cut(p.bottom, shape.height),
            left: cut(p.left, shape.width),
            right: cut(p.right, shape.width),
        };
        // The cut padding may have left the window larger than what is there.
        let p = layer.padding;
        let (rows, columns) = (shape.height + p.top + p.bottom, shape.width + p.left + p.right);
        if layer.kernel > rows.min(columns) {
            (layer.kernel, layer.padding) = (1, Padding::default());
        }
        let p = layer.padding;
        let edge = |edge: usize, before: usize, after: usize| (edge + before + after - layer.kernel) / layer.stride + 1;
        let (height, width) = (edge(shape.height, p.top, p.bottom), edge(shape.width, p.left, p.right));
        let each = height * width * layer.kernel * layer.kernel * shape.channels / layer.groups;
        let most = (MOST_PRODUCTS / each / layer.groups * layer.groups).max(layer.groups);
        layer.out_channels = layer.out_channels.min(most);
        let shape = Shape { channels: layer.out_channels, height, width, ..shape };
        (self.blocks.conv(x, layer), shape)
    }

    /// Whether there is room for blocks of many layers.
    fn is_small(shape: Shape) -> bool {
        shape.channels * shape.height * shape.width <= 10_000
    }

    fn push(&mut self, (back, layer): &Step) {
        let (x, shape) = self.nodes[self.nodes.len() - 1 - back % self.nodes.len()];
        let made = self.write(x, shape, layer);
        self.nodes.extend(made);
    }

    fn write(&mut self, x: NodeId, shape: Shape, layer: &Layer) -> Vec<(NodeId, Shape)> {
        match layer {
            Layer::Conv { out, kernel, padding, stride, groups, activation } => {
                let groups = if shape.channels.is_multiple_of(*groups) { *groups } else { 1 };
                let out_channels = out.div_ceil(groups) * groups;
                let (stride, padding, activation) = (*stride, *padding, *activation);
                vec![self.conv(x, shape, Conv { stride, padding, groups, activation, ..conv(out_channels, *kernel) })]
            }
            Layer::Depthwise { times, kernel, padding, stride, activation } => {
                let times = if shape.channels * times > MOST_CHANNELS { 1 } else { *times };
                let layer = Conv { out_channels: shape.channels * times, ..depthwise(shape.channels, *kernel) };
                vec![self.conv(x, shape, Conv { stride: *stride, padding: *padding, activation: *activation, ..layer })]
            }
            Layer::PointwiseDepthwise { out, activation } => {
                let (wide, middle) = self.conv(x, shape, conv(*out, 1));
                let layer = Conv { activation: *activation, ..depthwise(middle.channels, 3) };
                vec![(wide, middle), self.conv(wide, middle, layer)]
            }
            Layer::InvertedResidual { expand, stride } if Self::is_small(shape) && shape.channels * expand <= MOST_CHANNELS => {
                let y = self.blocks.inverted_residual(x, [shape.channels, *expand, shape.channels], 3, *stride);
                vec![(y, Shape { height: shape.height.div_ceil(*stride), width: shape.width.div_ceil(*stride), ..shape })]
            }
            Layer::CrossStage { channels } if Self::is_small(shape) => {
                vec![(self.blocks.cross_stage(x, *channels, 1, 1), Shape { channels: channels * 2, ..shape })]
            }
            Layer::Heads { channels } => {
                let heads: Vec<_> = channels.iter().map(|count| (*count, Activation::Sigmoid)).collect();
                let made = self.blocks.heads(x, &heads);
                made.into_iter().zip(channels).map(|(y, count)| (y, Shape { channels: *count, ..shape })).collect()
            }
            Layer::Add { other, swapped } => {
                let other = self.alike(shape, *other);
                let (a, b) = if *swapped { (other, x) } else { (x, other) };
                vec![(self.blocks.builder.add(a, b), shape)]
            }
            Layer::Concat { others } => vec![self.concat(x, shape, others)],
            Layer::Channels { start, count } => {
                let start = start % shape.channels;
                let count = 1 + count % (shape.channels - start);
                vec![(self.blocks.builder.channels(x, start, count), Shape { channels: count, ..shape })]
            }
            Layer::MaxPool { kernel, stride, padding } => {
                let kernel = (*kernel).min(shape.height).min(shape.width);
                let padding = (*padding).min(kernel - 1);
                let edge = |edge: usize| (edge + 2 * padding - kernel) / stride + 1;
                let y = self.blocks.builder.max_pool(x, kernel, *stride, padding);
                vec![(y, Shape { height: edge(shape.height), width: edge(shape.width), ..shape })]
            }
            Layer::Nearest { factor } if shape.height.max(shape.width) * factor <= LONGEST_EDGE => {
                let y = self.blocks.builder.upsample_nearest(x, *factor);
                vec![(y, Shape { height: shape.height * factor, width: shape.width * factor, ..shape })]
            }
            Layer::UpsampleAdd { bilinear } if shape.height.is_multiple_of(2) && shape.width.is_multiple_of(2) => {
                let half = self.blocks.builder.max_pool(x, 2, 2, 0);
                let twice =
                    if *bilinear { self.blocks.builder.resize_bilinear(half, 2, 1) } else { self.blocks.builder.upsample_nearest(half, 2) };
                let half_shape = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
                vec![(half, half_shape), (self.blocks.builder.add(x, twice), shape)]
            }
            Layer::Bilinear { numerator, denominator } => {
                let fits = |edge: usize| edge.is_multiple_of(*denominator) && edge * numerator / denominator <= LONGEST_EDGE;
                if !fits(shape.height) || !fits(shape.width) {
                    return Vec::new();
                }
                let edge = |edge: usize| edge * numerator / denominator;
                let y = self.blocks.builder.resize_bilinear(x, *numerator, *denominator);
                vec![(y, Shape { height: edge(shape.height), width: edge(shape.width), ..shape })]
            }
            Layer::Mean => vec![(self.blocks.builder.global_average_pool(x), Shape { height: 1, width: 1, ..shape })],
            Layer::Activate(activation) => vec![(self.blocks.builder.activate(x, *activation), shape)],
            _ => Vec::new(),
        }
    }

    fn concat(&mut self, x: NodeId, shape: Shape, others: &[usize]) -> (NodeId, Shape) {
        let edges = |shape: Shape| (shape.height, shape.width);
        let beside: Vec<_> = self.nodes.iter().rev().filter(|(_, other)| edges(*other) == edges(shape)).copied().collect();
        let (mut parts, mut channels) = (vec![x], shape.channels);
        for pick in others {
            let (part, other) = beside[pick % beside.len()];
            if channels + other.channels <= MOST_CHANNELS {
                parts.push(part);
                channels += other.channels;
            }
        }
        (self.blocks.builder.concat(&parts), Shape { channels, ..shape })
    }
}

/// Any graph of so many steps.
pub(crate) fn graphs(steps: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Case> {
    let steps = prop::collection::vec((prop_oneof![4 => Just(0usize), 2 => 0..4usize, 1 => 0..20usize], layer()), steps);
    let outputs = prop::collection::vec(0..20usize, 0..4);
    (1..=20usize, edges(), 1..=2usize, steps, outputs, any::<u64>()).prop_map(|(channels, edges, images, steps, outputs, seed)| {
        let (blocks, input) = Blocks::new(channels);
        let shape = Shape::new(images, channels, edges[0], edges[1]);
        let mut writer = Writer { blocks, nodes: vec![(input, shape)] };
        steps.iter().for_each(|step| writer.push(step));
        let back = |back: usize| writer.nodes[writer.nodes.len() - 1 - back % writer.nodes.len()].0;
        let outputs: Vec<_> = std::iter::once(0).chain(outputs).map(back).collect();
        let graph = writer.blocks.finish(&outputs);
        Case { graph, shape, seed }
    })
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn graphs_of_few_layers_equal_their_definition(case in graphs(2..=4)) {
        check(&case)?;
    }

    #[test]
    fn graphs_of_many_layers_equal_their_definition(case in graphs(5..=15)) {
        check(&case)?;
    }

    #[test]
    fn the_generator_knows_the_shapes_it_makes(case in graphs(1..=15)) {
        prop_assert!(case.graph.shapes(case.shape).is_ok(), "{:?}", case);
    }
}
