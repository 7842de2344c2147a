//! Numbers that do not change when a picture is mirrored left to right.

use std::f32::consts::FRAC_1_SQRT_2;

/// Two numbers that mirroring swaps, as two that it leaves alone: their sum and how far they are apart. The sum of the squares stays.
pub(crate) fn pair(a: f32, b: f32) -> [f32; 2] {
    [(a + b) * FRAC_1_SQRT_2, (a - b).abs() * FRAC_1_SQRT_2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_no_order_and_keeps_its_length() {
        let ([sum, apart], swapped) = (pair(3.0, 4.0), pair(4.0, 3.0));
        assert_eq!([sum, apart], swapped);
        assert!((sum * sum + apart * apart - 25.0).abs() < 1e-4);
    }
}
