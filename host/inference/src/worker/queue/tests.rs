use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::frame::Frame;
use breakwater_core::Size;
use breakwater_vision::RgbImage;

type Reply = oneshot::Receiver<Result<Run, Fault>>;

fn queue(capacity: usize, max_batch: usize, max_delay: Duration) -> Queue {
    Queue::new(Bounds { capacity, max_batch, max_delay, max_wait: LONG })
}

fn admit(queue: &Queue) -> Result<(), Refused> {
    queue.admit(Priority::Interactive)
}

fn push(queue: &Queue, edge: u32, budget: Duration) -> Reply {
    push_as(queue, Priority::Interactive, edge, budget)
}

fn push_as(queue: &Queue, priority: Priority, edge: u32, budget: Duration) -> Reply {
    let content = RgbImage { size: Size::new(1, 1), pixels: vec![0; 3] };
    let frame = Frame { content, left: 0, top: 0, input: Size::new(edge, edge) };
    let (reply, result) = oneshot::channel();
    let job = Job::Frame(frame);
    queue.push(Item { bucket: job.bucket(), job, priority, deadline: Deadline::after(budget), reply, since: Instant::now() });
    result
}

fn next(queue: &Queue) -> Option<Taken> {
    queue.next(|| Load { batch: usize::MAX, at_once: usize::MAX })
}

fn edge(item: &Item) -> u32 {
    match &item.job {
        Job::Frame(frame) => frame.input.width,
        other => panic!("{other:?}"),
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_call_that_is_alone_does_not_wait_for_others() {
    // With an hour's delay, only the rule that nothing else is on its way can let it go.
    let queue = queue(4, 8, LONG);
    admit(&queue).unwrap();
    let _reply = push(&queue, 32, LONG);
    assert_eq!(next(&queue).unwrap().batch.len(), 1);
}

#[test]
fn calls_on_their_way_are_waited_for_and_full_batches_go_at_once() {
    let queue = queue(8, 2, LONG);
    for _ in 0..4 {
        admit(&queue).unwrap();
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
    let queue = queue(8, 8, Duration::from_millis(5));
    admit(&queue).unwrap();
    admit(&queue).unwrap();
    let _reply = push(&queue, 32, LONG);
    let start = Instant::now();
    assert_eq!(next(&queue).unwrap().batch.len(), 1);
    assert!(start.elapsed() >= Duration::from_millis(4), "{:?}", start.elapsed());
}

#[test]
fn a_batch_holds_images_of_one_shape_in_their_order() {
    let queue = queue(8, 8, Duration::ZERO);
    let mut replies = Vec::new();
    for edge in [32, 64, 32] {
        admit(&queue).unwrap();
        replies.push(push(&queue, edge, LONG));
    }
    let edges = |taken: Taken| taken.batch.iter().map(edge).collect::<Vec<_>>();
    assert_eq!(edges(next(&queue).unwrap()), [32, 32]);
    assert_eq!(edges(next(&queue).unwrap()), [64]);
}

#[test]
fn places_are_bounded_and_come_back_when_callers_go() {
    let queue = queue(2, 8, Duration::ZERO);
    admit(&queue).unwrap();
    admit(&queue).unwrap();
    assert_eq!(admit(&queue), Err(Refused::Full));
    queue.give_back();
    admit(&queue).unwrap();
    let reply = push(&queue, 32, LONG);
    assert_eq!(admit(&queue), Err(Refused::Full));
    drop(reply);
    assert_eq!(admit(&queue), Ok(()), "the caller of the queued image has gone");
}

#[test]
fn images_past_their_deadline_and_without_callers_never_reach_a_batch() {
    let queue = queue(8, 8, Duration::ZERO);
    for _ in 0..3 {
        admit(&queue).unwrap();
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
    let queue = queue(8, 8, LONG);
    for _ in 0..3 {
        admit(&queue).unwrap();
    }
    let _replies = [push(&queue, 32, LONG), push(&queue, 32, LONG)];
    let load = || Load { batch: 1, at_once: 1 };
    assert_eq!(queue.next(load).unwrap().batch.len(), 1, "another call is still being prepared");
}

#[test]
fn no_more_batches_are_out_at_once_than_the_device_wants() {
    let queue = queue(8, 8, Duration::ZERO);
    for _ in 0..4 {
        admit(&queue).unwrap();
    }
    let _replies = [32, 64, 96, 128].map(|edge| push(&queue, edge, LONG));
    let at_once = AtomicUsize::new(1);
    let next = || queue.next(|| Load { batch: 1, at_once: at_once.load(Ordering::SeqCst) }).unwrap().batch.first().map(edge).unwrap();
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
    let queue = queue(8, 8, LONG);
    admit(&queue).unwrap();
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
    let queue = queue(8, 8, LONG);
    admit(&queue).unwrap();
    admit(&queue).unwrap();
    let mut waiting = push(&queue, 32, LONG);
    queue.abandon();
    let mut late = push(&queue, 32, LONG);
    assert!(waiting.try_recv().is_err() && late.try_recv().is_err());
    assert_eq!((queue.depth(), admit(&queue)), (0, Err(Refused::Closed)));
}

#[test]
fn a_closed_queue_ends_after_the_calls_it_has_admitted() {
    let queue = queue(8, 8, LONG);
    admit(&queue).unwrap();
    queue.close();
    assert_eq!(admit(&queue), Err(Refused::Closed));
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| (next(&queue).unwrap().batch.len(), next(&queue).is_none()));
        let _reply = push(&queue, 32, LONG);
        assert_eq!(worker.join().unwrap(), (1, true));
    });
}

#[test]
fn interactive_jobs_overtake_bulk_which_is_served_in_every_fifth_batch() {
    let queue = queue(64, 1, Duration::ZERO);
    let mut replies = Vec::new();
    for _ in 0..2 {
        queue.admit(Priority::Bulk).unwrap();
        replies.push(push_as(&queue, Priority::Bulk, 64, LONG));
    }
    for _ in 0..9 {
        admit(&queue).unwrap();
        replies.push(push(&queue, 32, LONG));
    }
    let edges: Vec<u32> = (0..11).map(|_| next(&queue).unwrap().batch.first().map(edge).unwrap()).collect();
    assert_eq!(edges, [32, 32, 32, 32, 64, 32, 32, 32, 32, 64, 32]);
}

#[test]
fn a_batch_is_filled_with_jobs_of_the_other_priority() {
    let queue = queue(64, 3, Duration::ZERO);
    let mut replies = Vec::new();
    for priority in [Priority::Bulk, Priority::Bulk, Priority::Interactive, Priority::Interactive] {
        queue.admit(priority).unwrap();
        replies.push(push_as(&queue, priority, 32, LONG));
    }
    let priorities = |taken: Taken| taken.batch.iter().map(|item| item.priority).collect::<Vec<_>>();
    assert_eq!(priorities(next(&queue).unwrap()), [Priority::Bulk, Priority::Interactive, Priority::Interactive]);
    assert_eq!(priorities(next(&queue).unwrap()), [Priority::Bulk]);
}

#[test]
fn a_quarter_of_the_places_is_kept_free_of_bulk() {
    let queue = queue(4, 8, Duration::ZERO);
    for _ in 0..3 {
        queue.admit(Priority::Bulk).unwrap();
    }
    assert_eq!(queue.admit(Priority::Bulk), Err(Refused::Full));
    admit(&queue).unwrap();
    assert_eq!(admit(&queue), Err(Refused::Full));
}

#[test]
fn a_job_that_waited_longer_than_any_may_never_reaches_a_batch() {
    let queue = Queue::new(Bounds { capacity: 4, max_batch: 4, max_delay: Duration::ZERO, max_wait: Duration::ZERO });
    admit(&queue).unwrap();
    let _reply = push(&queue, 32, LONG);
    let taken = next(&queue).unwrap();
    assert_eq!((taken.batch.len(), taken.expired.len()), (0, 1));
    assert!(!taken.expired.iter().any(|item| item.deadline.has_passed()));
}
