//! Dividing work among threads.

use breakwater_convnet::memory::{Memory, whole_lines};

/// Rows of values somewhere in the memory of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) at: *mut f32,
    /// Values from a row to the next one.
    pub(crate) stride: usize,
}

// SAFETY: only an address. Whoever follows it promises that nobody writes what he reads.
unsafe impl Send for Grid {}
// SAFETY: as above.
unsafe impl Sync for Grid {}

impl Grid {
    /// Rows of `width` values in a memory. Rows are an odd number of lines of the cache apart, so that those of a tile do not fall
    /// into the same few sets of it.
    pub(crate) fn new(memory: &mut Memory, width: usize) -> Self {
        Self { at: memory.as_mut_ptr(), stride: stride(width) }
    }

    /// The first value of a row.
    ///
    /// # Safety
    /// The row is in the grid's memory.
    pub(crate) unsafe fn row(&self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.at.add(index * self.stride) }
    }

    /// The same rows from another column on.
    ///
    /// # Safety
    /// The column is in the rows.
    pub(crate) unsafe fn from(&self, column: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { at: unsafe { self.at.add(column) }, stride: self.stride }
    }
}

/// Values from a row of `width` values to the next one.
pub(crate) const fn stride(width: usize) -> usize {
    let lines = whole_lines(width);
    if (lines / whole_lines(1)).is_multiple_of(2) { lines + whole_lines(1) } else { lines }
}

/// Calls `f` with the range of each part of `0..total`, a part for each memory, side by side on the threads of the pool that this
/// runs on.
pub(crate) fn divide(scratch: &mut [Memory], total: usize, f: &(impl Fn(std::ops::Range<usize>, &mut Memory) + Sync)) {
    let parts = scratch.len().min(total);
    halves(scratch.get_mut(..parts).unwrap_or_default(), 0, parts, total, f);
}

fn halves(scratch: &mut [Memory], first: usize, of: usize, total: usize, f: &(impl Fn(std::ops::Range<usize>, &mut Memory) + Sync)) {
    match scratch {
        [] => {}
        [only] => f(first * total / of..(first + 1) * total / of, only),
        several => {
            let (left, right) = several.split_at_mut(several.len() / 2);
            let middle = first + left.len();
            rayon::join(|| halves(left, first, of, total, f), || halves(right, middle, of, total, f));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (total, memories) in [(0, 3), (1, 3), (7, 3), (12, 4), (5, 1)] {
            let mut scratch = vec![Memory::default(); memories];
            let seen = Mutex::new(vec![0; total]);
            divide(&mut scratch, total, &|range, _| {
                let mut seen = seen.lock().unwrap();
                range.for_each(|at| seen[at] += 1);
            });
            assert_eq!(seen.into_inner().unwrap(), vec![1; total]);
        }
    }

    #[test]
    fn rows_are_an_odd_number_of_lines_apart_and_long_enough() {
        for width in 1..4000 {
            assert!(stride(width) >= width && stride(width) % 32 == 16);
        }
    }
}
