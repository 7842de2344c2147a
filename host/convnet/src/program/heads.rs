//! Heads on one feature become one: pointwise convolutions with few channels each, every one followed by a depthwise one whose
//! result is an output. Alone each would fill a register with zeros for the most part.

use crate::error::ConvnetError;
use crate::graph::{Activation, Conv, Node, Op};
use crate::kernel::Clamp;
use crate::program::lower::{Lowering, Slice, is_depthwise};

/// A pointwise convolution and the depthwise one after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pointwise: (usize, &'a Conv),
    depthwise: (usize, &'a Conv),
}

/// All heads that can become one with that of node `index`, in order, if it is worth it.
pub(super) fn siblings<'a>(lowering: &Lowering<'a>, index: usize) -> Option<Vec<Head<'a>>> {
    let first = head(lowering, index)?;
    let input = lowering.nodes.get(index)?.inputs.first()?;
    let same = |found: &Head<'a>| {
        let (a, b) = (found.depthwise.1, first.depthwise.1);
        (a.kernel, a.stride, a.padding) == (b.kernel, b.stride, b.padding)
    };
    let readers =
        (index..lowering.nodes.len()).filter(|node| lowering.nodes.get(*node).and_then(|node| node.inputs.first()) == Some(input));
    let heads: Vec<Head<'a>> = readers.filter_map(|node| head(lowering, node)).filter(same).collect();
    let blocks = |channels: usize| channels.div_ceil(lowering.lanes);
    let apart: usize = heads.iter().map(|head| blocks(head.pointwise.1.out_channels)).sum();
    let together = blocks(heads.iter().map(|head| head.pointwise.1.out_channels).sum());
    (together < apart).then_some(heads)
}

fn head<'a>(lowering: &Lowering<'a>, index: usize) -> Option<Head<'a>> {
    let conv_of = |index: usize| match lowering.nodes.get(index) {
        Some(Node { op: Op::Conv(conv), .. }) => Some((index, conv)),
        _ => None,
    };
    let pointwise = conv_of(index)?;
    let depthwise = conv_of(lowering.only_consumer(index)?)?;
    let plain = |conv: &Conv| (conv.kernel, conv.stride, conv.groups, conv.activation) == (1, 1, 1, Activation::Identity);
    let ends = matches!(depthwise.1.activation, Activation::Identity | Activation::Sigmoid);
    let is_head = plain(pointwise.1)
        && is_depthwise(depthwise.1, pointwise.1.out_channels)
        && pointwise.1.out_channels > 0
        && ends
        && lowering.only_outputs(depthwise.0);
    is_head.then_some(Head { pointwise, depthwise })
}

/// One pointwise and one depthwise layer for all of them.
pub(super) fn lower<'a>(lowering: &mut Lowering<'a>, input: usize, heads: &[Head<'a>]) -> Result<(), ConvnetError> {
    let Some(Head { pointwise: (first, _), depthwise: (last, _) }) = heads.first().copied() else { return Ok(()) };
    let pointwise: Vec<&Conv> = heads.iter().map(|head| head.pointwise.1).collect();
    let depthwise: Vec<&Conv> = heads.iter().map(|head| head.depthwise.1).collect();
    let channels = pointwise.iter().map(|conv| conv.out_channels).sum();
    let in_channels = lowering.channels_of(input);
    let mixed = lowering.convolve(first, input, &pointwise, Clamp::None, None, in_channels)?;
    lowering.remember(first, mixed);
    let value = lowering.convolve(last, first, &depthwise, Clamp::None, None, channels)?;
    let mut first_channel = 0;
    for Head { pointwise, depthwise: (node, conv) } in heads {
        let sigmoid = conv.activation == Activation::Sigmoid;
        let channels = conv.out_channels;
        let slice = Slice { value, first_channel, channels, sigmoid };
        lowering.slices.insert(*node, slice);
        lowering.slices.insert(pointwise.0, Slice { value: mixed, sigmoid: false, ..slice });
        first_channel += channels;
    }
    Ok(())
}
