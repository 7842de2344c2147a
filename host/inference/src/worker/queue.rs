//! The bounded queue of a worker, and when a batch is complete.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use breakwater_core::Deadline;
use tokio::sync::oneshot;

use crate::embedder::Priority;
use crate::worker::job::{Bucket, Job};
use crate::worker::{Fault, Run};

/// A job that waits for its run.
pub(crate) struct Item {
    pub(crate) job: Job,
    /// Jobs of one bucket can be computed together.
    pub(crate) bucket: Bucket,
    pub(crate) priority: Priority,
    pub(crate) deadline: Deadline,
    pub(crate) reply: oneshot::Sender<Result<Run, Fault>>,
    pub(crate) since: Instant,
}

impl Item {
    pub(crate) fn answer(self, result: Result<Run, Fault>) {
        // Whoever waited may have gone meanwhile.
        drop(self.reply.send(result));
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// How much the device in use should be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// The most images of one batch.
    pub(crate) batch: usize,
    /// The most batches side by side.
    pub(crate) at_once: usize,
}

/// What a thread has to do next.
pub(crate) struct Taken {
    /// Jobs of one bucket; may be empty. Whoever took some calls [`Queue::done`] after them.
    pub(crate) batch: Vec<Item>,
    /// Jobs whose deadline has passed, or that waited longer than any job may.
    pub(crate) expired: Vec<Item>,
    /// How many jobs nobody waited for any more.
    pub(crate) cancelled: u64,
}

/// How a queue is bounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most jobs that are prepared or wait.
    pub(crate) capacity: usize,
    /// The most jobs of one batch.
    pub(crate) max_batch: usize,
    /// How long the first job of a batch waits for others that are on their way.
    pub(crate) max_delay: Duration,
    /// How long a job may wait for its run.
    pub(crate) max_wait: Duration,
}

impl Bounds {
    /// Places that jobs of this priority may take: a quarter is kept free of bulk, so that it cannot shut out those that someone waits for.
    fn places(&self, priority: Priority) -> usize {
        match priority {
            Priority::Interactive => self.capacity,
            Priority::Bulk => (self.capacity - self.capacity / 4).max(1),
        }
    }
}

/// Batches led by interactive jobs after which one is led by a bulk job, if any waits.
const OVERTAKES: u32 = 4;

pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    bounds: Bounds,
}

#[derive(Default)]
struct State {
    /// In the order in which they came.
    items: VecDeque<Item>,
    /// Batches led by interactive jobs since bulk was last served, while bulk waited.
    overtaken: u32,
    /// Calls that were admitted and whose images are not queued yet.
    preparing: usize,
    /// Batches taken and not done.
    running: usize,
    closed: bool,
    /// Nobody takes items any more.
    abandoned: bool,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), bounds }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a call whose image is about to be prepared.
    pub(crate) fn admit(&self, priority: Priority) -> Result<(), Refused> {
        let capacity = self.bounds.places(priority);
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.preparing + state.items.len() >= capacity {
            state.items.retain(|item| !item.reply.is_closed());
        }
        if state.preparing + state.items.len() >= capacity {
            return Err(Refused::Full);
        }
        state.preparing += 1;
        Ok(())
    }

    /// Gives up a place without queueing an image.
    pub(crate) fn give_back(&self) {
        self.state().preparing -= 1;
        self.changed.notify_one();
    }

    /// Turns a place into a queued image.
    pub(crate) fn push(&self, item: Item) {
        let mut state = self.state();
        state.preparing -= 1;
        if !state.abandoned {
            state.items.push_back(item);
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// A batch that was taken is done.
    pub(crate) fn done(&self) {
        self.state().running -= 1;
        self.changed.notify_one();
    }

    /// Lets every thread look again: another device is in use.
    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Closes and empties the queue; those who wait learn that their replies will not come.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.abandoned = true;
        state.items.clear();
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn depth(&self) -> usize {
        let state = self.state();
        state.preparing + state.items.len()
    }

    /// Waits for work; nothing once the queue is closed and every admitted call is done.
    ///
    /// The oldest interactive job decides what the batch holds, or the oldest bulk job when there is none or interactive ones have
    /// overtaken bulk often enough. It waits for others only while calls are being prepared that could join it, and at most
    /// `max_delay` from when it was queued: a call that is alone never waits. `load` is asked each time, since the
    /// device in use may change; any number of threads may wait, and no more of them get work than it says.
    pub(crate) fn next(&self, load: impl Fn() -> Load) -> Option<Taken> {
        let mut state = self.state();
        loop {
            let (expired, cancelled) = state.drop_abandoned(self.bounds.max_wait);
            if !expired.is_empty() || cancelled > 0 {
                return Some(Taken { batch: Vec::new(), expired, cancelled });
            }
            let Some(first) = state.leader() else {
                if state.closed && state.preparing == 0 {
                    drop(state);
                    // The other threads wait for the same end.
                    self.changed.notify_all();
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Load { batch, at_once } = load();
            if state.running >= at_once.max(1) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let Bounds { max_batch, max_delay, .. } = self.bounds;
            let max_batch = max_batch.min(batch).max(1);
            let (bucket, priority) = (first.bucket, first.priority);
            let waited = first.since.elapsed();
            let ready = state.items.iter().filter(|item| item.bucket == bucket).count();
            if ready >= max_batch || state.preparing == 0 || state.closed || waited >= max_delay {
                let batch = state.take(bucket, priority, max_batch);
                state.running += 1;
                if !state.items.is_empty() {
                    self.changed.notify_one();
                }
                return Some(Taken { batch, expired, cancelled });
            }
            let waiting = self.changed.wait_timeout(state, max_delay.saturating_sub(waited));
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// The job that decides what the next batch holds.
    fn leader(&self) -> Option<&Item> {
        let first = |priority| self.items.iter().find(|item| item.priority == priority);
        let (interactive, bulk) = (first(Priority::Interactive), first(Priority::Bulk));
        if self.overtaken >= OVERTAKES { bulk.or(interactive) } else { interactive.or(bulk) }
    }

    /// Takes out jobs that nobody waits for, and those whose deadline has passed or that have waited too long.
    fn drop_abandoned(&mut self, max_wait: Duration) -> (Vec<Item>, u64) {
        let before = self.items.len();
        self.items.retain(|item| !item.reply.is_closed());
        let cancelled = (before - self.items.len()) as u64;
        let late = |item: &Item| item.deadline.has_passed() || item.since.elapsed() >= max_wait;
        let (expired, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.items).into_iter().partition(late);
        self.items = waiting.into();
        (expired, cancelled)
    }

    /// Takes out up to `count` jobs of a bucket, oldest first; those of the leader's priority before the others.
    fn take(&mut self, bucket: Bucket, lead: Priority, count: usize) -> Vec<Item> {
        let fits = |item: &&Item, priority| item.bucket == bucket && item.priority == priority;
        let of_lead = self.items.iter().filter(|item| fits(item, lead)).count().min(count);
        let mut places = [(lead, of_lead), (lead.other(), count - of_lead)];
        let mut batch = Vec::new();
        let mut others = VecDeque::with_capacity(self.items.len());
        for item in self.items.drain(..) {
            let place = places.iter_mut().find(|(priority, left)| item.bucket == bucket && *priority == item.priority && *left > 0);
            match place {
                Some((_, left)) => {
                    *left -= 1;
                    batch.push(item);
                }
                None => others.push_back(item),
            }
        }
        self.items = others;
        let bulk = |item: &Item| item.priority == Priority::Bulk;
        let overtakes = !batch.iter().any(bulk) && self.items.iter().any(bulk);
        self.overtaken = if overtakes { self.overtaken + 1 } else { 0 };
        batch
    }
}

#[cfg(test)]
mod tests;
