//! Layers that work value by value.

use super::Clamp;
use crate::exp::exp;
use crate::simd::Simd;

/// `out[x] = clamp(a[x] + b[x / repeat])`. `a` and `out` hold `blocks` runs of `width` registers, `b` as many runs of
/// `width / repeat`, each with its own distance in values. `out` may be `a`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddRow {
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    pub(crate) b: *const f32,
    pub(crate) b_stride: usize,
    /// How often each value of `b` is used.
    pub(crate) repeat: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// # Safety
/// As [`AddRow`] says; `repeat` is not zero; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn add<S: Simd>(row: &AddRow) {
    // SAFETY: `x / repeat` lies in the run of `b`.
    unsafe {
        for block in 0..row.blocks {
            let (a, b) = (row.a.add(block * row.a_stride), row.b.add(block * row.b_stride));
            let out = row.out.add(block * row.out_stride);
            for x in 0..row.width {
                let mut sum = [[S::add(S::load(a.add(x * S::LANES)), S::load(b.add(x / row.repeat * S::LANES)))]];
                row.clamp.apply::<S, 1, 1>(&mut sum);
                S::store(out.add(x * S::LANES), sum[0][0]);
            }
        }
    }
}

/// Where an output pixel reads along one axis: two positions, and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) low: usize,
    pub(crate) high: usize,
    pub(crate) weight: f32,
}

/// `out[x] = clamp(a[x] + between rows and columns of upper and lower)`; without `a` (null) only the latter. `taps` holds
/// `width` taps into runs of `upper` and `lower`; `weight` is that of `lower`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BilinearRow {
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    pub(crate) upper: *const f32,
    pub(crate) lower: *const f32,
    pub(crate) stride: usize,
    pub(crate) weight: f32,
    pub(crate) taps: *const Tap,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// # Safety
/// As [`BilinearRow`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn bilinear<S: Simd>(row: &BilinearRow) {
    // SAFETY: taps point into the runs.
    unsafe {
        let down = S::splat(row.weight);
        for block in 0..row.blocks {
            let (upper, lower) = (row.upper.add(block * row.stride), row.lower.add(block * row.stride));
            for x in 0..row.width {
                let tap = &*row.taps.add(x);
                let across = S::splat(tap.weight);
                let (above, below) = (between::<S>(upper, tap, across), between::<S>(lower, tap, across));
                let mut value = [[S::fma(S::sub(below, above), down, above)]];
                if !row.a.is_null() {
                    value = [[S::add(value[0][0], S::load(row.a.add(block * row.a_stride + x * S::LANES)))]];
                }
                row.clamp.apply::<S, 1, 1>(&mut value);
                S::store(row.out.add(block * row.out_stride + x * S::LANES), value[0][0]);
            }
        }
    }
}

/// # Safety
/// The tap points into the line; the machine has `S`.
#[inline(always)]
unsafe fn between<S: Simd>(line: *const f32, tap: &Tap, across: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (S::load(line.add(tap.low * S::LANES)), S::load(line.add(tap.high * S::LANES)));
        S::fma(S::sub(high, low), across, low)
    }
}

/// `sums[block] = (sums[block] + Σ a[x]) · factor`. `a` holds `blocks` runs of `width` registers, `sums` one register per block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccumulateRow {
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    pub(crate) sums: *mut f32,
    pub(crate) sums_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) width: usize,
    pub(crate) factor: f32,
}

/// # Safety
/// As [`AccumulateRow`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd>(row: &AccumulateRow) {
    // SAFETY: the runs are the caller's.
    unsafe {
        for block in 0..row.blocks {
            let to = row.sums.add(block * row.sums_stride);
            let mut sum = S::splat(0.0);
            for x in 0..row.width {
                sum = S::add(sum, S::load(row.a.add(block * row.a_stride + x * S::LANES)));
            }
            S::store(to, S::mul(S::add(S::load(to), sum), S::splat(row.factor)));
        }
    }
}

/// `out[x] = clamp(a[x])`, runs as in [`AddRow`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClampRow {
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) width: usize,
    pub(crate) clamp: Clamp,
}

/// # Safety
/// As [`ClampRow`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn clamp<S: Simd>(row: &ClampRow) {
    // SAFETY: the runs are the caller's.
    unsafe {
        for block in 0..row.blocks {
            for x in 0..row.width {
                let mut value = [[S::load(row.a.add(block * row.a_stride + x * S::LANES))]];
                row.clamp.apply::<S, 1, 1>(&mut value);
                S::store(row.out.add(block * row.out_stride + x * S::LANES), value[0][0]);
            }
        }
    }
}

/// `1 / (1 + e^-x)` of so many values in place.
///
/// # Safety
/// The pointer is good for them.
#[inline(always)]
pub(super) unsafe fn sigmoid(values: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    for value in unsafe { std::slice::from_raw_parts_mut(values, count) } {
        *value = 1.0 / (1.0 + exp(-*value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_is_that_of_the_library() {
        let mut values: Vec<f32> = (-4000..4000).map(|step| step as f32 * 0.025).chain([f32::MAX, f32::MIN, f32::INFINITY]).collect();
        let expected: Vec<f32> = values.iter().map(|x| (1.0 / (1.0 + (-f64::from(*x)).exp())) as f32).collect();
        // SAFETY: the slice's own length.
        unsafe { sigmoid(values.as_mut_ptr(), values.len()) };
        for (found, expected) in values.iter().zip(&expected) {
            assert!((found - expected).abs() <= 3e-7, "{found} {expected}");
        }
    }
}
