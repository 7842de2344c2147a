//! Every kernel of every instruction set against plain loops in double precision, at sizes that fill no register, and with sentinels
//! behind what it may write.

use breakwater_convnet::Isa;
use proptest::prelude::*;

use super::Kernels;
use super::activation::Function;
use super::norm::Norm;
use super::product::Product;
use super::softmax::Softmax;
use super::widen::Widen;
use crate::config::Activation;
use crate::weights::Precision;

const SENTINEL: f32 = 12_345.0;

/// Values between -2 and 2 that look like nothing in particular.
fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| ((at + seed).wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 16_384.0 - 2.0).collect()
}

fn all() -> impl Iterator<Item = &'static Kernels> {
    Isa::available().into_iter().filter_map(Kernels::of)
}

fn apply(function: Function, x: f64) -> f64 {
    match function {
        Function::Linear => x,
        Function::Activation(Activation::QuickGelu) => x / (1.0 + (-1.702 * x).exp()),
        // The error function by Simpson's rule.
        Function::Activation(Activation::Gelu) => {
            let (end, steps) = (x.clamp(-9.0, 9.0) / 2.0_f64.sqrt(), 400);
            let h = end / f64::from(steps);
            let weight = |step: i32| if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) };
            let sum: f64 = (0..=steps).map(|step| weight(step) * (-(h * f64::from(step)).powi(2)).exp()).sum();
            0.5 * x * (1.0 + sum * h / 3.0 * 2.0 / std::f64::consts::PI.sqrt())
        }
    }
}

proptest! {
    #[test]
    fn products_are_those_of_plain_loops(
        count in 0..45_usize,
        depth in 0..70_usize,
        more in 0..3_usize,
        bias in any::<bool>(),
        accumulate in any::<bool>(),
        function in prop::sample::select(vec![
            Function::Linear,
            Function::Activation(Activation::QuickGelu),
            Function::Activation(Activation::Gelu),
        ]),
    ) {
        for kernels in all() {
            let (panel, stride) = (kernels.panel, depth + more);
            let (rows, weights) = (values(count * stride + depth, 1), values(depth * panel, 2));
            let (biases, out_stride) = (values(panel, 3), panel + more);
            let before = values(count * out_stride + 1, 4);
            let mut out = before.clone();
            // SAFETY: every slice is as long as the product says.
            unsafe {
                (kernels.product)(&Product {
                    rows: rows.as_ptr(),
                    stride,
                    count,
                    depth,
                    weights: weights.as_ptr(),
                    bias: if bias { biases.as_ptr() } else { std::ptr::null() },
                    out: out.as_mut_ptr(),
                    out_stride,
                    accumulate,
                    function,
                    ahead: weights.as_ptr().cast(),
                    ahead_bytes: 4 * weights.len(),
                });
            }
            for (at, (found, before)) in out.iter().zip(&before).enumerate() {
                let (row, column) = (at / out_stride, at % out_stride);
                if row >= count || column >= panel {
                    prop_assert_eq!(found, before, "{} writes where it should not", kernels.isa);
                    continue;
                }
                let terms = (0..depth).map(|k| f64::from(rows[row * stride + k]) * f64::from(weights[k * panel + column]));
                let start = if bias { f64::from(biases[column]) } else { 0.0 } + if accumulate { f64::from(*before) } else { 0.0 };
                let expected = apply(function, terms.sum::<f64>() + start);
                prop_assert!((f64::from(*found) - expected).abs() <= 1e-4, "{}: {} instead of {}", kernels.isa, found, expected);
            }
        }
    }

    #[test]
    fn rows_are_normalised_as_by_plain_loops(count in 0..5_usize, width in 1..150_usize, more in 0..3_usize) {
        for kernels in all() {
            let stride = width + more;
            let mut rows = values(count * stride, 1);
            let (scale, shift, before) = (values(width, 2), values(width, 3), rows.clone());
            let epsilon = 1e-3;
            // SAFETY: every slice is as long as the normalisation says.
            unsafe {
                (kernels.norm)(&Norm {
                    rows: rows.as_ptr(),
                    stride,
                    count,
                    width,
                    scale: scale.as_ptr(),
                    shift: shift.as_ptr(),
                    epsilon,
                    out: rows.as_mut_ptr(),
                    out_stride: stride,
                });
            }
            for (found, before) in rows.chunks(stride).zip(before.chunks(stride)) {
                let mean = before[..width].iter().map(|value| f64::from(*value)).sum::<f64>() / width as f64;
                let variance = before[..width].iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / width as f64;
                for column in 0..width {
                    let normed = (f64::from(before[column]) - mean) / (variance + f64::from(epsilon)).sqrt();
                    let expected = normed * f64::from(scale[column]) + f64::from(shift[column]);
                    prop_assert!((f64::from(found[column]) - expected).abs() <= 1e-4, "{}: {} instead of {}", kernels.isa, found[column], expected);
                }
                prop_assert_eq!(&found[width..], &before[width..]);
            }
        }
    }

    #[test]
    fn shares_are_those_of_plain_loops(count in 1..90_usize, masked in 0..40_usize, scale in 0.01..30_f32) {
        for kernels in all() {
            let before = values(count, 5);
            let mut row = [&before[..], &vec![SENTINEL; masked + 1]].concat();
            // SAFETY: the row is longer than it has to be.
            unsafe { (kernels.softmax)(&Softmax { row: row.as_mut_ptr(), count, end: count + masked, scale }) };
            let most = before.iter().copied().fold(f32::MIN, f32::max);
            let shares: Vec<_> = before.iter().map(|value| (f64::from(*value - most) * f64::from(scale)).exp()).collect();
            let sum: f64 = shares.iter().sum();
            for (found, share) in row.iter().zip(&shares) {
                prop_assert!((f64::from(*found) - share / sum).abs() <= 1e-5, "{}: {} instead of {}", kernels.isa, found, share / sum);
            }
            prop_assert!(row[count..count + masked].iter().all(|value| *value == 0.0) && row[count + masked] == SENTINEL);
        }
    }
}

#[test]
fn scores_of_any_size_give_shares() {
    for kernels in all() {
        let mut row = [3.0e38, -3.0e38, 0.0, 3.0e38, 1.0];
        // SAFETY: the row's own length.
        unsafe { (kernels.softmax)(&Softmax { row: row.as_mut_ptr(), count: 5, end: 5, scale: 0.125 }) };
        assert_eq!(row, [0.5, 0.0, 0.0, 0.5, 0.0].map(|share: f32| if share > 0.0 { share } else { row[1] }), "{}", kernels.isa);
        assert!(row[1] >= 0.0 && row[1] < 1e-30);
    }
}

#[test]
fn every_finite_number_of_16_bits_is_widened_exactly() {
    for kernels in all() {
        for (precision, exponent) in [(Precision::F16, 0x7c00), (Precision::Bf16, 0x7f80)] {
            let from: Vec<u16> = (0..=u16::MAX).filter(|bits| bits & exponent != exponent).collect();
            for count in [from.len(), 37, 1, 0] {
                let mut to = vec![SENTINEL; count + 1];
                // SAFETY: both are at least so long.
                unsafe { (kernels.widen)(&Widen { from: from.as_ptr(), to: to.as_mut_ptr(), count, precision }) };
                for (found, bits) in to.iter().zip(&from[..count]) {
                    let expected = match precision {
                        Precision::F16 => half::f16::from_bits(*bits).to_f32(),
                        _ => half::bf16::from_bits(*bits).to_f32(),
                    };
                    assert_eq!(found.to_bits(), expected.to_bits(), "{} {precision:?} {bits:#06x}", kernels.isa);
                }
                assert_eq!(to[count], SENTINEL);
            }
        }
    }
}
