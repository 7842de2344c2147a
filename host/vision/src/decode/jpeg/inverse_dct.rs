//! The inverse cosine transform (ITU-T T.81, A.3.3), whole and reduced.
//!
//! A whole block goes through the factorisation of Arai, Agui and Nakajima (1988) in single precision, whose scale factors are part
//! of the quantisation table; eight columns, then eight rows at a time, so that the compiler makes vectors of them. A reduced
//! block of M by N samples takes the M by N lowest frequencies through a transform of that size, which is the block averaged
//! to that size but for the higher frequencies.

use std::f32::consts::PI;
use std::ops::{Add, Mul, Sub};

use super::scan::Coefficients;

/// Eight values, one of each column.
#[derive(Clone, Copy)]
struct Lanes([f32; 8]);

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a -= b);
        self
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(mut self, factor: f32) -> Self {
        self.0.iter_mut().for_each(|a| *a *= factor);
        self
    }
}

/// How a component's blocks are transformed: their size in samples and the factors of their coefficients.
#[derive(Clone)]
pub(super) struct Transform {
    /// 1, 2, 4 or 8.
    pub(super) width: usize,
    /// 1, 2, 4 or 8.
    pub(super) height: usize,
    /// What to multiply coefficients with, in natural order.
    factors: [f32; 64],
}

/// `2^23 + 2^22`: added to a small number it leaves the number, rounded, in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;

#[inline(always)]
fn to_sample(value: f32) -> u8 {
    ((value + 128.0).clamp(0.0, 255.0) + ROUNDING).to_bits() as u8
}

/// The value of basis function `frequency` at sample `at` of `length`, times `sqrt(length / 8)`.
fn basis(length: usize, at: usize, frequency: usize) -> f32 {
    let scale = if frequency == 0 { (1.0 / 8.0f32).sqrt() } else { 0.5 };
    scale * ((2 * at + 1) as f32 * frequency as f32 * PI / (2 * length) as f32).cos()
}

impl Transform {
    pub(super) fn new(width: usize, height: usize, quantisation: &[u16; 64]) -> Self {
        let scale = |frequency: usize| if frequency == 0 { 1.0 } else { 2.0f32.sqrt() * (frequency as f32 * PI / 16.0).cos() };
        let whole = width == 8 && height == 8;
        let mut factors = [0.0; 64];
        for (index, (factor, step)) in factors.iter_mut().zip(quantisation).enumerate() {
            *factor = f32::from(*step) * if whole { scale(index / 8) * scale(index % 8) / 8.0 } else { 1.0 };
        }
        Self { width, height, factors }
    }

    /// The value of all samples of a block that is nothing but its mean.
    #[inline(always)]
    pub(super) fn flat(&self, block: &Coefficients) -> u8 {
        let dc = block.first().copied().unwrap_or_default();
        let factor = self.factors.first().copied().unwrap_or_default();
        // The DC factor of a whole block has the eighth in it already.
        let eighth = if self.width == 8 && self.height == 8 { 1.0 } else { 0.125 };
        to_sample(f32::from(dc) * factor * eighth)
    }

    /// A block of 8 by 8 samples.
    #[inline(always)]
    pub(super) fn whole(&self, block: &Coefficients) -> [[u8; 8]; 8] {
        let mut rows = [Lanes([0.0; 8]); 8];
        let coefficients = block.as_chunks::<8>().0.iter().zip(self.factors.as_chunks::<8>().0);
        for (row, (coefficients, factors)) in rows.iter_mut().zip(coefficients) {
            for (value, (coefficient, factor)) in row.0.iter_mut().zip(coefficients.iter().zip(factors)) {
                *value = f32::from(*coefficient) * factor;
            }
        }
        let rows = transposed(pass(transposed(pass(rows))));
        let mut samples = [[0; 8]; 8];
        for (to, from) in samples.iter_mut().zip(rows) {
            to.iter_mut().zip(from.0).for_each(|(sample, value)| *sample = to_sample(value));
        }
        samples
    }
}

/// One dimension, over the eight rows of all columns.
#[inline(always)]
fn pass([r0, r1, r2, r3, r4, r5, r6, r7]: [Lanes; 8]) -> [Lanes; 8] {
    let (t10, t11) = (r0 + r4, r0 - r4);
    let t13 = r2 + r6;
    let t12 = (r2 - r6) * std::f32::consts::SQRT_2 - t13;
    let (e0, e3, e1, e2) = (t10 + t13, t10 - t13, t11 + t12, t11 - t12);
    let (z13, z10, z11, z12) = (r5 + r3, r5 - r3, r1 + r7, r1 - r7);
    let o7 = z11 + z13;
    let t11 = (z11 - z13) * std::f32::consts::SQRT_2;
    let z5 = (z10 + z12) * 1.847_759_1;
    let t10 = z5 - z12 * 1.082_392_2;
    let t12 = z5 - z10 * 2.613_126;
    let o6 = t12 - o7;
    let o5 = t11 - o6;
    let o4 = t10 - o5;
    [e0 + o7, e1 + o6, e2 + o5, e3 + o4, e3 - o4, e2 - o5, e1 - o6, e0 - o7]
}

#[inline(always)]
fn transposed(rows: [Lanes; 8]) -> [Lanes; 8] {
    let mut columns = [Lanes([0.0; 8]); 8];
    for (y, row) in rows.iter().enumerate() {
        for (column, value) in columns.iter_mut().zip(row.0) {
            if let Some(place) = column.0.get_mut(y) {
                *place = value;
            }
        }
    }
    columns
}

/// The basis functions of reduced blocks of one size.
pub(super) struct Reduced {
    across: Vec<[f32; 8]>,
    down: Vec<[f32; 8]>,
}

impl Reduced {
    pub(super) fn new(transform: &Transform) -> Self {
        let functions = |length: usize| {
            let row = |at: usize| std::array::from_fn(|frequency| if frequency < length { basis(length, at, frequency) } else { 0.0 });
            (0..length).map(row).collect()
        };
        Self { across: functions(transform.width), down: functions(transform.height) }
    }

    /// Puts the samples of a block, row by row, into the first `width * height` places of `samples`.
    #[inline(always)]
    pub(super) fn block(&self, transform: &Transform, block: &Coefficients, samples: &mut [u8; 64]) {
        let mut rows = [[0.0f32; 8]; 8];
        let coefficients = block.as_chunks::<8>().0.iter().zip(transform.factors.as_chunks::<8>().0);
        for (row, (coefficients, factors)) in rows.iter_mut().zip(coefficients).take(transform.height) {
            for (value, (coefficient, factor)) in row.iter_mut().zip(coefficients.iter().zip(factors)) {
                *value = f32::from(*coefficient) * factor;
            }
        }
        for (down, samples) in self.down.iter().zip(samples.chunks_exact_mut(transform.width)) {
            let mut sums = [0.0f32; 8];
            for (row, weight) in rows.iter().zip(down).take(transform.height) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * weight);
            }
            for (across, sample) in self.across.iter().zip(samples) {
                let value: f32 = across.iter().zip(sums).take(transform.width).map(|(weight, sum)| weight * sum).sum();
                *sample = to_sample(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Straight from the standard's formula, in double precision.
    fn reference(block: &Coefficients, x: usize, y: usize) -> f64 {
        let basis = |at: usize, frequency: usize| {
            let scale = if frequency == 0 { 0.125f64.sqrt() } else { 0.5 };
            scale * ((2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos()
        };
        block.iter().enumerate().map(|(i, value)| f64::from(*value) * basis(x, i % 8) * basis(y, i / 8)).sum::<f64>() + 128.0
    }

    fn block(seed: i64) -> Coefficients {
        std::array::from_fn(|index| ((index as i64 * 2_654_435_761 + seed * 40_503) % 61 - 30) as i16 / (1 + index as i16 / 9))
    }

    #[test]
    fn a_whole_block_is_the_standards_formula() {
        let transform = Transform::new(8, 8, &[3; 64]);
        for seed in 0..40 {
            let coefficients = block(seed);
            let scaled = coefficients.map(|value| value * 3);
            let samples = transform.whole(&coefficients);
            for (y, row) in samples.iter().enumerate() {
                for (x, sample) in row.iter().enumerate() {
                    let expected = reference(&scaled, x, y).clamp(0.0, 255.0);
                    assert!((f64::from(*sample) - expected).abs() <= 0.51, "seed {seed} at {x},{y}: {sample}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn a_reduced_block_of_low_frequencies_is_the_mean_of_what_it_stands_for() {
        for (width, height) in [(1, 1), (2, 2), (4, 4), (4, 8), (2, 4), (1, 2)] {
            let transform = Transform::new(width, height, &[1; 64]);
            let reduced = Reduced::new(&transform);
            let mut coefficients = [0; 64];
            (coefficients[0], coefficients[1], coefficients[8]) = (-120, 40, 25);
            let mut samples = [0; 64];
            reduced.block(&transform, &coefficients, &mut samples);
            for (index, sample) in samples.iter().take(width * height).enumerate() {
                let (step_x, step_y) = (8 / width, 8 / height);
                let (left, top) = (index % width * step_x, index / width * step_y);
                let covered = (top..top + step_y).flat_map(|y| (left..left + step_x).map(move |x| (x, y)));
                let mean = covered.map(|(x, y)| reference(&coefficients, x, y)).sum::<f64>() / (step_x * step_y) as f64;
                assert!((f64::from(*sample) - mean).abs() <= 1.5, "{width}x{height} {index}: {sample}, not {mean}");
            }
        }
    }

    #[test]
    fn a_flat_block_is_its_mean_at_every_size() {
        let mut coefficients = [0; 64];
        coefficients[0] = -27;
        for size in [8, 4, 2, 1] {
            assert_eq!(Transform::new(size, size, &[16; 64]).flat(&coefficients), 74, "{size}");
        }
    }
}
