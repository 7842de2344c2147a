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
    // SAFETY: handed on; windows of the middle lie in the image.
    unsafe {
        // Whole windows: from where the padding ends to where the image does.
        let first = row.padding.div_ceil(row.stride).min(row.width);
        let end = (row.input_width + row.padding).saturating_sub(row.window) / row.stride + 1;
        let end = end.clamp(first, row.width);
        for block in 0..row.blocks {
            edge::<S>(row, block, 0, first);
            match (row.window, row.lines) {
                (2, 2) => whole::<S, 2>(row, block, first, end),
                (3, 3) => whole::<S, 3>(row, block, first, end),
                _ => edge::<S>(row, block, first, end),
            }
            edge::<S>(row, block, end, row.width);
        }
    }
}

/// Windows that lie wholly in the image.
///
/// # Safety
/// As [`row`]; `WINDOW` is both the window and the number of lines.
#[inline(always)]
unsafe fn whole<S: Simd, const WINDOW: usize>(row: &PoolRow, block: usize, start: usize, end: usize) {
    // SAFETY: every address is one that the documentation of `PoolRow` lists.
    unsafe {
        let mut inputs = [row.out.cast_const(); WINDOW];
        for line in 0..WINDOW {
            inputs[line] = (*row.rows.add(line)).add(block * row.block_stride);
        }
        let out = row.out.add(block * row.out_stride);
        for x in start..end {
            let at = (x * row.stride - row.padding) * S::LANES;
            let mut largest = S::load(inputs[0].add(at));
            for input in inputs {
                for column in 0..WINDOW {
                    largest = S::max(largest, S::load(input.add(at + column * S::LANES)));
                }
            }
            S::store(out.add(x * S::LANES), largest);
        }
    }
}

/// Windows of any size, cut at the edges.
///
/// # Safety
/// As [`row`].
#[inline(always)]
unsafe fn edge<S: Simd>(row: &PoolRow, block: usize, start: usize, end: usize) {
    // SAFETY: columns are between those that lie in the image.
    unsafe {
        for x in start..end {
            let first = (x * row.stride).saturating_sub(row.padding);
            let last = (x * row.stride + row.window - row.padding).min(row.input_width);
            let at = block * row.block_stride + first * S::LANES;
            let mut largest = S::load((*row.rows).add(at));
            for line in 0..row.lines {
                let input = (*row.rows.add(line)).add(at);
                for column in 0..last - first {
                    largest = S::max(largest, S::load(input.add(column * S::LANES)));
                }
            }
            S::store(row.out.add(block * row.out_stride + x * S::LANES), largest);
        }
    }
}
