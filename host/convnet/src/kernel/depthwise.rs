//! Convolutions that keep channels apart: one row of output.

use super::Clamp;
use crate::simd::Simd;
use crate::tiles::Tiles;

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

macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident: $widest:literal $(($window:literal, $stride:literal) [$($pixels:literal over $span:literal),*])*) => {
        $(#[$doc])*
        /// # Safety
        /// As [`DepthwiseRow`] says; the machine has `S`.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd>(row: &DepthwiseRow) {
            for block in 0..row.blocks {
                match (row.window, row.stride) {
                    $(($window, $stride) => {
                        let mut tiles = Tiles::new(row.width, $widest);
                        while let Some((x, pixels)) = tiles.advance() {
                            match pixels {
                                // SAFETY: the tile lies in the row; the last number is `(pixels - 1) · stride + window`.
                                $($pixels => unsafe { tile::<S, $window, $stride, $pixels, $span>(row, block, x) },)*
                                _ => {}
                            }
                        }
                    })*
                    _ => {
                        for x in 0..row.width {
                            // SAFETY: the pixel lies in the row.
                            unsafe { any::<S>(row, block, x) };
                        }
                    }
                }
            }
        }
    };
}

dispatch! {
    /// For 32 registers.
    wide: 8
    (3, 1) [1 over 3, 2 over 4, 3 over 5, 4 over 6, 5 over 7, 6 over 8, 7 over 9, 8 over 10]
    (3, 2) [1 over 3, 2 over 5, 3 over 7, 4 over 9, 5 over 11, 6 over 13, 7 over 15, 8 over 17]
    (5, 1) [1 over 5, 2 over 6, 3 over 7, 4 over 8, 5 over 9, 6 over 10, 7 over 11, 8 over 12]
    (5, 2) [1 over 5, 2 over 7, 3 over 9, 4 over 11, 5 over 13, 6 over 15, 7 over 17, 8 over 19]
}

dispatch! {
    /// For 16 registers.
    narrow: 6
    (3, 1) [1 over 3, 2 over 4, 3 over 5, 4 over 6, 5 over 7, 6 over 8]
    (3, 2) [1 over 3, 2 over 5, 3 over 7, 4 over 9, 5 over 11, 6 over 13]
    (5, 1) [1 over 5, 2 over 6, 3 over 7, 4 over 8, 5 over 9, 6 over 10]
    (5, 2) [1 over 5, 2 over 7, 3 over 9, 4 over 11, 5 over 13, 6 over 15]
}

/// Some pixels of one block, with a window and stride known when this is compiled. As many sums grow at once as the multipliers
/// take to finish one.
///
/// # Safety
/// As [`DepthwiseRow`] says; `x + PIXELS <= width`, `SPAN` is `(PIXELS - 1) · STRIDE + WINDOW`, and the machine has `S`.
#[inline(always)]
unsafe fn tile<S: Simd, const WINDOW: usize, const STRIDE: usize, const PIXELS: usize, const SPAN: usize>(
    row: &DepthwiseRow,
    block: usize,
    x: usize,
) {
    // SAFETY: every address is one that the documentation of `DepthwiseRow` lists.
    unsafe {
        let weights = row.weights.add(block * WINDOW * WINDOW * S::LANES);
        let bias = S::load(row.bias.add(block * S::LANES));
        let mut sums = [[bias]; PIXELS];
        for line in 0..WINDOW {
            let input = (*row.rows.add(line)).add(block * row.block_stride + x * STRIDE * S::LANES);
            let mut values = [bias; SPAN];
            for index in 0..SPAN {
                values[index] = S::load(input.add(index * S::LANES));
            }
            for column in 0..WINDOW {
                let weight = S::load(weights.add((line * WINDOW + column) * S::LANES));
                for pixel in 0..PIXELS {
                    sums[pixel][0] = S::fma(values[pixel * STRIDE + column], weight, sums[pixel][0]);
                }
            }
        }
        row.clamp.apply::<S, 1, PIXELS>(&mut sums);
        let out = row.out.add(block * row.out_stride + x * S::LANES);
        for pixel in 0..PIXELS {
            S::store(out.add(pixel * S::LANES), sums[pixel][0]);
        }
    }
}

/// One pixel of one block with any window.
///
/// # Safety
/// As [`DepthwiseRow`] says; the machine has `S`.
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
