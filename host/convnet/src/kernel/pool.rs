//! Max pooling: one row of output.

use crate::simd::Simd;

/// The arguments of a row. With `S` the registers in use:
/// - `rows` holds `lines` pointers, at least one, to the rows of the window that lie in the image, each to `blocks` runs of
///   `input_width` registers, `block_stride` values apart.
/// - `out` holds `blocks` runs of `width` registers, `out_stride` values apart, and overlaps none of the others. Every window
///   (from `x · stride - padding`, `window` wide) holds at least one pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolRow {
    pub(crate) rows: *const *const f32,
    pub(crate) lines: usize,
    pub(crate) window: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) input_width: usize,
    pub(crate) blocks: usize,
    pub(crate) block_stride: usize,
    pub(crate) out: *mut f32,
    pub(crate) out_stride: usize,
    pub(crate) width: usize,
}

/// # Safety
/// As [`PoolRow`] says; the machine has `S`.
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(row: &PoolRow) {
    // SAFETY: columns are between those that lie in the image.
    unsafe {
        for block in 0..row.blocks {
            for x in 0..row.width {
                let start = (x * row.stride).saturating_sub(row.padding);
                let end = (x * row.stride + row.window - row.padding).min(row.input_width);
                let first = block * row.block_stride + start * S::LANES;
                let mut largest = S::load((*row.rows).add(first));
                for line in 0..row.lines {
                    let input = (*row.rows.add(line)).add(first);
                    for column in 0..end - start {
                        largest = S::max(largest, S::load(input.add(column * S::LANES)));
                    }
                }
                S::store(row.out.add(block * row.out_stride + x * S::LANES), largest);
            }
        }
    }
}
