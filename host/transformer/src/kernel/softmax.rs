//! Weights of the tokens that a token looks at.

use breakwater_convnet::exp::exp;
use breakwater_convnet::simd::Simd;

/// `row = e^(scale · (row - max)) / sum` over the first `count` values; zeros from there to `end`. `row` is good for `end` values,
/// and `count` is not 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Softmax {
    pub(crate) row: *mut f32,
    pub(crate) count: usize,
    pub(crate) end: usize,
    /// Not negative.
    pub(crate) scale: f32,
}

/// # Safety
/// As [`Softmax`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(softmax: &Softmax) {
    let Softmax { row, count, end, scale } = *softmax;
    let whole = count / S::LANES * S::LANES;
    // SAFETY: addresses below `end`.
    unsafe {
        let mut lanes = [f32::NEG_INFINITY; 16];
        let mut most = S::splat(f32::NEG_INFINITY);
        let mut at = 0;
        while at < whole {
            most = S::max(most, S::load(row.add(at)));
            at += S::LANES;
        }
        S::store(lanes.as_mut_ptr(), most);
        let mut most = f32::NEG_INFINITY;
        for lane in lanes {
            most = if lane > most { lane } else { most };
        }
        for value in std::slice::from_raw_parts(row.add(whole), count - whole) {
            most = if *value > most { *value } else { most };
        }
        for value in std::slice::from_raw_parts_mut(row, count) {
            *value = exp((*value - most) * scale);
        }
        let mut sums = S::splat(0.0);
        at = 0;
        while at < whole {
            sums = S::add(sums, S::load(row.add(at)));
            at += S::LANES;
        }
        let mut lanes = [0.0_f32; 16];
        S::store(lanes.as_mut_ptr(), sums);
        let mut sum: f32 = lanes.iter().sum();
        for value in std::slice::from_raw_parts(row.add(whole), count - whole) {
            sum += *value;
        }
        let factor = 1.0 / sum;
        for value in std::slice::from_raw_parts_mut(row, count) {
            *value *= factor;
        }
        row.add(count).write_bytes(0, end - count);
    }
}
