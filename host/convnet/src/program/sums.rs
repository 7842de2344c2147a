//! Additions: part of the convolution before them where that is possible, together with a resize or a clamp where it is not.

use crate::graph::{Activation, Conv, Node, Op};
use crate::kernel::Clamp;
use crate::program::lower::{Lowering, clamp, is_depthwise};
use crate::program::{Kind, Layer};

impl Lowering<'_> {
    /// The addition that only this convolution and something computed before it go into, and that something.
    pub(super) fn residual_after(&self, index: usize, conv: &Conv, in_channels: usize) -> Option<(usize, usize)> {
        if conv.activation != Activation::Identity || is_depthwise(conv, in_channels) {
            return None;
        }
        let adder = self.only_consumer(index)?;
        let Node { op: Op::Add, inputs } = self.nodes.get(adder)? else { return None };
        let other = inputs.iter().map(|id| id.index()).find(|other| *other != index)?;
        (other < index).then_some((adder, other))
    }

    /// The activation that alone reads a node, as a clamp, and its node; the node itself and no clamp otherwise.
    pub(super) fn activation_after(&self, index: usize) -> (usize, Clamp) {
        let next = self.only_consumer(index).and_then(|next| Some((next, self.nodes.get(next)?)));
        match next {
            Some((next, Node { op: Op::Activate(activation), .. })) => {
                clamp(*activation).map_or((index, Clamp::None), |clamp| (next, clamp))
            }
            _ => (index, Clamp::None),
        }
    }

    /// An addition, together with the resize that waits for it and the clamp that follows.
    pub(super) fn add(&mut self, index: usize, node: &Node) {
        let [a, b] = node.inputs.as_slice() else { return };
        let (a, b) = (a.index(), b.index());
        let (last, clamp) = self.activation_after(index);
        let (straight, resized) = if self.waiting.contains_key(&b) { (a, b) } else { (b, a) };
        let kind = match (self.waiting.remove(&resized), self.nodes.get(resized).map(|node| &node.op)) {
            (Some(source), Some(Op::UpsampleNearest { factor })) => Some((source, Kind::Add { repeat: *factor, clamp })),
            (Some(source), Some(Op::ResizeBilinear { numerator, denominator })) => {
                Some((source, Kind::Resize { numerator: *numerator, denominator: *denominator, clamp }))
            }
            _ => None,
        };
        let (straight, source, kind) = match kind {
            Some((source, kind)) => (straight, source, kind),
            None => (a, b, Kind::Add { repeat: 1, clamp }),
        };
        let (input, extra) = (self.piece(straight), self.piece(source));
        let output = self.value(last, self.channels_of(index));
        self.program.layers.push(Layer { kind, input, extra, output });
        for node in [index, last] {
            self.remember(node, output);
        }
    }

    /// A resize that nothing is added to.
    pub(super) fn resize_alone(&mut self, index: usize, source: usize) {
        let kind = match self.nodes.get(index).map(|node| &node.op) {
            Some(Op::UpsampleNearest { factor }) => Kind::Nearest { factor: *factor },
            Some(Op::ResizeBilinear { numerator, denominator }) => {
                Kind::Resize { numerator: *numerator, denominator: *denominator, clamp: Clamp::None }
            }
            _ => return,
        };
        self.simple(index, source, kind);
    }
}
