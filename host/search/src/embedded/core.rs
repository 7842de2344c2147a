//! One index: its rows, its graph, and how they are locked.
//!
//! The rows' lock is held for moments: a reader takes a [`View`](super::rows::View), which nothing changes, and lets go. The graph's lock is
//! held during a walk, or by the one who adds to it a few nodes at a time; it is fair, so neither starves the other. Whoever takes both
//! takes the graph's first. No lock is held across work that is divided among the threads of the pool: one of them might meanwhile pick
//! up a job that waits for that very lock.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use breakwater_core::{Failure, FailureKind};
use breakwater_resilience::CpuPermits;
use tokio::sync::{RwLock as FairLock, watch};

use super::graph::Graph;
use super::nearest::Nearest;
use super::options::EmbeddedOptions;
use super::rows::{Prepared, Rows, View};
use crate::filter::Filter;
use crate::index::{Hits, IndexError, Key, Method, Query};
use crate::planner::{Plan, Situation, plan};
use crate::space::Space;

/// Shared by the index, its upkeep and the jobs on the pool.
pub(super) struct Core {
    pub(super) space: Space,
    pub(super) folder: PathBuf,
    pub(super) options: EmbeddedOptions,
    pub(super) permits: Arc<CpuPermits>,
    pub(super) graph: FairLock<Graph>,
    rows: RwLock<Rows>,
    /// Held by whoever changes the graph and by whoever saves it, so that no walk has to wait for a file.
    still: Mutex<()>,
    /// Copies of what the locks guard, for whoever must not wait.
    pub(super) sequence: AtomicU64,
    row_bytes: AtomicU64,
    graph_bytes: AtomicU64,
    /// Rows outside of the graph; tells writers when there are few again.
    pub(super) outside: watch::Sender<u32>,
    /// Set when what is stored of the space was deleted: nothing is written any more.
    pub(super) removed: AtomicBool,
}

impl Core {
    pub(super) fn new(
        space: Space,
        folder: PathBuf,
        options: EmbeddedOptions,
        permits: Arc<CpuPermits>,
        (rows, graph): (Rows, Graph),
    ) -> Self {
        let (row_bytes, graph_bytes) = (rows.bytes(), graph.bytes());
        let outside = rows.slab.len().saturating_sub(graph.covered);
        Self {
            space,
            folder,
            options,
            permits,
            sequence: AtomicU64::new(rows.sequence),
            graph: FairLock::new(graph),
            rows: RwLock::new(rows),
            still: Mutex::default(),
            row_bytes: AtomicU64::new(row_bytes),
            graph_bytes: AtomicU64::new(graph_bytes),
            outside: watch::channel(outside).0,
            removed: AtomicBool::new(false),
        }
    }

    /// Whatever panics leaves rows that agree with each other.
    pub(super) fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rows_mut(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the graph as it is while the guard lives.
    pub(super) fn keep_still(&self) -> MutexGuard<'_, ()> {
        self.still.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory held, as it was after the last change.
    pub(super) fn bytes(&self) -> u64 {
        self.row_bytes.load(Ordering::Relaxed) + self.graph_bytes.load(Ordering::Relaxed)
    }

    /// Notes how large rows and graph are, of which the caller has the locks. Returns how many rows are outside of the graph.
    pub(super) fn note(&self, rows: &Rows, graph: &Graph) -> u32 {
        let outside = rows.slab.len().saturating_sub(graph.covered);
        self.row_bytes.store(rows.bytes(), Ordering::Relaxed);
        self.graph_bytes.store(graph.bytes(), Ordering::Relaxed);
        self.outside.send_replace(outside);
        outside
    }

    /// Keeps entries. Runs on the pool.
    pub(super) fn upsert(&self, entries: &[Prepared], sequence: u64) -> Result<(), IndexError> {
        let mut rows = self.rows_mut();
        let before = rows.slab.len();
        rows.upsert(entries, sequence, self.options.max_vectors)?;
        self.sequence.store(rows.sequence, Ordering::Release);
        self.row_bytes.store(rows.bytes(), Ordering::Relaxed);
        let added = rows.slab.len() - before;
        self.outside.send_modify(|outside| *outside = outside.saturating_add(added));
        Ok(())
    }

    /// Forgets keys. Runs on the pool.
    pub(super) fn delete(&self, keys: &[Key], sequence: u64) -> usize {
        let mut rows = self.rows_mut();
        let deleted = rows.delete(keys, sequence);
        self.sequence.store(rows.sequence, Ordering::Release);
        deleted
    }

    /// How many rows the filter admits. Runs on the pool.
    pub(super) fn count(&self, filter: &Filter) -> u64 {
        let rows = self.rows();
        rows.labels.admitted(filter, &rows.live).len()
    }

    /// Answers a query that was checked before. Runs on the pool.
    pub(super) fn search(&self, query: &Query) -> Result<Hits, IndexError> {
        if query.exact {
            let view = self.rows().view(&query.filter);
            return compare(&view, query, selectivity(&view));
        }
        let graph = self.graph.blocking_read();
        let view = self.rows().view(&query.filter);
        let selectivity = selectivity(&view);
        let situation = Situation {
            admitted: view.admitted.len(),
            admitted_in_graph: view.admitted.range_cardinality(..graph.covered),
            graph: graph.len() as u64,
            count: query.count,
            ef: self.options.ef,
            exact: false,
        };
        if let Plan::Walk { ef } = plan(situation)
            && let Some(hits) = walk(&graph, &view, query, ef, selectivity)?
        {
            return Ok(hits);
        }
        drop(graph);
        compare(&view, query, selectivity)
    }
}

/// The share of all rows that the filter admits; all of none.
fn selectivity(view: &View) -> f64 {
    if view.live == 0 { 1.0 } else { view.admitted.len() as f64 / view.live as f64 }
}

/// Compares with everything that is admitted.
fn compare(view: &View, query: &Query, selectivity: f64) -> Result<Hits, IndexError> {
    let nearest = view.slab.scan(query.vector.values(), &view.admitted, query.count, query.deadline)?;
    Ok(Hits { hits: nearest.into_hits(), method: Method::Exact, ef: 0, scanned: view.admitted.len(), selectivity })
}

/// Walks the graph and compares with what is not in it yet. None when that is less than there is.
fn walk(graph: &Graph, view: &View, query: &Query, ef: usize, selectivity: f64) -> Result<Option<Hits>, IndexError> {
    let vector = query.vector.values();
    let walk = graph.walk(vector, ef, &view.admitted, query.deadline)?;
    let mut nearest = Nearest::new(query.count);
    view.slab.offer(vector, walk.rows.into_iter(), &mut nearest, query.deadline)?;
    let outside = view.slab.offer(vector, view.admitted.range(graph.covered..), &mut nearest, query.deadline)?;
    if (nearest.len() as u64) < view.admitted.len().min(query.count as u64) {
        return Ok(None);
    }
    let method = if view.admitted.len() < view.live { Method::Iterative } else { Method::Approximate };
    let scanned = walk.seen.min(graph.len() as u64) + outside;
    Ok(Some(Hits { hits: nearest.into_hits(), method, ef, scanned, selectivity }))
}

/// What a failure of the pool means for an index.
pub(super) fn of_pool(failure: Failure) -> IndexError {
    match failure.kind {
        FailureKind::Timeout => IndexError::Timeout,
        _ => IndexError::Unavailable { what: "the CPU pool".to_owned(), source: Box::new(failure) },
    }
}
