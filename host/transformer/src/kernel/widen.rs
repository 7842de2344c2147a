//! Weights of 16 bits, widened just before they are used: half as many bytes come from memory.

use breakwater_convnet::simd::Simd;

use crate::weights::Precision;

/// `to = from`, exactly. `from` holds `count` numbers of 16 bits, `to` is good for as many of 32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widen {
    pub(crate) from: *const u16,
    pub(crate) to: *mut f32,
    pub(crate) count: usize,
    pub(crate) precision: Precision,
}

/// # Safety
/// As [`Widen`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn widen<S: Simd>(widen: &Widen) {
    let Widen { from, to, count, precision } = *widen;
    let mut at = 0;
    // SAFETY: addresses below `count`.
    unsafe {
        match precision {
            Precision::F16 => {
                while at + S::LANES <= count {
                    S::store(to.add(at), S::load_half(from.add(at)));
                    at += S::LANES;
                }
                while at < count {
                    *to.add(at) = half::f16::from_bits(*from.add(at)).to_f32();
                    at += 1;
                }
            }
            Precision::Bf16 => {
                for at in 0..count {
                    *to.add(at) = f32::from_bits(u32::from(*from.add(at)) << 16);
                }
            }
            Precision::F32 => {}
        }
    }
}
