//! What is done to an index besides its calls, on a thread of its own: rows are taken into the graph, and dead ones are left behind.
//!
//! It takes a permit of the pool for the time that it computes and is helped by as many threads as no permit keeps busy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use breakwater_core::Deadline;
use breakwater_resilience::CpuPermit;
use roaring::RoaringBitmap;

use super::core::{Core, of_pool};
use super::graph::Graph;
use super::rows::Rows;
use super::slab::Slab;
use crate::index::IndexError;

/// Rows that each thread takes into the graph while walks wait: a few milliseconds.
const PER_TURN: u32 = 4;

/// Rows that each thread takes into a new graph, for which nobody waits, before the permit is given back.
const PER_PERMIT: u32 = 64;

/// How long it waits for a permit, which comes before all new work.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    TakeIn,
    Compact,
}

/// Starts the thread, which looks at the index whenever it is woken, and ends with it.
pub(super) fn start(core: &Arc<Core>) -> std::io::Result<SyncSender<()>> {
    let (wake, woken) = sync_channel(1);
    let core = Arc::downgrade(core);
    let run = move || {
        while woken.recv().is_ok() {
            let Some(core) = core.upgrade() else { return };
            if let Err(error) = tend(&core) {
                tracing::error!(space = %core.space, error = &error as &dyn std::error::Error, "an index cannot be kept up; it compares more");
                // Whoever waits for it waits no more; the next change tries again.
                core.outside.send_replace(0);
            }
        }
    };
    thread::Builder::new().name("index-upkeep".to_owned()).spawn(run)?;
    Ok(wake)
}

/// Does all that is due.
fn tend(core: &Arc<Core>) -> Result<(), IndexError> {
    while !abandoned(core) {
        match due(core) {
            Due::Nothing => break,
            Due::Compact => compact(core)?,
            Due::TakeIn => while !abandoned(core) && take_in(core)? {},
        }
    }
    Ok(())
}

/// Whether nobody but this thread has the index, or it was removed.
fn abandoned(core: &Arc<Core>) -> bool {
    Arc::strong_count(core) == 1 || core.removed.load(Ordering::Relaxed)
}

fn due(core: &Core) -> Due {
    let covered = core.graph.blocking_read().covered;
    let rows = core.rows();
    let (length, dead) = (rows.slab.len(), rows.dead());
    if dead >= u64::from(core.options.dead) && dead * 4 >= u64::from(length) {
        Due::Compact
    } else if length >= core.options.graph_from && length.saturating_sub(covered) > core.options.outside {
        Due::TakeIn
    } else {
        Due::Nothing
    }
}

/// A permit, and on how many threads its holder may spread his work.
fn permit(core: &Core) -> Result<(CpuPermit, usize), IndexError> {
    let permit = core.permits.permit(Deadline::after(PATIENCE)).map_err(of_pool)?;
    let pool = core.permits.statistics();
    Ok((permit, 1 + pool.threads.saturating_sub(pool.running)))
}

/// Takes the next few rows into the graph. Returns whether there are more.
fn take_in(core: &Core) -> Result<bool, IndexError> {
    // The permit first: walks that hold permits may wait for the graph.
    let (permit, threads) = permit(core)?;
    let still = core.keep_still();
    let mut graph = core.graph.blocking_write();
    let (slab, next, end) = {
        let rows = core.rows();
        let turn = PER_TURN.saturating_mul(u32::try_from(threads).unwrap_or(1));
        let end = rows.slab.len().min(graph.covered.saturating_add(turn));
        (rows.slab.clone(), rows.live.range(graph.covered..end).collect::<Vec<_>>(), end)
    };
    graph.add(&slab, &next, threads)?;
    graph.covered = end;
    let left = core.note(&core.rows(), &graph);
    drop((graph, still, permit));
    Ok(left > 0)
}

/// Makes rows and graph again without what is dead. The index answers and changes meanwhile.
fn compact(core: &Arc<Core>) -> Result<(), IndexError> {
    let (old, live) = {
        let rows = core.rows();
        (rows.slab.clone(), rows.live.clone())
    };
    let mut slab = Slab::new(old.dimension());
    copy(&old, live.iter(), &mut slab);
    let Some(graph) = graph_of(core, &slab)? else { return Ok(()) };

    let still = core.keep_still();
    let mut old_graph = core.graph.blocking_write();
    let mut rows = core.rows_mut();
    // What each new row was before: what was copied, which may have died since, and what came since.
    let came = rows.live.range(old.len()..);
    let before: Vec<u32> = live.iter().chain(came).collect();
    copy(&rows.slab, before.iter().copied().skip(slab.len() as usize), &mut slab);
    let alive = (0u32..).zip(&before).filter(|(_, before)| rows.live.contains(**before)).map(|(row, _)| row);
    let alive: RoaringBitmap = alive.collect();
    let labels = rows.labels.of_rows(before.iter().copied());
    let left = (std::mem::replace(&mut *rows, Rows::of(slab, labels, alive, 0)), std::mem::replace(&mut *old_graph, graph));
    rows.sequence = left.0.sequence;
    core.note(&rows, &old_graph);
    drop((rows, old_graph, still));
    // Giving back much memory takes time; nobody waits for it.
    drop(left);
    Ok(())
}

fn copy(from: &Slab, rows: impl Iterator<Item = u32>, to: &mut Slab) {
    for (key, values) in rows.filter_map(|row| from.row(row)) {
        to.push(key, values);
    }
}

/// The graph of all rows, none when there are too few to need one. `None` when nobody wants the index any more.
fn graph_of(core: &Arc<Core>, slab: &Slab) -> Result<Option<Graph>, IndexError> {
    let threads = core.permits.statistics().threads;
    let mut graph = Graph::new(slab.dimension(), threads)?;
    while slab.len() >= core.options.graph_from && graph.covered < slab.len() {
        if abandoned(core) {
            return Ok(None);
        }
        let (permit, threads) = permit(core)?;
        let turn = PER_PERMIT.saturating_mul(u32::try_from(threads).unwrap_or(1));
        let end = slab.len().min(graph.covered.saturating_add(turn));
        graph.add(slab, &(graph.covered..end).collect::<Vec<_>>(), threads)?;
        graph.covered = end;
        drop(permit);
        // Writers go on meanwhile.
        while *core.outside.borrow() > core.options.writers_wait_from() / 2 && take_in(core)? {}
    }
    Ok(Some(graph))
}
