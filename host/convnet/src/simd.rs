//! One register of `f32`, whatever the machine calls it.
//!
//! Kernels are written once, generic over [`Simd`], always inlined into a function that is compiled for one instruction set
//! (`kernel.rs`); those of transformers, in their own crate, are written the same way. Everything here is `unsafe` for two reasons
//! only: the machine must have the instructions, which the table of kernels sees to, and pointers must be good for
//! [`Simd::LANES`] values.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// A set of vector instructions.
///
/// # Safety
/// Of every function: the machine has the instructions, which [`crate::Isa::is_available`] tells; pointers are good for
/// [`Simd::LANES`] values.
#[allow(clippy::missing_safety_doc, reason = "the trait's documentation says it once for all functions")]
pub trait Simd: Copy {
    /// A register.
    type V: Copy;
    /// Values in a register.
    const LANES: usize;
    /// All lanes the same.
    unsafe fn splat(value: f32) -> Self::V;
    /// Reads [`Self::LANES`] values; no alignment is needed.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes [`Self::LANES`] values; no alignment is needed.
    unsafe fn store(to: *mut f32, value: Self::V);
    /// `a · b + c`, rounded once where the machine can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Reads [`Self::LANES`] finite numbers of half precision and widens them, exactly; no alignment is needed.
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::V {
        let mut lanes = [0.0_f32; 16];
        for (at, lane) in lanes.iter_mut().enumerate().take(Self::LANES) {
            // SAFETY: the caller's pointer is good for the lanes.
            *lane = widen(unsafe { from.add(at).read_unaligned() });
        }
        // SAFETY: no register has more lanes.
        unsafe { Self::load(lanes.as_ptr()) }
    }
    /// Asks for a line of memory to be brought near, where the machine can; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_line: *const u8) {}
}

/// A finite number of half precision. Shifted into place its exponent is too small by 112, subnormal numbers included.
#[inline(always)]
fn widen(half: u16) -> f32 {
    /// `2^112`.
    const REBIAS: f32 = f32::from_bits((112 + 127) << 23);
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * REBIAS;
    f32::from_bits(magnitude.to_bits() | u32::from(half & 0x8000) << 16)
}

/// Four lanes of plain Rust, which compilers turn into the baseline's instructions.
#[derive(Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn each(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a, b);
    [f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3)]
}

impl Simd for Portable {
    type V = [f32; 4];
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller's pointer is good for four values.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 4]) {
        // SAFETY: the caller's pointer is good for four values.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Without the instruction a fused multiplication is a call into the C library for every value.
        each(each(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| if a < b { a } else { b })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_number_of_half_precision_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits);
            if expected.is_finite() {
                assert_eq!(widen(bits).to_bits(), expected.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }
}
