use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::*;

fn bulkhead(max_concurrent: usize, max_queue: usize) -> Bulkhead {
    Bulkhead::new(BulkheadConfig { max_concurrent, max_queue })
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(1))
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_told_at_once_and_a_waiting_call_gets_the_freed_place() {
    let bulkhead = bulkhead(1, 1);
    let first = bulkhead.acquire(soon()).await.unwrap();
    let mut second = Box::pin(bulkhead.acquire(soon()));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 1));
    assert_eq!(bulkhead.acquire(soon()).now_or_never().unwrap().unwrap_err(), BulkheadError::Full);
    drop(first);
    assert_eq!(bulkhead.try_acquire().unwrap_err(), BulkheadError::Full, "nobody overtakes the queue");
    let second = second.await.unwrap();
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 0));
    drop(second);
    assert_eq!(bulkhead.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_the_deadline() {
    let bulkhead = bulkhead(1, 8);
    let _held = bulkhead.try_acquire().unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(bulkhead.acquire(soon()).await.unwrap_err(), BulkheadError::Deadline);
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert_eq!(bulkhead.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_has_passed_takes_no_place() {
    let bulkhead = bulkhead(1, 1);
    assert_eq!(bulkhead.acquire(Deadline::after(Duration::ZERO)).await.unwrap_err(), BulkheadError::Deadline);
    assert_eq!(bulkhead.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_leaves_the_queue() {
    let bulkhead = bulkhead(1, 1);
    let held = bulkhead.try_acquire().unwrap();
    {
        let mut waiting = Box::pin(bulkhead.acquire(soon()));
        assert!((&mut waiting).now_or_never().is_none());
    }
    assert_eq!(bulkhead.queued(), 0);
    drop(held);
    assert!(bulkhead.try_acquire().is_ok());
}

#[derive(Debug, Clone)]
enum Step {
    Acquire,
    Try,
    Release(usize),
    Cancel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Acquire),
        1 => Just(Step::Try),
        3 => (0usize..8).prop_map(Step::Release),
        2 => (0usize..8).prop_map(Step::Cancel),
    ]
}

proptest! {
    /// The model: a number of running calls and a first-come-first-served queue.
    #[test]
    fn it_behaves_as_a_counter_and_a_queue(places in 0usize..4, queue in 0usize..4, steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bulkhead = bulkhead(places, queue);
            let mut running: Vec<BulkheadPermit> = Vec::new();
            let mut waiting: Vec<BoxFuture<'_, Result<BulkheadPermit, BulkheadError>>> = Vec::new();
            for step in steps {
                match step {
                    Step::Acquire => {
                        let mut call = bulkhead.acquire(soon()).boxed();
                        match (&mut call).now_or_never() {
                            Some(Ok(permit)) => { assert!(running.len() < places); running.push(permit); }
                            Some(Err(error)) => {
                                assert_eq!(error, BulkheadError::Full);
                                assert_eq!((running.len(), waiting.len()), (places, queue));
                            }
                            None => { assert!(running.len() == places && waiting.len() < queue); waiting.push(call); }
                        }
                    }
                    Step::Try => match bulkhead.try_acquire() {
                        Ok(permit) => { assert!(running.len() < places); running.push(permit); }
                        Err(_) => assert_eq!(running.len(), places),
                    },
                    Step::Release(index) if index < running.len() => {
                        drop(running.swap_remove(index));
                        if !waiting.is_empty() {
                            running.push(waiting.remove(0).now_or_never().expect("the place goes to the first in the queue").unwrap());
                        }
                    }
                    Step::Cancel(index) if index < waiting.len() => drop(waiting.remove(index)),
                    Step::Release(_) | Step::Cancel(_) => {}
                }
                assert_eq!((bulkhead.in_use(), bulkhead.queued()), (running.len(), waiting.len()));
            }
        });
    }
}
