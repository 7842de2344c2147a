//! The graph of near neighbours, kept by usearch.
//!
//! It knows vectors by the numbers of their rows and never forgets one: dead rows stay as places to walk over, and are not admitted as
//! hits. usearch could remove vectors and use their places again, but then links to the old place stay, and recall falls with every
//! change.
//!
//! usearch locks nodes while it adds, but not while it searches: a search beside an addition may read half of a changed link and follow
//! it anywhere. So whoever adds has the graph for himself. Growing is done there too.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use breakwater_core::Deadline;
use half::slice::HalfFloatSliceExt;
use roaring::RoaringBitmap;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use super::slab::Slab;
use crate::index::IndexError;

/// Links of a node; twice as many in the lowest layer. The usual 16 of the paper (Malkov and Yashunin, 2018), of hnswlib and pgvector.
pub(super) const CONNECTIVITY: usize = 16;

/// Candidates kept while a place for a new node is looked for.
pub(super) const EXPANSION: usize = 128;

/// Places the graph has from the start; they double whenever they run out.
const CAPACITY: usize = 8192;

/// Where a node is, where its vector is, and an entry of the table of keys.
const BYTES_PER_PLACE: usize = 8 + 8 + 16;

/// Rows as a graph.
pub(super) struct Graph {
    index: Index,
    /// Searches, or additions, at the same time.
    threads: usize,
    /// Rows before this one are in the graph, those aside that were dead when their turn came.
    pub(super) covered: u32,
}

/// Where a walk has led.
#[derive(Debug)]
pub(super) struct Walk {
    /// Admitted rows, the nearest first by what the graph knows.
    pub(super) rows: Vec<u32>,
    /// Vectors that were near enough to be considered.
    pub(super) seen: u64,
}

fn failed<E: std::error::Error + Send + Sync + 'static>(what: &str) -> impl FnOnce(E) -> IndexError + '_ {
    move |source| IndexError::Unavailable { what: what.to_owned(), source: Box::new(source) }
}

impl Graph {
    /// A graph without nodes, for so many threads.
    pub(super) fn new(dimension: usize, threads: usize) -> Result<Self, IndexError> {
        let options = IndexOptions {
            dimensions: dimension,
            // Of unit vectors: the same order as by cosine, without their lengths.
            metric: MetricKind::IP,
            quantization: ScalarKind::F16,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION,
            expansion_search: 1,
            multi: false,
        };
        let index = Index::new(&options).map_err(failed("making a graph"))?;
        Ok(Self { index, threads, covered: 0 })
    }

    /// Adds those of some rows that are not there yet, on several threads.
    pub(super) fn add(&mut self, slab: &Slab, rows: &[u32], threads: usize) -> Result<(), IndexError> {
        self.reserve(self.index.size() + rows.len())?;
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.add_one(slab, *row)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads.min(rows.len()).min(self.threads)).map(|_| scope.spawn(work)).collect();
            let done = work();
            helpers.into_iter().try_fold(done, |done, helper| Ok(done.and(helper.join().map_err(|_| panicked())?)))?
        })
    }

    fn add_one(&self, slab: &Slab, row: u32) -> Result<(), IndexError> {
        let key = u64::from(row);
        match slab.row(row) {
            Some((_, values)) if !self.index.contains(key) => {
                let bits: &[i16] = bytemuck::cast_slice(values.reinterpret_cast());
                self.index.add(key, usearch::f16::from_i16s(bits)).map_err(failed("adding to a graph"))
            }
            _ => Ok(()),
        }
    }

    fn reserve(&self, nodes: usize) -> Result<(), IndexError> {
        if nodes <= self.index.capacity() && self.index.capacity() > 0 {
            return Ok(());
        }
        let capacity = nodes.max(2 * self.index.capacity()).max(CAPACITY);
        self.index.reserve_capacity_and_threads(capacity, self.threads).map_err(failed("growing a graph"))
    }

    /// The `ef` admitted rows that are nearest as far as a walk of that width finds them; it goes on until there are so many or it has
    /// seen everything that can be reached.
    ///
    /// Past the deadline it ends at once, with whatever it met.
    pub(super) fn walk(&self, query: &[f32], ef: usize, admitted: &RoaringBitmap, deadline: Deadline) -> Result<Walk, IndexError> {
        let (seen, late) = (Cell::new(0u64), Cell::new(false));
        let all = admitted.len() == u64::from(self.covered) && admitted.max().is_none_or(|row| row < self.covered);
        let admits = |key: u64| {
            seen.set(seen.get() + 1);
            if seen.get().is_multiple_of(4096) && deadline.has_passed() {
                late.set(true);
            }
            late.get() || all || u32::try_from(key).is_ok_and(|row| admitted.contains(row))
        };
        if self.index.size() == 0 {
            return Ok(Walk { rows: Vec::new(), seen: 0 });
        }
        let found = self.index.filtered_search(query, ef.min(self.index.size()), admits).map_err(failed("searching a graph"))?;
        if late.get() {
            return Err(IndexError::Timeout);
        }
        let rows = found.keys.into_iter().filter_map(|key| u32::try_from(key).ok()).collect();
        Ok(Walk { rows, seen: seen.get() })
    }

    /// Rows in the graph.
    pub(super) fn len(&self) -> usize {
        self.index.size()
    }

    /// Writes it to a file.
    pub(super) fn save(&self, path: &str) -> Result<(), IndexError> {
        self.index.save(path).map_err(failed("saving a graph"))
    }

    /// Reads it from a file that [`Self::save`] wrote, which must not have been changed since.
    pub(super) fn load(dimension: usize, threads: usize, path: &str, covered: u32) -> Result<Self, IndexError> {
        let mut graph = Self::new(dimension, threads)?;
        graph.index.load(path).map_err(|error| IndexError::Corrupt(error.to_string()))?;
        let index = &graph.index;
        if index.dimensions() != dimension || index.scalar_kind() != ScalarKind::F16 || index.size() > covered as usize {
            return Err(IndexError::Corrupt("the graph is of something else".to_owned()));
        }
        let capacity = index.size().max(CAPACITY);
        index.reserve_capacity_and_threads(capacity, threads).map_err(failed("growing a graph"))?;
        graph.covered = covered;
        Ok(graph)
    }

    /// Memory held, in bytes: what was asked of the system for nodes and vectors, and the tables that find them. (usearch's own figure
    /// looks at every node.)
    pub(super) fn bytes(&self) -> u64 {
        let memory = self.index.memory_stats();
        (memory.graph_allocated + memory.vectors_allocated + self.index.capacity() * BYTES_PER_PLACE) as u64
    }
}

fn panicked() -> IndexError {
    IndexError::Unavailable { what: "adding to a graph".to_owned(), source: "a thread panicked".into() }
}
