//! From a graph and its weights to a [`Program`]: layers are fused, slices and concatenations become places in memory.

use std::collections::HashMap;

use crate::error::ConvnetError;
use crate::graph::shape::{GraphError, Shape};
use crate::graph::weights::{Network, WeightTensor};
use crate::graph::{Activation, Conv, Node, NodeId, Op};
use crate::kernel::Clamp;
use crate::plan::MAX_WINDOW;
use crate::program::pack::{self, Filters};
use crate::program::{Export, Kind, Layer, Piece, Program, Value, Window, concat, heads, winograd};
use crate::table::Id;

/// The most weights that a convolution may have once its groups are filled up with zeros: 256 MiB.
const MAX_WEIGHTS: usize = 1 << 26;

/// Fuses and packs a network for registers of `lanes` values.
pub(crate) fn lower(network: &Network, lanes: usize) -> Result<Program, ConvnetError> {
    let shapes = network.graph().shapes(network.input())?;
    let mut lowering = Lowering::new(network, shapes, lanes);
    for index in 0..lowering.nodes.len() {
        if lowering.consumers.get(index).is_some_and(|all| !all.is_empty()) {
            lowering.node(index)?;
        }
    }
    lowering.exports();
    Ok(lowering.program)
}

/// Who reads a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consumer {
    Node(usize),
    Output,
}

/// Channels of a tensor, at any position, perhaps still to be put through a sigmoid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) value: Id<Value>,
    pub(super) first_channel: usize,
    pub(super) channels: usize,
    pub(super) sigmoid: bool,
}

pub(super) struct Lowering<'a> {
    pub(super) network: &'a Network,
    pub(super) nodes: &'a [Node],
    pub(super) lanes: usize,
    /// The usual shape of each node.
    shapes: Vec<Shape>,
    /// Channels of each node.
    pub(super) channels: Vec<usize>,
    /// Who reads each node, counting only those that an output needs.
    pub(super) consumers: Vec<Vec<Consumer>>,
    pub(super) program: Program,
    /// Where each node's result is, once it is known.
    pub(super) slices: HashMap<usize, Slice>,
    /// Slices that were copied to the beginning of a tensor of their own.
    copies: HashMap<usize, Piece>,
    /// Resizes that wait for the addition that they become part of.
    pub(super) waiting: HashMap<usize, usize>,
}

impl<'a> Lowering<'a> {
    fn new(network: &'a Network, shapes: Vec<Shape>, lanes: usize) -> Self {
        let graph = network.graph();
        let nodes = graph.nodes();
        let mut consumers = vec![Vec::new(); nodes.len()];
        for output in graph.outputs() {
            if let Some(all) = consumers.get_mut(output.node.index()) {
                all.push(Consumer::Output);
            }
        }
        for (index, node) in nodes.iter().enumerate().rev() {
            if consumers.get(index).is_some_and(|all| !all.is_empty()) {
                for input in &node.inputs {
                    if let Some(all) = consumers.get_mut(input.index()) {
                        all.push(Consumer::Node(index));
                    }
                }
            }
        }
        let mut channels: Vec<usize> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let of = |id: &NodeId| channels.get(id.index()).copied().unwrap_or(0);
            let first = node.inputs.first().map_or(0, of);
            channels.push(match &node.op {
                Op::Input { channels } => *channels,
                Op::Conv(conv) => conv.out_channels,
                Op::Concat => node.inputs.iter().map(of).sum(),
                Op::Channels { count, .. } => *count,
                _ => first,
            });
        }
        Self {
            network,
            nodes,
            lanes,
            shapes,
            channels,
            consumers,
            program: Program::default(),
            slices: HashMap::new(),
            copies: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    fn node(&mut self, index: usize) -> Result<(), ConvnetError> {
        if self.slices.contains_key(&index) {
            // It was computed together with an earlier one.
            return Ok(());
        }
        let Some(node) = self.nodes.get(index) else { return Ok(()) };
        if let Op::Conv(Conv { kernel, .. }) | Op::MaxPool { kernel, .. } = &node.op
            && *kernel > MAX_WINDOW
        {
            let what = format!("a window of {kernel} rows, more than {MAX_WINDOW}");
            return Err(GraphError::Layer { node: index, what }.into());
        }
        let first = node.inputs.first().map_or(0, |id| id.index());
        match &node.op {
            Op::Input { .. } => self.input(index),
            Op::Conv(conv) => self.conv(index, first, conv)?,
            Op::MaxPool { kernel, stride, padding } => {
                let window = Window { size: *kernel, stride: *stride, top: *padding, left: *padding };
                self.simple(index, first, Kind::MaxPool(window));
            }
            Op::Add => self.add(index, node),
            Op::Concat => concat::lower(self, index, node),
            Op::UpsampleNearest { .. } | Op::ResizeBilinear { .. } => match self.only_consumer(index) {
                Some(adder) if matches!(self.nodes.get(adder), Some(Node { op: Op::Add, .. })) => {
                    self.waiting.insert(index, first);
                }
                _ => self.resize_alone(index, first),
            },
            Op::GlobalAveragePool => self.simple(index, first, Kind::Average),
            Op::Channels { start, count } => {
                if let Some(slice) = self.slice(first) {
                    let sigmoid = slice.sigmoid;
                    let slice = Slice { first_channel: slice.first_channel + start, channels: *count, value: slice.value, sigmoid };
                    self.slices.insert(index, slice);
                }
            }
            Op::Activate(activation) => self.activate(index, first, *activation),
        }
        Ok(())
    }

    fn input(&mut self, index: usize) {
        let channels = self.channels_of(index);
        // Side by side as in a picture if only kernels read it that can take that: a register for a pixel of three channels is
        // mostly zeros.
        let dense = |node: usize| match self.nodes.get(node).map(|node| &node.op) {
            Some(Op::Conv(conv)) => !is_depthwise(conv, channels),
            _ => false,
        };
        let packed = channels < self.lanes
            && self
                .consumers
                .get(index)
                .is_some_and(|all| all.iter().all(|consumer| matches!(consumer, Consumer::Node(node) if dense(*node))));
        let lanes = if packed { channels } else { self.lanes };
        let output = self.program.values.push(Value { node: index, channels, lanes, home: None });
        self.program.layers.push(Layer { kind: Kind::Ingest, input: None, extra: None, output });
        self.remember(index, output);
    }

    fn conv(&mut self, index: usize, first: usize, conv: &'a Conv) -> Result<(), ConvnetError> {
        let in_channels = self.channels_of(first);
        let Some(clamp) = clamp(conv.activation) else {
            // The sigmoid is a layer of its own, or part of the output.
            let before = self.convolve(index, first, &[conv], Clamp::None, None, in_channels)?;
            self.sigmoid(index, before);
            return Ok(());
        };
        if let Some(group) = heads::siblings(self, index) {
            return heads::lower(self, first, &group);
        }
        let fused = self.residual_after(index, conv, in_channels);
        let Some((adder, other)) = fused else {
            let output = self.convolve(index, first, &[conv], clamp, None, in_channels)?;
            self.remember(index, output);
            return Ok(());
        };
        let (last, clamp) = self.activation_after(adder);
        let extra = self.piece(other);
        let output = self.convolve(last, first, &[conv], clamp, extra, in_channels)?;
        for node in [index, adder, last] {
            self.remember(node, output);
        }
        Ok(())
    }

    /// Convolutions of one geometry on one input, as one layer; their output has the shape of `node` in rows and columns.
    pub(super) fn convolve(
        &mut self,
        node: usize,
        input: usize,
        convs: &[&'a Conv],
        clamp: Clamp,
        extra: Option<Piece>,
        in_channels: usize,
    ) -> Result<Id<Value>, ConvnetError> {
        let network = self.network;
        let tensor = |conv: &Conv, suffix: &str| network.weights().get(&format!("{}.{suffix}", conv.name));
        let with_weights = |conv: &&'a Conv| -> Result<(&'a Conv, &'a WeightTensor, &'a WeightTensor), ConvnetError> {
            Ok((*conv, tensor(conv, "weight")?, tensor(conv, "bias")?))
        };
        let convs = convs.iter().map(with_weights).collect::<Result<Vec<_>, _>>()?;
        let filters = Filters { convs, in_channels };
        let Some((conv, ..)) = filters.convs.first().copied() else { return Ok(self.value(node, 0)) };
        let channels = filters.out_channels();
        let piece = self.piece(input);
        let input_lanes = piece.map_or(self.lanes, |piece| self.program.values[piece.value].lanes);
        let kind = if filters.convs.iter().all(|(conv, ..)| is_depthwise(conv, conv.out_channels)) && channels == in_channels {
            Kind::Depthwise(pack::depthwise(&filters, conv, clamp, self.lanes))
        } else {
            let padded = [channels.next_multiple_of(self.lanes), in_channels, conv.kernel, conv.kernel];
            let weights = padded.into_iter().try_fold(1usize, usize::checked_mul).unwrap_or(usize::MAX);
            if weights > MAX_WEIGHTS {
                let bytes = weights.saturating_mul(size_of::<f32>());
                return Err(ConvnetError::TooLarge { dims: padded, bytes, limit: MAX_WEIGHTS * size_of::<f32>() });
            }
            let output = self.shapes.get(node).copied().filter(|_| input_lanes == self.lanes && filters.convs.len() == 1);
            match output.and_then(|output| winograd::tile(conv, in_channels, output, self.lanes)) {
                Some(tile) => Kind::Winograd(winograd::pack(&filters, pack::window(conv), clamp, tile, self.lanes)),
                None => Kind::Dense(pack::dense(&filters, conv, clamp, input_lanes, self.lanes)),
            }
        };
        let output = self.value(node, channels);
        self.program.layers.push(Layer { kind, input: piece, extra, output });
        Ok(output)
    }

    fn activate(&mut self, index: usize, first: usize, activation: Activation) {
        match clamp(activation) {
            Some(Clamp::None) => {
                if let Some(slice) = self.slice(first) {
                    self.slices.insert(index, slice);
                }
            }
            Some(clamp) => self.simple(index, first, Kind::Clamp(clamp)),
            None => match self.slice(first) {
                // Outputs are put through the sigmoid while they are copied out.
                Some(slice) if !slice.sigmoid && self.only_outputs(index) => {
                    self.slices.insert(index, Slice { sigmoid: true, ..slice });
                }
                _ => self.simple(index, first, Kind::Sigmoid),
            },
        }
    }

    fn sigmoid(&mut self, index: usize, before: Id<Value>) {
        let channels = self.channels_of(index);
        if self.only_outputs(index) {
            self.slices.insert(index, Slice { value: before, first_channel: 0, channels, sigmoid: true });
            return;
        }
        let output = self.value(index, channels);
        let input = Some(Piece { value: before, first_block: 0, channels });
        self.program.layers.push(Layer { kind: Kind::Sigmoid, input, extra: None, output });
        self.remember(index, output);
    }

    /// A layer with one input whose output has as many channels.
    pub(super) fn simple(&mut self, index: usize, first: usize, kind: Kind) {
        let input = self.piece(first);
        let output = self.value(index, self.channels_of(index));
        self.program.layers.push(Layer { kind, input, extra: None, output });
        self.remember(index, output);
    }

    fn exports(&mut self) {
        for output in self.network.graph().outputs() {
            let node = output.node.index();
            if let Some(slice) = self.slice(node) {
                let Slice { value, first_channel, channels, sigmoid } = slice;
                self.program.exports.push(Export { name: output.name.clone(), value, channels, first_channel, sigmoid });
            }
        }
    }

    pub(super) fn channels_of(&self, node: usize) -> usize {
        self.channels.get(node).copied().unwrap_or(0)
    }

    /// The one node that reads a node, if there is no other reader.
    pub(super) fn only_consumer(&self, index: usize) -> Option<usize> {
        match self.consumers.get(index)?.as_slice() {
            [Consumer::Node(consumer)] => Some(*consumer),
            _ => None,
        }
    }

    pub(super) fn only_outputs(&self, index: usize) -> bool {
        self.consumers.get(index).is_some_and(|all| all.iter().all(|consumer| *consumer == Consumer::Output))
    }

    /// A tensor with the rows and columns of a node.
    pub(super) fn value(&mut self, node: usize, channels: usize) -> Id<Value> {
        self.program.values.push(Value { node, channels, lanes: self.lanes, home: None })
    }

    pub(super) fn remember(&mut self, node: usize, value: Id<Value>) {
        let channels = self.program.values[value].channels;
        self.slices.insert(node, Slice { value, first_channel: 0, channels, sigmoid: false });
    }

    /// Where a node's result is; a resize that waited is computed on its own now.
    pub(super) fn slice(&mut self, node: usize) -> Option<Slice> {
        if let Some(source) = self.waiting.remove(&node) {
            self.resize_alone(node, source);
        }
        self.slices.get(&node).copied()
    }

    /// A node's result in whole blocks, copied if it does not lie so.
    pub(super) fn piece(&mut self, node: usize) -> Option<Piece> {
        if let Some(piece) = self.copies.get(&node) {
            return Some(*piece);
        }
        let Slice { value, first_channel, channels, .. } = self.slice(node)?;
        let whole = &self.program.values[value];
        let ends = channels % whole.lanes == 0 || first_channel + channels == whole.channels;
        if first_channel % whole.lanes == 0 && ends {
            return Some(Piece { value, first_block: first_channel / whole.lanes, channels });
        }
        let all = Piece { value, first_block: 0, channels: whole.channels };
        let output = self.value(node, channels);
        let kind = Kind::Copy { from: first_channel, to: 0, count: channels };
        self.program.layers.push(Layer { kind, input: Some(all), extra: None, output });
        let piece = Piece { value: output, first_block: 0, channels };
        self.copies.insert(node, piece);
        Some(piece)
    }
}

/// What kernels do themselves; nothing for a sigmoid.
pub(super) fn clamp(activation: Activation) -> Option<Clamp> {
    match activation {
        Activation::Identity => Some(Clamp::None),
        Activation::Relu => Some(Clamp::Relu),
        Activation::Relu6 => Some(Clamp::Relu6),
        Activation::LeakyRelu { slope } => Some(Clamp::Leaky(slope)),
        Activation::Sigmoid => None,
    }
}

/// Whether each channel of the output sees one of the input, in order.
pub(super) fn is_depthwise(conv: &Conv, in_channels: usize) -> bool {
    conv.groups == in_channels && conv.out_channels == in_channels
}
