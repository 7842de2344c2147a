//! Winograd's transforms for 3x3 convolutions of stride 1.
//!
//! A tile of `M x M` outputs comes from `N x N` inputs, `N = M + 2`. Both are transformed (`Bᵀ d B`, `Aᵀ m A`) so that between
//! them stand `N²` independent products of channels instead of `9 M²`: 16 for 36 with `M = 2`, 36 for 144 with `M = 4`. The
//! products are matrix multiplications, done by `dense`. Matrices from Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks" (2015).

use super::Clamp;
use crate::simd::Simd;

/// Outputs along a tile's edge, at most.
pub(crate) const MAX_TILE: usize = 4;

/// A row of tiles into transformed inputs. With `S` the registers in use:
/// - `rows` holds `tile + 2` pointers, each to `blocks` runs of `tiles · tile + 2` registers, `block_stride` values apart.
/// - `out` is good for `(tile + 2)²` planes, `plane_stride` apart, of `blocks` runs of `tiles` registers, `out_stride` apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputTiles {
    pub(crate) tile: usize,
    pub(crate) rows: *const *const f32,
    pub(crate) blocks: usize,
    pub(crate) block_stride: usize,
    pub(crate) tiles: usize,
    pub(crate) out: *mut f32,
    pub(crate) plane_stride: usize,
    pub(crate) out_stride: usize,
}

/// A row of tiles of transformed outputs into rows. With `S` the registers in use:
/// - `from` is good for `(tile + 2)²` planes of `blocks` runs of `tiles` registers, as in [`InputTiles`].
/// - `out` and `residual` hold `tile` pointers, each null or good for `blocks` runs of `width` registers; `tiles · tile` is not
///   less than `width`. `residual` is null as a whole if there is none. `bias` holds a register per block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputTiles {
    pub(crate) tile: usize,
    pub(crate) from: *const f32,
    pub(crate) plane_stride: usize,
    pub(crate) from_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) tiles: usize,
    pub(crate) bias: *const f32,
    pub(crate) out: [*mut f32; MAX_TILE],
    pub(crate) out_stride: usize,
    pub(crate) residual: [*const f32; MAX_TILE],
    pub(crate) residual_stride: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// # Safety
/// As [`InputTiles`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn input<S: Simd>(tiles: &InputTiles) {
    // SAFETY: handed on.
    unsafe {
        match tiles.tile {
            2 => transform_input::<S, 2, 4>(tiles),
            _ => transform_input::<S, 4, 6>(tiles),
        }
    }
}

/// # Safety
/// As [`OutputTiles`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn output<S: Simd>(tiles: &OutputTiles) {
    // SAFETY: handed on.
    unsafe {
        match tiles.tile {
            2 => transform_output::<S, 2, 4>(tiles),
            _ => transform_output::<S, 4, 6>(tiles),
        }
    }
}

/// # Safety
/// As [`InputTiles`] says; the machine has `S`.
#[inline(always)]
unsafe fn transform_input<S: Simd, const M: usize, const N: usize>(tiles: &InputTiles) {
    // SAFETY: every address is one that the documentation of `InputTiles` lists.
    unsafe {
        let zero = S::splat(0.0);
        for block in 0..tiles.blocks {
            for tile in 0..tiles.tiles {
                let mut columns = [[zero; N]; N];
                for column in 0..N {
                    let at = block * tiles.block_stride + (tile * M + column) * S::LANES;
                    let mut values = [zero; N];
                    for line in 0..N {
                        values[line] = S::load((*tiles.rows.add(line)).add(at));
                    }
                    columns[column] = across_input::<S, N>(values);
                }
                let out = tiles.out.add(block * tiles.out_stride + tile * S::LANES);
                for line in 0..N {
                    let mut values = [zero; N];
                    for column in 0..N {
                        values[column] = columns[column][line];
                    }
                    let values = across_input::<S, N>(values);
                    for column in 0..N {
                        S::store(out.add((line * N + column) * tiles.plane_stride), values[column]);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`OutputTiles`] says; the machine has `S`.
#[inline(always)]
unsafe fn transform_output<S: Simd, const M: usize, const N: usize>(tiles: &OutputTiles) {
    // SAFETY: every address is one that the documentation of `OutputTiles` lists; columns beyond the width are left out.
    unsafe {
        let zero = S::splat(0.0);
        for block in 0..tiles.blocks {
            let bias = S::load(tiles.bias.add(block * S::LANES));
            for tile in 0..tiles.tiles {
                let from = tiles.from.add(block * tiles.from_stride + tile * S::LANES);
                let mut lines = [[zero; M]; N];
                for line in 0..N {
                    let mut values = [zero; N];
                    for column in 0..N {
                        values[column] = S::load(from.add((line * N + column) * tiles.plane_stride));
                    }
                    lines[line] = across_output::<S, M, N>(values);
                }
                for column in 0..M {
                    let x = tile * M + column;
                    if x >= tiles.width {
                        break;
                    }
                    let mut values = [zero; N];
                    for line in 0..N {
                        values[line] = lines[line][column];
                    }
                    let values = across_output::<S, M, N>(values);
                    for line in 0..M {
                        if tiles.out[line].is_null() {
                            continue;
                        }
                        let mut sum = [[S::add(values[line], bias)]];
                        if !tiles.residual[line].is_null() {
                            sum[0][0] = S::add(sum[0][0], S::load(tiles.residual[line].add(block * tiles.residual_stride + x * S::LANES)));
                        }
                        tiles.clamp.apply::<S, 1, 1>(&mut sum);
                        S::store(tiles.out[line].add(block * tiles.out_stride + x * S::LANES), sum[0][0]);
                    }
                }
            }
        }
    }
}

/// `Bᵀ v`.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
unsafe fn across_input<S: Simd, const N: usize>(v: [S::V; N]) -> [S::V; N] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let mut to = v;
        if N == 4 {
            to[0] = S::sub(v[0], v[2]);
            to[1] = S::add(v[1], v[2]);
            to[2] = S::sub(v[2], v[1]);
            to[3] = S::sub(v[1], v[3]);
        } else {
            let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(-5.0));
            let minus_four = S::splat(-4.0);
            let (a, b) = (S::fma(minus_four, v[2], v[4]), S::fma(minus_four, v[1], v[3]));
            let (c, d) = (S::sub(v[4], v[2]), S::mul(two, S::sub(v[3], v[1])));
            to[0] = S::fma(four, v[0], S::fma(five, v[2], v[4]));
            to[1] = S::add(a, b);
            to[2] = S::sub(a, b);
            to[3] = S::add(c, d);
            to[4] = S::sub(c, d);
            to[5] = S::fma(four, v[1], S::fma(five, v[3], v[5]));
        }
        to
    }
}

/// `Aᵀ v`.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
unsafe fn across_output<S: Simd, const M: usize, const N: usize>(v: [S::V; N]) -> [S::V; M] {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let mut to = [v[0]; M];
        if N == 4 {
            to[0] = S::add(v[0], S::add(v[1], v[2]));
            to[1] = S::sub(S::sub(v[1], v[2]), v[3]);
        } else {
            let (a, b, c, d) = (S::add(v[1], v[2]), S::sub(v[1], v[2]), S::add(v[3], v[4]), S::sub(v[3], v[4]));
            to[0] = S::add(v[0], S::add(a, c));
            to[1] = S::fma(S::splat(2.0), d, b);
            to[2] = S::fma(S::splat(4.0), c, a);
            to[3] = S::add(S::fma(S::splat(8.0), d, b), v[5]);
        }
        to
    }
}

/// The most positions of a transformed window.
pub(crate) const MAX_POSITIONS: usize = (MAX_TILE + 2) * (MAX_TILE + 2);

/// `G g Gᵀ` of a 3x3 filter, row by row; with a tile of 2 the first 16 values are it.
pub(crate) fn transform_filter(tile: usize, filter: [[f32; 3]; 3]) -> [f32; MAX_POSITIONS] {
    const TWO: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
    const FOUR: [[f64; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let filter = filter.map(|row| row.map(f64::from));
    if tile == 2 { both_sides(&TWO, filter) } else { both_sides(&FOUR, filter) }
}

fn both_sides<const N: usize>(matrix: &[[f64; 3]; N], filter: [[f64; 3]; 3]) -> [f32; MAX_POSITIONS] {
    let mut to = [0.0; MAX_POSITIONS];
    let mut next = to.iter_mut();
    let dot = |[a, b, c]: [f64; 3], [x, y, z]: [f64; 3]| a * x + b * y + c * z;
    for row in matrix {
        let [a, b, c] = [0, 1, 2].map(|column| dot(*row, [filter[0][column], filter[1][column], filter[2][column]]));
        for column in matrix {
            if let Some(value) = next.next() {
                *value = dot(*column, [a, b, c]) as f32;
            }
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    /// One tile of one channel, through all transforms, against the sum over the window.
    fn check<const M: usize, const N: usize>() {
        let input: [[f32; N]; N] = std::array::from_fn(|y| std::array::from_fn(|x| ((y * 7 + x * 5) % 11) as f32 - 4.0));
        let filter: [[f32; 3]; 3] = std::array::from_fn(|y| std::array::from_fn(|x| ((y * 3 + x) % 4) as f32 - 1.5));
        let weights = transform_filter(M, filter);
        let splat = |value: f32| [value; 4];
        // SAFETY: every machine has plain Rust.
        let columns: [[[f32; 4]; N]; N] =
            std::array::from_fn(|x| unsafe { across_input::<Portable, N>(std::array::from_fn(|y| splat(input[y][x]))) });
        let lines: [[[f32; 4]; M]; N] = std::array::from_fn(|y| {
            // SAFETY: as above.
            let transformed = unsafe { across_input::<Portable, N>(std::array::from_fn(|x| columns[x][y])) };
            let products = std::array::from_fn(|x| transformed[x].map(|value| value * weights[y * N + x]));
            // SAFETY: as above.
            unsafe { across_output::<Portable, M, N>(products) }
        });
        for x in 0..M {
            // SAFETY: as above.
            let found = unsafe { across_output::<Portable, M, N>(std::array::from_fn(|y| lines[y][x])) };
            for (y, found) in found.iter().enumerate() {
                let expected: f32 = (0..9).map(|k| input[y + k / 3][x + k % 3] * filter[k / 3][k % 3]).sum();
                assert!((found[0] - expected).abs() < 1e-3, "{M} at {x},{y}: {} instead of {expected}", found[0]);
            }
        }
    }

    #[test]
    fn a_tile_equals_the_sum_over_its_windows() {
        check::<2, 4>();
        check::<4, 6>();
    }
}
