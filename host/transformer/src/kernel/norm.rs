//! Normalisation of rows to mean 0 and variance 1, then a scale and a shift per column.

use breakwater_convnet::simd::Simd;

/// `out = (row - mean) / √(variance + epsilon) · scale + shift`, row by row.
///
/// - `rows` and `out` hold `count` rows of `width` values, `stride` and `out_stride` apart. `out` may be `rows`.
/// - `scale` and `shift` hold `width` values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) rows: *const f32,
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) scale: *const f32,
    pub(crate) shift: *const f32,
    pub(crate) epsilon: f32,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
}

/// Registers that sums are kept in, so that additions need not wait for each other.
const SUMS: usize = 4;

/// # Safety
/// As [`Norm`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn rows<S: Simd>(norm: &Norm) {
    let width = norm.width;
    for row in 0..norm.count {
        // SAFETY: the rows that the documentation of `Norm` lists.
        unsafe {
            let (from, to) = (norm.rows.add(row * norm.stride), norm.out.add(row * norm.out_stride));
            let mean = sum::<S, false>(from, width, 0.0) / width as f32;
            let variance = sum::<S, true>(from, width, mean) / width as f32;
            let factor = 1.0 / (variance + norm.epsilon).sqrt();
            let whole = width / S::LANES * S::LANES;
            let (means, factors) = (S::splat(mean), S::splat(factor));
            let mut at = 0;
            while at < whole {
                let value = S::mul(S::sub(S::load(from.add(at)), means), factors);
                S::store(to.add(at), S::fma(value, S::load(norm.scale.add(at)), S::load(norm.shift.add(at))));
                at += S::LANES;
            }
            while at < width {
                *to.add(at) = (*from.add(at) - mean) * factor * *norm.scale.add(at) + *norm.shift.add(at);
                at += 1;
            }
        }
    }
}

/// The sum of `x - mean`, or of its squares.
///
/// # Safety
/// `from` is good for `width` values; the machine has `S`.
#[inline(always)]
unsafe fn sum<S: Simd, const SQUARES: bool>(from: *const f32, width: usize, mean: f32) -> f32 {
    // SAFETY: addresses below `width`.
    unsafe {
        let means = S::splat(mean);
        let mut sums = [S::splat(0.0); SUMS];
        let mut at = 0;
        while at + SUMS * S::LANES <= width {
            for n in 0..SUMS {
                let value = S::sub(S::load(from.add(at + n * S::LANES)), means);
                sums[n] = if SQUARES { S::fma(value, value, sums[n]) } else { S::add(sums[n], value) };
            }
            at += SUMS * S::LANES;
        }
        let mut lanes = [0.0_f32; 16];
        let total = S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]));
        S::store(lanes.as_mut_ptr(), total);
        let mut total: f32 = lanes.iter().sum();
        while at < width {
            let value = *from.add(at) - mean;
            total += if SQUARES { value * value } else { value };
            at += 1;
        }
        total
    }
}
