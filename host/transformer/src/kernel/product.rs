//! Products of matrices: some rows times one panel of columns.
//!
//! The sums of a tile (a few rows of two registers) stay in registers over the whole depth. For each value of the depth the loop
//! reads the panel's two registers once and broadcasts the value of every row: with 14 rows that is 28 multiplications for 16
//! reads, so that the multipliers are never idle.

use breakwater_convnet::simd::Simd;
use breakwater_convnet::tiles::Tiles;

use super::PANEL;
use super::activation::{self, Function};

/// `out = function(rows · weights + bias + start)`.
///
/// - `rows` holds `count` rows of `depth` values, `stride` apart.
/// - `weights` holds, for each of the `depth`, the columns of a panel.
/// - `bias`, unless null, holds the columns of a panel.
/// - `out` holds `count` rows of a panel's columns, `out_stride` apart, and overlaps none of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) rows: *const f32,
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) depth: usize,
    pub(crate) weights: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    /// Whether sums start from what is in `out`.
    pub(crate) accumulate: bool,
    pub(crate) function: Function,
    /// What is read next, to be brought near meanwhile; need not be good for anything.
    pub(crate) ahead: *const u8,
    /// Bytes of it.
    pub(crate) ahead_bytes: usize,
}

macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident: $tallest:literal [$($rows:literal)*]) => {
        $(#[$doc])*
        /// # Safety
        /// As [`Product`] says; the machine has `S`.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd>(product: &Product) {
            let mut tiles = Tiles::new(product.count, $tallest);
            // Every tile fetches its share of what comes next.
            let number = product.count.div_ceil($tallest).max(1);
            let step = product.ahead_bytes / (number * product.depth).max(1);
            let mut ahead = product.ahead;
            while let Some((row, rows)) = tiles.advance() {
                // No closures: they would be compiled without the instructions of the function they are in.
                match rows {
                    // SAFETY: the rows of the tile are among those of the product.
                    $($rows => unsafe { tile::<S, $rows>(product, row, ahead, step) },)*
                    _ => {}
                }
                ahead = ahead.wrapping_add(step * product.depth);
            }
            // SAFETY: the rows of a panel's columns that were just written.
            unsafe { activation::apply::<S>(product.function, product.out, product.out_stride, product.count) };
        }
    };
}

dispatch! {
    /// For 32 registers.
    tall: 14 [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
}

dispatch! {
    /// For 16 registers.
    low: 6 [1 2 3 4 5 6]
}

/// # Safety
/// As [`Product`] says, `row + ROWS <= count`, and the machine has `S`.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize>(product: &Product, row: usize, mut ahead: *const u8, step: usize) {
    // SAFETY: every address is one that the documentation of `Product` lists; fetching ahead touches nothing.
    unsafe {
        let out = product.out.add(row * product.out_stride);
        let mut sums = [[S::splat(0.0); PANEL]; ROWS];
        if !product.bias.is_null() {
            for p in 0..PANEL {
                let bias = S::load(product.bias.add(p * S::LANES));
                for sum in &mut sums {
                    sum[p] = bias;
                }
            }
        }
        if product.accumulate {
            for r in 0..ROWS {
                for p in 0..PANEL {
                    sums[r][p] = S::add(sums[r][p], S::load(out.add(r * product.out_stride + p * S::LANES)));
                }
            }
        }
        let (mut weights, mut input) = (product.weights, product.rows.add(row * product.stride));
        for _ in 0..product.depth {
            S::prefetch(ahead);
            ahead = ahead.wrapping_add(step);
            let mut weight = [S::splat(0.0); PANEL];
            for p in 0..PANEL {
                weight[p] = S::load(weights.add(p * S::LANES));
            }
            weights = weights.add(PANEL * S::LANES);
            for r in 0..ROWS {
                let value = S::splat(*input.add(r * product.stride));
                for p in 0..PANEL {
                    sums[r][p] = S::fma(value, weight[p], sums[r][p]);
                }
            }
            input = input.add(1);
        }
        for r in 0..ROWS {
            for p in 0..PANEL {
                S::store(out.add(r * product.out_stride + p * S::LANES), sums[r][p]);
            }
        }
    }
}
