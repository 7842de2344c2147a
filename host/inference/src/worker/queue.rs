//! The bounded queue of a worker, and when a batch is complete.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use breakwater_core::{Deadline, Failure};
use tokio::sync::oneshot;

use crate::frame::Frame;
use crate::worker::Run;

/// An image that waits for its run.
pub(crate) struct Item {
    pub(crate) frame: Frame,
    pub(crate) deadline: Deadline,
    pub(crate) reply: oneshot::Sender<Result<Run, Failure>>,
    pub(crate) since: Instant,
}

impl Item {
    pub(crate) fn answer(self, result: Result<Run, Failure>) {
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
    /// Images of one shape; may be empty. Whoever took some calls [`Queue::done`] after them.
    pub(crate) batch: Vec<Item>,
    /// Images whose deadline has passed.
    pub(crate) expired: Vec<Item>,
    /// How many images nobody waited for any more.
    pub(crate) cancelled: u64,
}

pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
    max_batch: usize,
    max_delay: Duration,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Calls that were admitted and whose images are not queued yet.
    preparing: usize,
    /// Batches taken and not done.
    running: usize,
    closed: bool,
    /// Nobody takes items any more.
    abandoned: bool,
}

impl Queue {
    pub(crate) fn new(capacity: usize, max_batch: usize, max_delay: Duration) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), capacity, max_batch, max_delay }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a call whose image is about to be prepared.
    pub(crate) fn admit(&self) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.preparing + state.items.len() >= self.capacity {
            state.items.retain(|item| !item.reply.is_closed());
        }
        if state.preparing + state.items.len() >= self.capacity {
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
    /// The oldest image decides the batch's shape. It waits for others only while calls are being prepared that could join it,
    /// and at most `max_delay` from when it was queued: a call that is alone never waits. `load` is asked each time, since the
    /// device in use may change; any number of threads may wait, and no more of them get work than it says.
    pub(crate) fn next(&self, load: impl Fn() -> Load) -> Option<Taken> {
        let mut state = self.state();
        loop {
            let (expired, cancelled) = state.drop_abandoned();
            if !expired.is_empty() || cancelled > 0 {
                return Some(Taken { batch: Vec::new(), expired, cancelled });
            }
            let Some(first) = state.items.front() else {
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
            let max_batch = self.max_batch.min(batch).max(1);
            let shape = first.frame.input;
            let waited = first.since.elapsed();
            let ready = state.items.iter().filter(|item| item.frame.input == shape).count();
            if ready >= max_batch || state.preparing == 0 || state.closed || waited >= self.max_delay {
                let batch = state.take(shape, max_batch);
                state.running += 1;
                if !state.items.is_empty() {
                    self.changed.notify_one();
                }
                return Some(Taken { batch, expired, cancelled });
            }
            let waiting = self.changed.wait_timeout(state, self.max_delay.saturating_sub(waited));
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Takes out images that nobody waits for, and those whose deadline has passed.
    fn drop_abandoned(&mut self) -> (Vec<Item>, u64) {
        let before = self.items.len();
        self.items.retain(|item| !item.reply.is_closed());
        let cancelled = (before - self.items.len()) as u64;
        let (expired, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.items).into_iter().partition(|item| item.deadline.has_passed());
        self.items = waiting.into();
        (expired, cancelled)
    }

    /// Takes out up to `count` images of a shape, oldest first.
    fn take(&mut self, shape: breakwater_core::Size, count: usize) -> Vec<Item> {
        let mut batch = Vec::new();
        let mut others = VecDeque::with_capacity(self.items.len());
        for item in self.items.drain(..) {
            if item.frame.input == shape && batch.len() < count { batch.push(item) } else { others.push_back(item) }
        }
        self.items = others;
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use breakwater_core::Size;
    use breakwater_vision::RgbImage;

    type Reply = oneshot::Receiver<Result<Run, Failure>>;

    fn push(queue: &Queue, edge: u32, budget: Duration) -> Reply {
        let content = RgbImage { size: Size::new(1, 1), pixels: vec![0; 3] };
        let frame = Frame { content, left: 0, top: 0, input: Size::new(edge, edge) };
        let (reply, result) = oneshot::channel();
        queue.push(Item { frame, deadline: Deadline::after(budget), reply, since: Instant::now() });
        result
    }

    fn next(queue: &Queue) -> Option<Taken> {
        queue.next(|| Load { batch: usize::MAX, at_once: usize::MAX })
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_call_that_is_alone_does_not_wait_for_others() {
        // With an hour's delay, only the rule that nothing else is on its way can let it go.
        let queue = Queue::new(4, 8, LONG);
        queue.admit().unwrap();
        let _reply = push(&queue, 32, LONG);
        assert_eq!(next(&queue).unwrap().batch.len(), 1);
    }

    #[test]
    fn calls_on_their_way_are_waited_for_and_full_batches_go_at_once() {
        let queue = Queue::new(8, 2, LONG);
        for _ in 0..4 {
            queue.admit().unwrap();
        }
        std::thread::scope(|scope| {
            let batch = scope.spawn(|| next(&queue).unwrap().batch.len());
            let _first = push(&queue, 32, LONG);
            let _second = push(&queue, 32, LONG);
            assert_eq!(batch.join().unwrap(), 2, "full while two more are on their way");
            let batch = scope.spawn(|| next(&queue).unwrap().batch.len());
            let _third = push(&queue, 32, LONG);
            queue.give_back();
            assert_eq!(batch.join().unwrap(), 1, "the last one on its way gave up");
        });
    }

    #[test]
    fn the_wait_for_others_is_bounded() {
        let queue = Queue::new(8, 8, Duration::from_millis(5));
        queue.admit().unwrap();
        queue.admit().unwrap();
        let _reply = push(&queue, 32, LONG);
        let start = Instant::now();
        assert_eq!(next(&queue).unwrap().batch.len(), 1);
        assert!(start.elapsed() >= Duration::from_millis(4), "{:?}", start.elapsed());
    }

    #[test]
    fn a_batch_holds_images_of_one_shape_in_their_order() {
        let queue = Queue::new(8, 8, Duration::ZERO);
        let mut replies = Vec::new();
        for edge in [32, 64, 32] {
            queue.admit().unwrap();
            replies.push(push(&queue, edge, LONG));
        }
        let edges = |taken: Taken| taken.batch.iter().map(|item| item.frame.input.width).collect::<Vec<_>>();
        assert_eq!(edges(next(&queue).unwrap()), [32, 32]);
        assert_eq!(edges(next(&queue).unwrap()), [64]);
    }

    #[test]
    fn places_are_bounded_and_come_back_when_callers_go() {
        let queue = Queue::new(2, 8, Duration::ZERO);
        queue.admit().unwrap();
        queue.admit().unwrap();
        assert_eq!(queue.admit(), Err(Refused::Full));
        queue.give_back();
        queue.admit().unwrap();
        let reply = push(&queue, 32, LONG);
        assert_eq!(queue.admit(), Err(Refused::Full));
        drop(reply);
        assert_eq!(queue.admit(), Ok(()), "the caller of the queued image has gone");
    }

    #[test]
    fn images_past_their_deadline_and_without_callers_never_reach_a_batch() {
        let queue = Queue::new(8, 8, Duration::ZERO);
        for _ in 0..3 {
            queue.admit().unwrap();
        }
        let _late = push(&queue, 32, Duration::ZERO);
        drop(push(&queue, 32, LONG));
        let _kept = push(&queue, 32, LONG);
        let taken = next(&queue).unwrap();
        assert_eq!((taken.batch.len(), taken.expired.len(), taken.cancelled), (0, 1, 1));
        assert_eq!(next(&queue).unwrap().batch.len(), 1);
    }

    #[test]
    fn a_device_that_wants_one_image_gets_one_and_nobody_waits() {
        let queue = Queue::new(8, 8, LONG);
        for _ in 0..3 {
            queue.admit().unwrap();
        }
        let _replies = [push(&queue, 32, LONG), push(&queue, 32, LONG)];
        let load = || Load { batch: 1, at_once: 1 };
        assert_eq!(queue.next(load).unwrap().batch.len(), 1, "another call is still being prepared");
    }

    #[test]
    fn no_more_batches_are_out_at_once_than_the_device_wants() {
        let queue = Queue::new(8, 8, Duration::ZERO);
        for _ in 0..4 {
            queue.admit().unwrap();
        }
        let _replies = [32, 64, 96, 128].map(|edge| push(&queue, edge, LONG));
        let at_once = AtomicUsize::new(1);
        let next = || queue.next(|| Load { batch: 1, at_once: at_once.load(Ordering::SeqCst) }).unwrap().batch[0].frame.input.width;
        assert_eq!(next(), 32);
        std::thread::scope(|scope| {
            let second = scope.spawn(next);
            let third = scope.spawn(next);
            // One of them goes on when the first batch is done, the other when the device changes.
            queue.done();
            while queue.depth() == 3 {
                std::thread::yield_now();
            }
            assert_eq!((queue.depth(), second.is_finished() && third.is_finished()), (2, false));
            at_once.store(2, Ordering::SeqCst);
            queue.wake();
            let mut edges = [second.join().unwrap(), third.join().unwrap()];
            edges.sort_unstable();
            assert_eq!(edges, [64, 96]);
        });
        queue.done();
        assert_eq!(next(), 128);
    }

    #[test]
    fn every_thread_learns_that_the_queue_has_ended() {
        let queue = Queue::new(8, 8, LONG);
        queue.admit().unwrap();
        std::thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(|| next(&queue).is_none()));
            queue.close();
            assert!(threads.iter().all(|thread| !thread.is_finished()), "a call is still on its way");
            queue.give_back();
            assert!(threads.map(|thread| thread.join().unwrap()).into_iter().all(|ended| ended));
        });
    }

    #[test]
    fn an_abandoned_queue_drops_what_waits_and_what_still_comes() {
        let queue = Queue::new(8, 8, LONG);
        queue.admit().unwrap();
        queue.admit().unwrap();
        let mut waiting = push(&queue, 32, LONG);
        queue.abandon();
        let mut late = push(&queue, 32, LONG);
        assert!(waiting.try_recv().is_err() && late.try_recv().is_err());
        assert_eq!((queue.depth(), queue.admit()), (0, Err(Refused::Closed)));
    }

    #[test]
    fn a_closed_queue_ends_after_the_calls_it_has_admitted() {
        let queue = Queue::new(8, 8, LONG);
        queue.admit().unwrap();
        queue.close();
        assert_eq!(queue.admit(), Err(Refused::Closed));
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| (next(&queue).unwrap().batch.len(), next(&queue).is_none()));
            let _reply = push(&queue, 32, LONG);
            assert_eq!(worker.join().unwrap(), (1, true));
        });
    }
}
