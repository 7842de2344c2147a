//! Convolutions that keep channels apart: one row of output.

use super::Clamp;
use crate::simd::Simd;

/// The arguments of a row. With `S` the registers in use:
/// - `rows` holds `window` pointers, each to `blocks` runs, `block_stride` values apart; a run is good for
///   `(width - 1) · stride + window` registers.
/// - `weights` holds `window²` registers per block, row by row; `bias` holds one register per block.
/// - `out` holds `blocks` runs of `width` registers, `out_stride` values apart, and overlaps none of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DepthwiseRow {
    pub(crate) rows: *const *const f32,
    pub(crate) window: usize,
    pub(crate) stride: usize,
    pub(crate) blocks: usize,
    pub(crate) block_stride: usize,
    pub(crate) weights: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// Pixels of a tile.
const PIXELS: usize = 4;

/// # Safety
/// As [`DepthwiseRow`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(row: &DepthwiseRow) {
    // SAFETY: handed on. `SPAN` is `(PIXELS - 1) · stride + window`.
    unsafe {
        match (row.window, row.stride) {
            (3, 1) => blocks::<S, 3, 1, 6>(row),
            (3, 2) => blocks::<S, 3, 2, 9>(row),
            (5, 1) => blocks::<S, 5, 1, 8>(row),
            (5, 2) => blocks::<S, 5, 2, 11>(row),
            _ => {
                for block in 0..row.blocks {
                    for x in 0..row.width {
                        any::<S>(row, block, x);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`row`], for a window and stride known when this is compiled.
#[inline(always)]
unsafe fn blocks<S: Simd, const WINDOW: usize, const STRIDE: usize, const SPAN: usize>(row: &DepthwiseRow) {
    // SAFETY: every address is one that the documentation of `DepthwiseRow` lists.
    unsafe {
        for block in 0..row.blocks {
            let weights = row.weights.add(block * WINDOW * WINDOW * S::LANES);
            let bias = S::load(row.bias.add(block * S::LANES));
            let out = row.out.add(block * row.out_stride);
            let mut x = 0;
            while x + PIXELS <= row.width {
                let mut sums = [[bias]; PIXELS];
                for line in 0..WINDOW {
                    let input = (*row.rows.add(line)).add(block * row.block_stride + x * STRIDE * S::LANES);
                    let mut values = [bias; SPAN];
                    for (index, value) in values.iter_mut().enumerate() {
                        *value = S::load(input.add(index * S::LANES));
                    }
                    for column in 0..WINDOW {
                        let weight = S::load(weights.add((line * WINDOW + column) * S::LANES));
                        for pixel in 0..PIXELS {
                            sums[pixel][0] = S::fma(values[pixel * STRIDE + column], weight, sums[pixel][0]);
                        }
                    }
                }
                row.clamp.apply::<S, 1, PIXELS>(&mut sums);
                for pixel in 0..PIXELS {
                    S::store(out.add((x + pixel) * S::LANES), sums[pixel][0]);
                }
                x += PIXELS;
            }
            while x < row.width {
                any::<S>(row, block, x);
                x += 1;
            }
        }
    }
}

/// One pixel of one block with any window.
///
/// # Safety
/// As [`row`].
#[inline(always)]
unsafe fn any<S: Simd>(row: &DepthwiseRow, block: usize, x: usize) {
    // SAFETY: every address is one that the documentation of `DepthwiseRow` lists.
    unsafe {
        let mut weights = row.weights.add(block * row.window * row.window * S::LANES);
        let mut sums = [[S::load(row.bias.add(block * S::LANES))]];
        for line in 0..row.window {
            let input = (*row.rows.add(line)).add(block * row.block_stride + x * row.stride * S::LANES);
            for column in 0..row.window {
                sums[0][0] = S::fma(S::load(input.add(column * S::LANES)), S::load(weights), sums[0][0]);
                weights = weights.add(S::LANES);
            }
        }
        row.clamp.apply::<S, 1, 1>(&mut sums);
        S::store(row.out.add(block * row.out_stride + x * S::LANES), sums[0][0]);
    }
}
