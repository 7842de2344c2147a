//! What networks are made of, several layers at a time.

use breakwater_convnet::graph::{Activation, Conv, GraphBuilder, NodeId, Padding};

/// A convolution that keeps the size, without activation; its name is given by [`Blocks`].
pub(crate) fn conv(out_channels: usize, kernel: usize) -> Conv {
    Conv {
        name: String::new(),
        out_channels,
        kernel,
        stride: 1,
        padding: Padding::before_after(kernel.saturating_sub(1) / 2, kernel / 2),
        groups: 1,
        activation: Activation::Identity,
    }
}

pub(crate) fn depthwise(channels: usize, kernel: usize) -> Conv {
    Conv { groups: channels, ..conv(channels, kernel) }
}

/// A graph that is being written, with a name for each convolution.
pub(crate) struct Blocks {
    pub(crate) builder: GraphBuilder,
    convolutions: usize,
}

impl Blocks {
    pub(crate) fn new(channels: usize) -> (Self, NodeId) {
        let (builder, input) = GraphBuilder::new("blocks", channels);
        (Self { builder, convolutions: 0 }, input)
    }

    pub(crate) fn conv(&mut self, x: NodeId, conv: Conv) -> NodeId {
        self.convolutions += 1;
        self.builder.conv(x, Conv { name: format!("c{}", self.convolutions), ..conv })
    }

    /// A graph whose outputs are these nodes.
    pub(crate) fn finish(mut self, outputs: &[NodeId]) -> breakwater_convnet::graph::Graph {
        for (number, node) in outputs.iter().enumerate() {
            self.builder.output(format!("y{number}"), *node);
        }
        self.builder.finish()
    }

    /// Pointwise, then depthwise: what YuNet is made of.
    pub(crate) fn pointwise_depthwise(&mut self, x: NodeId, out: usize, depthwise_layer: Conv) -> NodeId {
        let x = self.conv(x, conv(out, 1));
        self.conv(x, Conv { out_channels: out, groups: out, ..depthwise_layer })
    }

    /// More channels, depthwise, fewer channels, and the block's input on top where that fits.
    pub(crate) fn inverted_residual(&mut self, x: NodeId, [channels, expand, out]: [usize; 3], kernel: usize, stride: usize) -> NodeId {
        let wide = self.conv(x, Conv { activation: Activation::Relu6, ..conv(channels * expand, 1) });
        let layer = Conv { stride, activation: Activation::Relu6, ..depthwise(channels * expand, kernel) };
        let wide = self.conv(wide, layer);
        let narrow = self.conv(wide, conv(out, 1));
        if stride == 1 && out == channels { self.builder.add(narrow, x) } else { narrow }
    }

    /// A cross-stage-partial stage: pairs of convolutions whose results are all concatenated, as in NanoDet's backbone.
    pub(crate) fn cross_stage(&mut self, x: NodeId, channels: usize, pairs: usize, stride: usize) -> NodeId {
        let activation = Activation::LeakyRelu { slope: 0.1 };
        let layer = |out: usize| Conv { activation, ..conv(out, 3) };
        let entry = self.conv(x, Conv { stride, ..layer(channels) });
        let mut y = entry;
        for _ in 0..pairs {
            let left = self.conv(y, layer(channels.div_ceil(2)));
            let right = self.conv(left, layer(channels.div_ceil(2)));
            y = self.builder.concat(&[right, left]);
        }
        let last = self.conv(y, layer(channels));
        self.builder.concat(&[last, entry])
    }

    /// A pointwise and a depthwise convolution for each head, all on one feature.
    pub(crate) fn heads(&mut self, feature: NodeId, heads: &[(usize, Activation)]) -> Vec<NodeId> {
        let of = |(channels, activation): &(usize, Activation)| {
            self.pointwise_depthwise(feature, *channels, Conv { activation: *activation, ..depthwise(*channels, 3) })
        };
        heads.iter().map(of).collect()
    }
}
