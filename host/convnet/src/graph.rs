//! Networks as typed graphs of layers, independent of whatever executes them.
//!
//! A network is written once, with [`GraphBuilder`]. The [`Executor`](crate::executor::Executor) of this crate runs
//! it on the CPU, another engine may run the same graph elsewhere. Tensors are `[images, channels, rows, columns]`.

pub mod shape;
pub mod weights;

use crate::graph::shape::GraphError;

/// Names a node of one graph; only [`GraphBuilder`] makes one, so that inputs always come before their consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

impl NodeId {
    /// Position of the node in [`Graph::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A function applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` where positive, else `slope · x`.
    LeakyRelu {
        /// Factor for negative values.
        slope: f32,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

/// Rows and columns of zeros put around an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// As many on all four sides.
    #[must_use]
    pub const fn all(count: usize) -> Self {
        Self { top: count, left: count, bottom: count, right: count }
    }

    /// So many above and to the left, and so many below and to the right: what TensorFlow calls `SAME` needs one more there when
    /// an even edge meets a stride of two.
    #[must_use]
    pub const fn before_after(before: usize, after: usize) -> Self {
        Self { top: before, left: before, bottom: after, right: after }
    }
}

/// A convolution whose weights are `NAME.weight` of shape `[out, in / groups, kernel, kernel]` and `NAME.bias` of shape `[out]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Prefix of the names of its tensors.
    pub name: String,
    /// Channels it makes.
    pub out_channels: usize,
    /// Edge of the square kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros put around the input.
    pub padding: Padding,
    /// Groups of channels that do not see each other; equal to the channels for a depthwise convolution.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The batch of images.
    Input {
        /// Channels of an image.
        channels: usize,
    },
    /// A convolution with bias and activation.
    Conv(Conv),
    /// The largest value of each window. Padding never wins.
    MaxPool {
        /// Edge of the square window.
        kernel: usize,
        /// Step in both directions.
        stride: usize,
        /// Rows and columns put around the input.
        padding: usize,
    },
    /// The sum of two tensors of the same shape.
    Add,
    /// The channels of all inputs, one after the other.
    Concat,
    /// Each value repeated `factor` times in both directions.
    UpsampleNearest {
        /// How often.
        factor: usize,
    },
    /// Bilinear sampling to a whole number of rows and columns, at half-pixel centres, edges repeated, without antialiasing: output `i` reads the input at
    /// `(i + 0.5) · denominator / numerator - 0.5`.
    ResizeBilinear {
        /// Output edge in units of the input edge, above the line.
        numerator: usize,
        /// Output edge in units of the input edge, below the line.
        denominator: usize,
    },
    /// The mean of each channel: one row, one column.
    GlobalAveragePool,
    /// Some channels of the input.
    Channels {
        /// The first one.
        start: usize,
        /// How many.
        count: usize,
    },
    /// A function applied to every element.
    Activate(Activation),
}

impl Op {
    /// The function it applies to every element at the end, if it is a layer that has one.
    #[must_use]
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::Conv(conv) => Some(conv.activation),
            Self::Activate(activation) => Some(*activation),
            _ => None,
        }
    }
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// From what.
    pub inputs: Vec<NodeId>,
}

/// A result that callers read by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Such as `cls_8`.
    pub name: String,
    /// Which node it is.
    pub node: NodeId,
}

/// A network without its weights. Nodes are in an order in which they can be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    outputs: Vec<Output>,
}

impl Graph {
    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every layer; a node's inputs come before it.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What callers read, in the order in which engines return it.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Position of an output.
    ///
    /// # Errors
    /// [`GraphError::UnknownOutput`].
    pub fn output(&self, name: &str) -> Result<usize, GraphError> {
        let found = self.outputs.iter().position(|output| output.name == name);
        found.ok_or_else(|| GraphError::UnknownOutput { name: name.to_owned() })
    }

    /// Every convolution.
    pub fn convolutions(&self) -> impl Iterator<Item = &Conv> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        })
    }

    /// For each node, how many nodes and outputs read it; an engine may free a tensor after its last use.
    #[must_use]
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        let reads = self.nodes.iter().flat_map(|node| node.inputs.iter().copied()).chain(self.outputs.iter().map(|output| output.node));
        for NodeId(index) in reads {
            if let Some(count) = uses.get_mut(index) {
                *count += 1;
            }
        }
        uses
    }
}

/// Writes a [`Graph`] layer by layer.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    /// A graph that takes images of so many channels, and its input.
    #[must_use]
    pub fn new(name: &str, channels: usize) -> (Self, NodeId) {
        let graph = Graph { name: name.to_owned(), nodes: Vec::new(), outputs: Vec::new() };
        let mut builder = Self { graph };
        let input = builder.push(Op::Input { channels }, Vec::new());
        (builder, input)
    }

    fn push(&mut self, op: Op, inputs: Vec<NodeId>) -> NodeId {
        self.graph.nodes.push(Node { op, inputs });
        NodeId(self.graph.nodes.len() - 1)
    }

    /// A convolution.
    pub fn conv(&mut self, input: NodeId, conv: Conv) -> NodeId {
        self.push(Op::Conv(conv), vec![input])
    }

    /// Max pooling.
    pub fn max_pool(&mut self, input: NodeId, kernel: usize, stride: usize, padding: usize) -> NodeId {
        self.push(Op::MaxPool { kernel, stride, padding }, vec![input])
    }

    /// A sum.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.push(Op::Add, vec![a, b])
    }

    /// Channels one after the other.
    pub fn concat(&mut self, inputs: &[NodeId]) -> NodeId {
        self.push(Op::Concat, inputs.to_vec())
    }

    /// Nearest-neighbour upsampling.
    pub fn upsample_nearest(&mut self, input: NodeId, factor: usize) -> NodeId {
        self.push(Op::UpsampleNearest { factor }, vec![input])
    }

    /// Bilinear resize to `numerator / denominator` of the input's edges.
    pub fn resize_bilinear(&mut self, input: NodeId, numerator: usize, denominator: usize) -> NodeId {
        self.push(Op::ResizeBilinear { numerator, denominator }, vec![input])
    }

    /// The mean of each channel.
    pub fn global_average_pool(&mut self, input: NodeId) -> NodeId {
        self.push(Op::GlobalAveragePool, vec![input])
    }

    /// Some channels.
    pub fn channels(&mut self, input: NodeId, start: usize, count: usize) -> NodeId {
        self.push(Op::Channels { start, count }, vec![input])
    }

    /// An activation that does not follow a convolution.
    pub fn activate(&mut self, input: NodeId, activation: Activation) -> NodeId {
        self.push(Op::Activate(activation), vec![input])
    }

    /// Names a result.
    pub fn output(&mut self, name: impl Into<String>, node: NodeId) {
        self.graph.outputs.push(Output { name: name.into(), node });
    }

    /// The graph.
    #[must_use]
    pub fn finish(self) -> Graph {
        self.graph
    }
}
