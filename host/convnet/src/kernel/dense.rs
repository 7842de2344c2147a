//! Convolutions that mix channels: one row of output for one panel of output channels.
//!
//! The sums of a tile (a few pixels of a few registers of channels) stay in registers over the whole kernel window. For each
//! input value the loop reads the panel's weights once and broadcasts the value of every pixel: with 2 registers of 12 pixels
//! that is 24 multiplications for 14 reads, so that the multipliers are never idle.

use super::Clamp;
use crate::simd::Simd;
use crate::tiles::Tiles;

/// The arguments of a row. With `S` the registers in use:
/// - `rows` holds `window` pointers, each to `blocks` runs of values, `block_stride` apart; a run is good for
///   `(width - 1) · step + length` values (`last_length` for the last block).
/// - `weights` holds `panel` registers for each of these values, in the same order; `bias` holds `panel` registers.
/// - `out`, and `residual` unless null, hold `panel` runs of `width` registers, `out_stride` and `residual_stride` apart. `out`
///   overlaps none of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseRow {
    pub(crate) rows: *const *const f32,
    pub(crate) window: usize,
    pub(crate) blocks: usize,
    pub(crate) block_stride: usize,
    pub(crate) length: usize,
    pub(crate) last_length: usize,
    /// Values between one output pixel's input and the next one's.
    pub(crate) step: usize,
    pub(crate) weights: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) panel: usize,
    pub(crate) residual: *const f32,
    pub(crate) residual_stride: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// The widest panel, in registers.
pub(crate) const MAX_PANEL: usize = 3;

/// How the registers of output channels are divided into panels: pairs, and one of three if their number is odd.
pub(crate) fn panels(blocks: usize) -> Vec<usize> {
    match blocks {
        0 => Vec::new(),
        1 => vec![1],
        odd if odd % 2 == 1 => std::iter::once(MAX_PANEL).chain(std::iter::repeat_n(2, (odd - MAX_PANEL) / 2)).collect(),
        even => vec![2; even / 2],
    }
}

macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident: $($panel:literal => $widest:literal [$($pixels:literal)*])*) => {
        $(#[$doc])*
        /// # Safety
        /// As [`DenseRow`] says; the machine has `S`.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd>(row: &DenseRow) {
            let unit = row.step == S::LANES;
            match (row.panel, unit) {
                $(
                    // No closures: they would be compiled without the instructions of the function they are in.
                    ($panel, true) => {
                        let mut tiles = Tiles::new(row.width, $widest);
                        while let Some((x, pixels)) = tiles.advance() {
                            match pixels {
                                // SAFETY: the tile lies in the row.
                                $($pixels => unsafe { tile::<S, $panel, $pixels, true>(row, x) },)*
                                _ => {}
                            }
                        }
                    }
                    ($panel, false) => {
                        let mut tiles = Tiles::new(row.width, $widest);
                        while let Some((x, pixels)) = tiles.advance() {
                            match pixels {
                                // SAFETY: the tile lies in the row.
                                $($pixels => unsafe { tile::<S, $panel, $pixels, false>(row, x) },)*
                                _ => {}
                            }
                        }
                    }
                )*
                _ => {}
            }
        }
    };
}

dispatch! {
    /// For 32 registers.
    wide:
    1 => 16 [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]
    2 => 12 [1 2 3 4 5 6 7 8 9 10 11 12]
    3 => 8 [1 2 3 4 5 6 7 8]
}

dispatch! {
    /// For 16 registers.
    narrow:
    1 => 10 [1 2 3 4 5 6 7 8 9 10]
    2 => 6 [1 2 3 4 5 6]
    3 => 4 [1 2 3 4]
}

/// # Safety
/// As [`DenseRow`] says, `x + PIXELS <= width`, `PANEL == panel`, and the machine has `S`.
#[inline(always)]
unsafe fn tile<S: Simd, const PANEL: usize, const PIXELS: usize, const UNIT: bool>(row: &DenseRow, x: usize) {
    // SAFETY: every address is one that the documentation of `DenseRow` lists.
    unsafe {
        let step = if UNIT { S::LANES } else { row.step };
        let mut sums = [[S::splat(0.0); PANEL]; PIXELS];
        for panel in 0..PANEL {
            let bias = S::load(row.bias.add(panel * S::LANES));
            for sum in &mut sums {
                sum[panel] = bias;
            }
        }
        let mut weights = row.weights;
        for line in 0..row.window {
            let mut input = (*row.rows.add(line)).add(x * step);
            for block in 0..row.blocks {
                let length = if block + 1 == row.blocks { row.last_length } else { row.length };
                for k in 0..length {
                    let mut weight = [S::splat(0.0); PANEL];
                    for panel in 0..PANEL {
                        weight[panel] = S::load(weights.add(panel * S::LANES));
                    }
                    weights = weights.add(PANEL * S::LANES);
                    for pixel in 0..PIXELS {
                        let value = S::splat(*input.add(pixel * step + k));
                        for panel in 0..PANEL {
                            sums[pixel][panel] = S::fma(value, weight[panel], sums[pixel][panel]);
                        }
                    }
                }
                input = input.add(row.block_stride);
            }
        }
        let at = x * S::LANES;
        if !row.residual.is_null() {
            for panel in 0..PANEL {
                let residual = row.residual.add(panel * row.residual_stride + at);
                for pixel in 0..PIXELS {
                    sums[pixel][panel] = S::add(sums[pixel][panel], S::load(residual.add(pixel * S::LANES)));
                }
            }
        }
        row.clamp.apply::<S, PANEL, PIXELS>(&mut sums);
        for panel in 0..PANEL {
            let out = row.out.add(panel * row.out_stride + at);
            for pixel in 0..PIXELS {
                S::store(out.add(pixel * S::LANES), sums[pixel][panel]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_cover_every_block_and_only_a_lone_one_is_narrow() {
        for blocks in 0..40 {
            let panels = panels(blocks);
            assert_eq!(panels.iter().sum::<usize>(), blocks);
            assert!(blocks == 1 || panels.iter().all(|panel| (2..=MAX_PANEL).contains(panel)));
        }
    }
}
