//! Which convolutions are worth transforming, and their transformed weights.

use crate::graph::Conv;
use crate::graph::shape::Shape;
use crate::kernel::Clamp;
use crate::kernel::winograd::transform_filter;
use crate::memory::Memory;
use crate::program::pack::Filters;
use crate::program::{Window, Winograd, panel_of, panels_of};

/// Bytes of weights that come from the third-level cache in the time of one multiplication of registers.
const BYTES_PER_CYCLE: usize = 4;

/// The edge of the tile that makes a convolution cheapest, nothing if that is none. `output` is its usual output.
///
/// What counts is multiplications of registers: those of the products for every tile, begun ones too, those of the transforms
/// (each about as much as the registers it reads and writes), and the time that the larger weights take to arrive.
pub(super) fn tile(conv: &Conv, in_channels: usize, output: Shape, lanes: usize) -> Option<usize> {
    const LEAST_CHANNELS: usize = 16;
    let is_plain = conv.kernel == 3 && conv.stride == 1 && conv.groups == 1;
    if !is_plain || in_channels < LEAST_CHANNELS || conv.out_channels < LEAST_CHANNELS {
        return None;
    }
    let (ins, outs) = (in_channels.div_ceil(lanes), conv.out_channels.div_ceil(lanes));
    let direct = 9 * in_channels * outs * output.height * output.width;
    let cost = |tile: usize| {
        let tiles = output.height.div_ceil(tile) * output.width.div_ceil(tile);
        let positions = (tile + 2) * (tile + 2);
        let products = positions * in_channels * outs * tiles;
        let transforms = 4 * positions * tiles * (ins + outs);
        let weights = positions * in_channels * outs * lanes * size_of::<f32>() / BYTES_PER_CYCLE;
        products + transforms + weights
    };
    let best = [2, 4].into_iter().min_by_key(|tile| cost(*tile))?;
    // A tenth less is not worth the memory.
    (cost(best) * 10 < direct * 9).then_some(best)
}

/// For each position of the transformed window what `pack::dense` makes of a pointwise convolution.
pub(super) fn pack(filters: &Filters<'_>, window: Window, clamp: Clamp, tile: usize, lanes: usize) -> Winograd {
    let in_channels = filters.in_channels;
    let out_blocks = filters.out_channels().div_ceil(lanes);
    let panels = panels_of(out_blocks, in_channels, lanes);
    let positions = (tile + 2) * (tile + 2);
    let position_stride = out_blocks * in_channels * lanes;
    let mut weights = Memory::zeros(positions * position_stride);
    let packed = weights.as_mut_slice();
    for (conv, weight, _) in &filters.convs {
        let channels = weight.values.as_chunks::<9>().0.chunks_exact(in_channels.max(1)).take(conv.out_channels);
        for (out, filters) in channels.enumerate() {
            let (block, lane) = (out / lanes, out % lanes);
            let Some(panel) = panel_of(&panels, block) else {
                continue;
            };
            for (input, filter) in filters.iter().enumerate() {
                let [a, b, c, d, e, f, g, h, i] = *filter;
                let at = panel.weights + (input * panel.blocks + block - panel.first_block) * lanes + lane;
                for (position, value) in transform_filter(tile, [[a, b, c], [d, e, f], [g, h, i]]).into_iter().enumerate() {
                    if let Some(to) = packed.get_mut(position * position_stride + at) {
                        *to = value;
                    }
                }
            }
        }
    }
    let last_length = in_channels - (in_channels.div_ceil(lanes) - 1) * lanes;
    let zeros = Memory::zeros(out_blocks * lanes);
    Winograd { window, clamp, tile, last_length, panels, position_stride, weights, bias: filters.biases(lanes), zeros }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Padding};

    fn conv(out_channels: usize, kernel: usize, stride: usize, groups: usize) -> Conv {
        Conv { name: "c".into(), out_channels, kernel, stride, padding: Padding::all(1), groups, activation: Activation::Identity }
    }

    #[test]
    fn large_images_get_large_tiles_and_what_cannot_gain_gets_none() {
        let of = |conv: &Conv, ins, edge| tile(conv, ins, Shape::new(1, conv.out_channels, edge, edge), 16);
        assert_eq!(of(&conv(64, 3, 1, 1), 64, 52), Some(4));
        assert_eq!(of(&conv(256, 3, 1, 1), 256, 13), Some(2));
        assert_eq!(of(&conv(256, 3, 1, 1), 256, 2), None, "weights would take longer to arrive");
        assert_eq!(of(&conv(64, 3, 2, 1), 64, 52), None);
        assert_eq!(of(&conv(64, 1, 1, 1), 64, 52), None);
        assert_eq!(of(&conv(64, 3, 1, 2), 64, 52), None);
        assert_eq!(of(&conv(64, 3, 1, 1), 3, 52), None);
    }
}
