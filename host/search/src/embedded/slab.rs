//! Vectors in half precision, one after the other.
//!
//! Rows are only ever added, so whoever has a clone sees what was there when it was made, without a lock and without a copy: a clone
//! shares all but the last few rows with the original.

use std::sync::Arc;

use breakwater_core::Deadline;
use half::f16;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use roaring::RoaringBitmap;

use super::kernel::{Kernel, prefetch};
use super::nearest::Nearest;
use crate::index::{Hit, IndexError, Key};

/// Rows that are shared or copied together. While someone reads a clone, the next row added copies fewer than so many.
pub(super) const CHUNK: usize = 512;

/// Rows compared between two looks at the clock: less than a millisecond.
const BETWEEN_LOOKS: u64 = 4096;

/// Rows that one thread compares; more are divided among those that are idle.
const PER_THREAD: u32 = 16_384;

/// Rows, numbered from 0.
#[derive(Debug, Clone)]
pub(super) struct Slab {
    dimension: usize,
    kernel: Kernel,
    /// Of [`CHUNK`] rows each.
    full: Arc<Vec<Arc<Chunk>>>,
    last: Arc<Chunk>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub(super) keys: Vec<Key>,
    pub(super) values: Vec<f16>,
}

impl Slab {
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, kernel: Kernel::detect(), full: Arc::default(), last: Arc::default() }
    }

    pub(super) fn len(&self) -> u32 {
        // No row is added when there are `u32::MAX`.
        u32::try_from(self.full.len() * CHUNK + self.last.keys.len()).unwrap_or(u32::MAX)
    }

    /// Numbers of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Adds a row of as many numbers as the dimension says, and returns its number.
    pub(super) fn push(&mut self, key: Key, values: &[f16]) -> u32 {
        let row = self.len();
        let last = Arc::make_mut(&mut self.last);
        last.keys.push(key);
        last.values.extend_from_slice(values);
        if last.keys.len() == CHUNK {
            Arc::make_mut(&mut self.full).push(std::mem::take(&mut self.last));
        }
        row
    }

    /// The key and the vector of a row.
    pub(super) fn row(&self, row: u32) -> Option<(Key, &[f16])> {
        let row = row as usize;
        let chunk = self.full.get(row / CHUNK).unwrap_or(&self.last);
        let start = row % CHUNK * self.dimension;
        // A row past the end is in no chunk but at a place of the last.
        let in_last = row / CHUNK <= self.full.len();
        let key = chunk.keys.get(row % CHUNK).filter(|_| in_last)?;
        Some((*key, chunk.values.get(start..start + self.dimension)?))
    }

    /// A row and its similarity to the query.
    fn hit(&self, query: &[f32], row: u32) -> Option<Hit> {
        let (key, values) = self.row(row)?;
        Some(Hit { key, similarity: self.kernel.dot(query, values).clamp(-1.0, 1.0) })
    }

    /// All chunks in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.full.iter().chain([&self.last]).map(|chunk| &**chunk)
    }

    /// Compares the query with rows, on the calling thread.
    pub(super) fn offer(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        nearest: &mut Nearest,
        deadline: Deadline,
    ) -> Result<u64, IndexError> {
        let (mut compared, mut rows) = (0, rows.peekable());
        while let Some(row) = rows.next() {
            if compared % BETWEEN_LOOKS == 0 && deadline.has_passed() {
                return Err(IndexError::Timeout);
            }
            if let Some((_, next)) = rows.peek().and_then(|next| self.row(*next)) {
                prefetch(next);
            }
            let Some(hit) = self.hit(query, row) else { break };
            nearest.offer(hit);
            compared += 1;
        }
        Ok(compared)
    }

    /// The `count` nearest of some rows, on the threads of the pool that this runs on.
    pub(super) fn scan(&self, query: &[f32], rows: &RoaringBitmap, count: usize, deadline: Deadline) -> Result<Nearest, IndexError> {
        let part = |from: u32| {
            let mut nearest = Nearest::new(count);
            let rows = rows.range(from..from.saturating_add(PER_THREAD));
            self.offer(query, rows, &mut nearest, deadline).map(|_| nearest)
        };
        if rows.len() <= u64::from(PER_THREAD) {
            let mut nearest = Nearest::new(count);
            return self.offer(query, rows.iter(), &mut nearest, deadline).map(|_| nearest);
        }
        let starts: Vec<u32> = (0..self.len()).step_by(PER_THREAD as usize).collect();
        starts.into_par_iter().map(part).try_reduce(|| Nearest::new(count), |a, b| Ok(a.merge(b)))
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.len()) * (self.dimension * size_of::<f16>() + size_of::<Key>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn slab(rows: u32) -> Slab {
        let mut slab = Slab::new(2);
        for row in 0..rows {
            let angle = row as f32 * 0.001;
            assert_eq!(slab.push(Key(u64::from(row) * 3), &[f16::from_f32(angle.cos()), f16::from_f32(angle.sin())]), row);
        }
        slab
    }

    #[test]
    fn a_clone_keeps_what_was_there() {
        for rows in [0, 1, CHUNK as u32 - 1, CHUNK as u32, 3 * CHUNK as u32 + 7] {
            let mut slab = slab(rows);
            let before = slab.clone();
            for _ in 0..2 * CHUNK {
                slab.push(Key(9), &[f16::ONE, f16::ZERO]);
            }
            assert_eq!(before.len(), rows);
            assert_eq!(slab.len(), rows + 2 * CHUNK as u32);
            assert_eq!(before.row(rows), None);
            assert_eq!(before.row(rows + 2 * CHUNK as u32), None);
            assert!((0..rows).all(|row| before.row(row) == slab.row(row) && before.row(row).unwrap().0 == Key(u64::from(row) * 3)));
            assert_eq!(slab.chunks().map(|chunk| chunk.keys.len()).sum::<usize>(), slab.len() as usize);
        }
    }

    #[test]
    fn many_rows_are_compared_by_several_threads_as_by_one() {
        let slab = slab(3 * PER_THREAD + 5);
        let rows = RoaringBitmap::from_sorted_iter((0..slab.len()).filter(|row| row % 3 != 0)).unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        let query = [0.6, 0.8];
        let mut one = Nearest::new(50);
        assert_eq!(slab.offer(&query, rows.iter(), &mut one, deadline).unwrap(), rows.len());
        assert_eq!(slab.scan(&query, &rows, 50, deadline).unwrap().into_hits(), one.into_hits());
        let late = Deadline::after(Duration::ZERO);
        assert!(matches!(slab.scan(&query, &rows, 50, late), Err(IndexError::Timeout)));
        assert!(matches!(slab.scan(&query, &(0..10).collect(), 50, late), Err(IndexError::Timeout)));
    }
}
