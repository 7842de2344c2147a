//! Concatenation: layers write their channels where the whole wants them, when that is possible.

use crate::graph::Node;
use crate::program::lower::Lowering;
use crate::program::{Kind, Layer, Piece};

/// Gives each input its place in the whole. An input is written there directly when it is a tensor of its own that begins at a
/// block; otherwise it is copied.
pub(super) fn lower(lowering: &mut Lowering<'_>, index: usize, node: &Node) {
    let whole = lowering.value(index, lowering.channels_of(index));
    let lanes = lowering.lanes;
    let mut first_channel = 0;
    let aligned = node.inputs.iter().rev().skip(1).all(|id| lowering.channels_of(id.index()).is_multiple_of(lanes));
    for id in &node.inputs {
        let channels = lowering.channels_of(id.index());
        let Some(piece) = lowering.piece(id.index()) else { continue };
        let value = &lowering.program.values[piece.value];
        let is_tensor = value.home.is_none() && value.channels == channels && value.lanes == lanes && piece.first_block == 0;
        let holds_others = lowering.program.values.iter().any(|(_, other)| other.home.is_some_and(|(home, _)| home == piece.value));
        let is_input = value.node == 0;
        if aligned && is_tensor && !holds_others && !is_input {
            lowering.program.values[piece.value].home = Some((whole, first_channel / lanes));
        } else {
            let kind = Kind::Copy { from: piece.first_block * lanes, to: first_channel, count: channels };
            let all = Piece { value: piece.value, first_block: 0, channels: lowering.program.values[piece.value].channels };
            lowering.program.layers.push(Layer { kind, input: Some(all), extra: None, output: whole });
        }
        first_channel += channels;
    }
    lowering.remember(index, whole);
}
