//! What stands between two dense layers, on the columns of a panel while they are in the cache.

use breakwater_convnet::exp::exp;
use breakwater_convnet::simd::Simd;

use super::PANEL;
use crate::config::Activation;

/// What a product does with its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Nothing.
    Linear,
    /// An activation.
    Activation(Activation),
}

/// Applies a function to `count` rows of a panel's columns.
///
/// # Safety
/// `out` is good for these rows, `stride` apart; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn apply<S: Simd>(function: Function, out: *mut f32, stride: usize, count: usize) {
    let Function::Activation(activation) = function else { return };
    for row in 0..count {
        // SAFETY: the caller's promise.
        let values = unsafe { std::slice::from_raw_parts_mut(out.add(row * stride), PANEL * S::LANES) };
        // The choice is outside of the loops, which compilers turn into the machine's own instructions.
        match activation {
            Activation::QuickGelu => {
                for value in values {
                    *value /= 1.0 + exp(-1.702 * *value);
                }
            }
            Activation::Gelu => {
                for value in values {
                    *value = 0.5 * *value * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
                }
            }
        }
    }
}

/// The error function, to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let mut poly = 1.061_405_4_f32;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        poly = poly * t + coefficient;
    }
    (1.0 - poly * t * exp(-x * x)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_the_tables() {
        // Abramowitz and Stegun, table 7.1.
        for (x, expected) in [(0.0, 0.0), (0.1, 0.112_462_92), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (4.0, 1.0)] {
            assert!((erf(x) - expected).abs() <= 4e-7, "{x}");
            assert_eq!(erf(-x), -erf(x));
        }
        assert!((erf(f32::INFINITY) - 1.0).abs() < 1e-6 || erf(f32::MAX).is_finite());
    }
}
