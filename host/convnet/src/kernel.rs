//! The inner loops, compiled once per instruction set.
//!
//! Tensors are rows of blocks: a row holds, for each block of as many channels as a register has lanes, all its pixels side by
//! side, and a pixel is one register. Rows that a convolution reads have columns of zeros on both sides, so that no kernel
//! knows about edges; a row that lies outside the image is a pointer to zeros.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over constants index arrays of the same constants: unrolled, neither index nor check is left"
)]

pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod pixels;
pub(crate) mod pool;
pub(crate) mod rows;

pub(crate) mod winograd;

use crate::isa::Isa;
use crate::simd::{Portable, Simd};

/// What a layer does to its sums before it stores them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Clamp {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` where positive, else `slope · x`.
    Leaky(f32),
}

impl Clamp {
    /// The choice is made once for all registers: inside the loops it would keep the compiler from holding them in registers.
    ///
    /// # Safety
    /// The machine has `S`.
    #[inline(always)]
    unsafe fn apply<S: Simd, const N: usize, const M: usize>(self, values: &mut [[S::V; N]; M]) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let zero = S::splat(0.0);
            match self {
                Self::None => {}
                Self::Relu => {
                    for m in 0..M {
                        for n in 0..N {
                            values[m][n] = S::max(values[m][n], zero);
                        }
                    }
                }
                Self::Relu6 => {
                    let six = S::splat(6.0);
                    for m in 0..M {
                        for n in 0..N {
                            values[m][n] = S::min(S::max(values[m][n], zero), six);
                        }
                    }
                }
                Self::Leaky(slope) => {
                    let slope = S::splat(slope);
                    for m in 0..M {
                        for n in 0..N {
                            values[m][n] = S::fma(S::min(values[m][n], zero), slope, S::max(values[m][n], zero));
                        }
                    }
                }
            }
        }
    }
}

/// The kernels of one instruction set. Calling one is sound if the machine has the set, which [`Kernels::of`] sees to, and if
/// the pointers of the arguments are good for what the argument's documentation says.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) isa: Isa,
    pub(crate) lanes: usize,
    pub(crate) dense: unsafe fn(&dense::DenseRow),
    pub(crate) depthwise: unsafe fn(&depthwise::DepthwiseRow),
    pub(crate) max_pool: unsafe fn(&pool::PoolRow),
    pub(crate) add: unsafe fn(&rows::AddRow),
    pub(crate) bilinear: unsafe fn(&rows::BilinearRow),
    pub(crate) accumulate: unsafe fn(&rows::AccumulateRow),
    pub(crate) clamp: unsafe fn(&rows::ClampRow),
    pub(crate) sigmoid: unsafe fn(*mut f32, usize),
    pub(crate) pixels: unsafe fn(&pixels::PixelScaling, &[u8], &mut [f32]),
    pub(crate) interleave: unsafe fn([&[f32]; 3], &mut [f32]),
    pub(crate) winograd_input: unsafe fn(&winograd::InputTiles),
    pub(crate) winograd_output: unsafe fn(&winograd::OutputTiles),
}

impl Kernels {
    /// The kernels of a set, if the machine has it.
    pub(crate) fn of(isa: Isa) -> Option<&'static Self> {
        if !isa.is_available() {
            return None;
        }
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Some(&avx512::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Some(&avx2::KERNELS),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Some(&neon::KERNELS),
            Isa::Portable => Some(&portable::KERNELS),
            #[allow(unreachable_patterns, reason = "which sets are left depends on the machine that this is compiled for")]
            _ => None,
        }
    }
}

/// A module with every kernel compiled for one instruction set. The last part names the widest tile of pixels for panels of one,
/// two and three registers: accumulators, weights and one value must fit the registers.
macro_rules! kernels {
    ($module:ident, $simd:ty, $isa:expr, [$($attribute:meta)?], $panels:ident) => {
        mod $module {
            use super::*;

            // SAFETY of all: the argument's pointers are the caller's promise; the instructions are those of the attribute.
            $(#[$attribute])?
            unsafe fn dense(row: &dense::DenseRow) {
                unsafe { dense::$panels::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn depthwise(row: &depthwise::DepthwiseRow) {
                unsafe { depthwise::$panels::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn max_pool(row: &pool::PoolRow) {
                unsafe { pool::row::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn add(row: &rows::AddRow) {
                unsafe { rows::add::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn bilinear(row: &rows::BilinearRow) {
                unsafe { rows::bilinear::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn accumulate(row: &rows::AccumulateRow) {
                unsafe { rows::accumulate::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn clamp(row: &rows::ClampRow) {
                unsafe { rows::clamp::<$simd>(row) }
            }
            $(#[$attribute])?
            unsafe fn sigmoid(values: *mut f32, count: usize) {
                unsafe { rows::sigmoid(values, count) }
            }

            $(#[$attribute])?
            unsafe fn pixels(scaling: &pixels::PixelScaling, bytes: &[u8], to: &mut [f32]) {
                scaling.pixels(bytes, to);
            }
            $(#[$attribute])?
            unsafe fn interleave(planes: [&[f32]; 3], to: &mut [f32]) {
                pixels::interleave(planes, to);
            }
            $(#[$attribute])?
            unsafe fn winograd_input(tiles: &winograd::InputTiles) {
                unsafe { winograd::input::<$simd>(tiles) }
            }
            $(#[$attribute])?
            unsafe fn winograd_output(tiles: &winograd::OutputTiles) {
                unsafe { winograd::output::<$simd>(tiles) }
            }

            pub(super) static KERNELS: Kernels = Kernels {
                isa: $isa,
                lanes: <$simd as Simd>::LANES,
                dense,
                depthwise,
                max_pool,
                add,
                bilinear,
                accumulate,
                clamp,
                sigmoid,
                pixels,
                interleave,
                winograd_input,
                winograd_output,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, crate::simd::Avx512, Isa::Avx512, [target_feature(enable = "avx512f,avx512vl,avx2,fma")], wide);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, crate::simd::Avx2, Isa::Avx2, [target_feature(enable = "avx2,fma")], narrow);
#[cfg(target_arch = "aarch64")]
kernels!(neon, crate::simd::Neon, Isa::Neon, [target_feature(enable = "neon")], wide);
kernels!(portable, Portable, Isa::Portable, [], narrow);
