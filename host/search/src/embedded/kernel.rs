//! The sum of products of a query and a stored vector.
//!
//! The query keeps single precision, what is stored is in half precision, and sums are single: for unit vectors the result is within
//! 2^-11 (0.0005) of the true cosine, and commonly within 0.00002, as errors of rounding cancel out.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Numbers added up side by side, so that the processor can work on several at once.
const LANES: usize = 16;

/// The fastest way of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel(fn(&[f32], &[f16]) -> f32);

impl Kernel {
    /// Looks at the machine.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            return Self(x86::dot);
        }
        Self(portable)
    }

    /// The sum of products; of the shorter length when lengths differ.
    pub(super) fn dot(self, query: &[f32], row: &[f16]) -> f32 {
        (self.0)(query, row)
    }
}

/// Asks for a row before it is needed: rows that a filter admits lie anywhere, and waiting for memory is most of comparing them.
#[inline]
pub(super) fn prefetch(row: &[f16]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(row);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

fn portable(query: &[f32], row: &[f16]) -> f32 {
    let mut wide = [0f32; 256];
    let mut sums = [0f32; LANES];
    for (query, row) in query.chunks(wide.len()).zip(row.chunks(wide.len())) {
        let length = query.len().min(row.len());
        let (Some(wide), Some(row)) = (wide.get_mut(..length), row.get(..length)) else { break };
        row.convert_to_f32_slice(wide);
        for (query, wide) in query.chunks(LANES).zip(wide.chunks(LANES)) {
            for ((sum, a), b) in sums.iter_mut().zip(query).zip(wide) {
                *sum += a * b;
            }
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "registers of 256 bits; the only other way is four times as slow")]

    use std::arch::x86_64::{
        __m128i, _MM_HINT_T0, _mm_add_ps, _mm_cvtss_f32, _mm_hadd_ps, _mm_loadu_si128, _mm_prefetch, _mm256_add_ps, _mm256_castps256_ps128,
        _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    };

    use half::f16;

    /// Numbers in a line of the cache.
    const LINE: usize = 32;

    #[inline]
    pub(super) fn prefetch(row: &[f16]) {
        for line in row.chunks(LINE) {
            // SAFETY: a hint, which every processor of this kind understands and which cannot fail.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    pub(super) fn dot(query: &[f32], row: &[f16]) -> f32 {
        // SAFETY: `Kernel::detect` hands this function out only where these features are.
        unsafe { dot_avx2(query, row) }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn dot_avx2(query: &[f32], row: &[f16]) -> f32 {
        let ((queries, query_rest), (rows, row_rest)) = (query.as_chunks::<32>(), row.as_chunks::<32>());
        let mut sums = [_mm256_setzero_ps(); 4];
        for (query, row) in queries.iter().zip(rows) {
            let parts = query.as_chunks::<8>().0.iter().zip(row.as_chunks::<8>().0);
            for (sum, (query, row)) in sums.iter_mut().zip(parts) {
                // SAFETY: both point at eight numbers, and these loads need no alignment.
                let (query, row) = unsafe { (_mm256_loadu_ps(query.as_ptr()), _mm_loadu_si128(row.as_ptr().cast::<__m128i>())) };
                *sum = _mm256_fmadd_ps(query, _mm256_cvtph_ps(row), *sum);
            }
        }
        let [a, b, c, d] = sums;
        let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_hadd_ps(sum, sum);
        let rest: f32 = query_rest.iter().zip(row_rest).map(|(a, b)| a * b.to_f32()).sum();
        _mm_cvtss_f32(_mm_hadd_ps(sum, sum)) + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_gives_the_sum_of_products() {
        let mut random = fastrand::Rng::with_seed(1);
        for length in (0..70).chain([255, 256, 257, 511, 512, 1280, 4096]) {
            let query: Vec<f32> = (0..length).map(|_| random.f32() - 0.5).collect();
            let row: Vec<f16> = (0..length).map(|_| f16::from_f32(random.f32() - 0.5)).collect();
            let expected: f64 = query.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            for kernel in [Kernel::detect(), Kernel(portable)] {
                assert!((f64::from(kernel.dot(&query, &row)) - expected).abs() < 1e-4, "{length}");
            }
        }
    }
}
