//! The inner loops, compiled once per instruction set.
//!
//! Everything is rows of values: a row is a token (or a query of one head), and rows have a distance of their own. Weights are
//! panels: for each input of a layer, two registers of its outputs.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over constants index arrays of the same constants: unrolled, neither index nor check is left"
)]

pub(crate) mod activation;
pub(crate) mod norm;
pub(crate) mod product;
pub(crate) mod softmax;
#[cfg(test)]
mod tests;
pub(crate) mod widen;

use breakwater_convnet::Isa;
#[cfg(target_arch = "aarch64")]
use breakwater_convnet::simd::Neon;
#[cfg(target_arch = "x86_64")]
use breakwater_convnet::simd::{Avx2, Avx512};
use breakwater_convnet::simd::{Portable, Simd};

/// Registers in a panel of weights.
pub(crate) const PANEL: usize = 2;

/// The kernels of one instruction set. Calling one is sound if the machine has the set, which [`Kernels::of`] sees to, and if the
/// pointers of the arguments are good for what the argument's documentation says.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) isa: Isa,
    /// Columns of a panel of weights.
    pub(crate) panel: usize,
    pub(crate) product: unsafe fn(&product::Product),
    pub(crate) norm: unsafe fn(&norm::Norm),
    pub(crate) softmax: unsafe fn(&softmax::Softmax),
    pub(crate) widen: unsafe fn(&widen::Widen),
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

/// A module with every kernel compiled for one instruction set. The last part names the tallest tile of rows: sums, weights and one
/// value must fit the registers.
macro_rules! kernels {
    ($module:ident, $simd:ty, $isa:expr, [$($attribute:meta)?], $tiles:ident) => {
        mod $module {
            use super::*;

            // SAFETY of all: the argument's pointers are the caller's promise; the instructions are those of the attribute.
            $(#[$attribute])?
            unsafe fn product(panel: &product::Product) {
                unsafe { product::$tiles::<$simd>(panel) }
            }
            $(#[$attribute])?
            unsafe fn norm(norm: &norm::Norm) {
                unsafe { norm::rows::<$simd>(norm) }
            }
            $(#[$attribute])?
            unsafe fn softmax(softmax: &softmax::Softmax) {
                unsafe { softmax::row::<$simd>(softmax) }
            }
            $(#[$attribute])?
            unsafe fn widen(widen: &widen::Widen) {
                unsafe { widen::widen::<$simd>(widen) }
            }

            pub(super) static KERNELS: Kernels =
                Kernels { isa: $isa, panel: PANEL * <$simd as Simd>::LANES, product, norm, softmax, widen };
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, Isa::Avx512, [target_feature(enable = "avx512f,avx512vl,avx2,fma")], tall);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, Isa::Avx2, [target_feature(enable = "avx2,fma")], low);
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon, Isa::Neon, [target_feature(enable = "neon")], tall);
kernels!(portable, Portable, Isa::Portable, [], low);
