//! The exponential function, as kernels need it.

/// `e^x` for any number, to 2 units in the last place, without a branch, so that compilers make a vector of it: `2^n · e^r` with
/// the whole `n` nearest to `x / ln 2`, and a polynomial for `e^r` (coefficients of Cephes' `expf`).
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut poly = 1.987_569_1e-4_f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        poly = poly * r + coefficient;
    }
    let poly = poly * r * r + r + 1.0;
    let exponent = (rounded.to_bits() << 23).wrapping_add(127 << 23);
    poly * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_library_and_stays_finite() {
        for step in -86_900..87_900 {
            let x = step as f32 * 1e-3;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found - expected).abs() <= 2.5e-7 * expected, "{x}: {found} {expected}");
        }
        assert!(exp(f32::MAX).is_finite() && exp(f32::NEG_INFINITY) >= 0.0 && exp(f32::NEG_INFINITY) < 1e-37);
    }
}
