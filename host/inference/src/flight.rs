//! Calls that want the same thing at the same time share one computation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_core::{Deadline, Failure};
use tokio::sync::{oneshot, watch};

/// Nothing until the computation has ended.
type Shared<V> = Option<Result<V, Failure>>;

/// Computations under way, by key.
pub(crate) struct Flights<K, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

struct Flight<V> {
    result: watch::Receiver<Shared<V>>,
    /// Dropped with the flight, which ends its task if that is still at work.
    _go_on: oneshot::Sender<()>,
    waiters: usize,
    number: u64,
}

/// How a call got its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It was there already.
    Ready,
    /// It joined a computation under way.
    Shared,
    /// It started one.
    Started,
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self { flights: Arc::default() }
    }

    /// The value for `key`: what `ready` gives, what a computation under way gives, or else what `start` gives, which runs as a
    /// task of its own. The task ends early only when every caller that waits for it has gone; each caller waits until its own
    /// deadline.
    pub(crate) async fn join<F>(
        &self,
        key: K,
        deadline: Deadline,
        ready: impl FnOnce() -> Option<V>,
        start: impl FnOnce() -> F,
    ) -> (Joined, Result<V, Failure>)
    where
        F: Future<Output = Result<V, Failure>> + Send + 'static,
    {
        let (mut waiter, launch) = {
            let mut flights = lock(&self.flights);
            match flights.get_mut(&key) {
                Some(flight) => {
                    flight.waiters += 1;
                    let (number, result) = (flight.number, flight.result.clone());
                    (Waiter { flights: Arc::clone(&self.flights), key, number, result }, None)
                }
                // Looked at under the lock: a flight leaves the map only after its result is ready.
                None => match ready() {
                    Some(value) => return (Joined::Ready, Ok(value)),
                    None => {
                        let (waiter, launch) = self.enter(&mut flights, key);
                        (waiter, Some(launch))
                    }
                },
            }
        };
        let joined = match launch {
            None => Joined::Shared,
            // Outside the lock: a runtime that is shutting down drops the task at once, which takes the flight out of the map.
            Some(launch) => {
                tokio::spawn(launch.carry(start()));
                Joined::Started
            }
        };
        let result = deadline.bound("inference", waiter.wait()).await;
        (joined, result.and_then(|result| result))
    }

    /// Puts a flight with one waiter into the map.
    fn enter(&self, flights: &mut HashMap<K, Flight<V>>, key: K) -> (Waiter<K, V>, Launch<K, V>) {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (sender, result) = watch::channel(None);
        let (go_on, abandoned) = oneshot::channel();
        flights.insert(key.clone(), Flight { result: result.clone(), _go_on: go_on, waiters: 1, number });
        let entry = Entry { flights: Arc::clone(&self.flights), key: key.clone(), number };
        (Waiter { flights: Arc::clone(&self.flights), key, number, result }, Launch { entry, sender, abandoned })
    }

    /// How many computations are under way.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.flights).len()
    }
}

fn lock<K, V>(flights: &Mutex<HashMap<K, Flight<V>>>) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
    // Each change of the map is one step; a panic cannot leave it half done.
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task's side of a flight.
struct Launch<K: Hash + Eq, V> {
    entry: Entry<K, V>,
    sender: watch::Sender<Shared<V>>,
    abandoned: oneshot::Receiver<()>,
}

impl<K: Hash + Eq, V> Launch<K, V> {
    /// Does the work, until it is done or nobody waits for it any more.
    async fn carry(self, work: impl Future<Output = Result<V, Failure>>) {
        let value = tokio::select! {
            biased;
            value = work => value,
            _ = self.abandoned => return,
        };
        // Out of the map first: whoever comes later finds what is ready, or starts anew after a failure.
        drop(self.entry);
        self.sender.send_replace(Some(value));
    }
}

/// Takes the flight out of the map when its task ends, however it ends.
struct Entry<K: Hash + Eq, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
    number: u64,
}

impl<K: Hash + Eq, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.remove(&self.key);
        }
    }
}

/// One caller. The last one to go takes the flight with it.
struct Waiter<K: Hash + Eq, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
    number: u64,
    result: watch::Receiver<Shared<V>>,
}

impl<K: Hash + Eq, V: Clone> Waiter<K, V> {
    async fn wait(&mut self) -> Result<V, Failure> {
        let result = self.result.wait_for(Option::is_some).await;
        let lost = || Failure::internal("the task that computes a shared result ended without one");
        result.ok().and_then(|result| result.clone()).unwrap_or_else(|| Err(lost()))
    }
}

impl<K: Hash + Eq, V> Drop for Waiter<K, V> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        let Some(flight) = flights.get_mut(&self.key).filter(|flight| flight.number == self.number) else { return };
        flight.waiters -= 1;
        if flight.waiters == 0 {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;
    use tokio::sync::Notify;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[tokio::test]
    async fn callers_of_one_key_share_one_computation() {
        let flights = Flights::<u8, u32>::new();
        let (started, go) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let call = || {
            flights.join(
                1,
                soon(),
                || None,
                || {
                    started.fetch_add(1, Ordering::Relaxed);
                    let go = Arc::clone(&go);
                    async move {
                        go.notified().await;
                        Ok(7)
                    }
                },
            )
        };
        let release = async {
            while lock(&flights.flights).get(&1).is_none_or(|flight| flight.waiters < 3) {
                tokio::task::yield_now().await;
            }
            go.notify_one();
        };
        let (a, b, c, ()) = tokio::join!(call(), call(), call(), release);
        assert_eq!([a.0, b.0, c.0], [Joined::Started, Joined::Shared, Joined::Shared]);
        assert_eq!([a.1.unwrap(), b.1.unwrap(), c.1.unwrap()], [7, 7, 7]);
        assert_eq!((started.load(Ordering::Relaxed), flights.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_computation_to_the_others() {
        let flights = Flights::<u8, u32>::new();
        let go = Arc::new(Notify::new());
        let call = |budget| {
            let go = Arc::clone(&go);
            flights.join(
                1,
                Deadline::after(budget),
                || None,
                || async move {
                    go.notified().await;
                    Ok(7)
                },
            )
        };
        let hasty = async {
            let result = call(Duration::from_millis(1)).await.1;
            go.notify_one();
            result
        };
        let (hasty, patient) = tokio::join!(hasty, call(Duration::from_secs(20)));
        assert_eq!(hasty.unwrap_err().code, "call.deadline");
        assert_eq!(patient.1.unwrap(), 7);
    }

    #[tokio::test]
    async fn the_last_caller_to_go_ends_the_computation() {
        struct Ended(Arc<Notify>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let flights = Flights::<u8, u32>::new();
        let ended = Arc::new(Notify::new());
        let guard = Ended(Arc::clone(&ended));
        let deadline = Deadline::after(Duration::from_millis(1));
        let (_, result) = flights
            .join(
                1,
                deadline,
                || None,
                || async move {
                    let _guard = guard;
                    std::future::pending().await
                },
            )
            .await;
        assert_eq!(result.unwrap_err().code, "call.deadline");
        assert_eq!(flights.len(), 0);
        soon().bound("the end", ended.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_or_a_panic_reaches_every_caller_and_is_not_kept() {
        let flights = Flights::<u8, u32>::new();
        let failing = || flights.join(1, soon(), || None, || async { Err(Failure::internal("no")) });
        let (a, b) = tokio::join!(failing(), failing());
        assert_eq!((a.1.unwrap_err().code, b.1.unwrap_err().code), ("internal".into(), "internal".into()));
        let panicking = flights.join(1, soon(), || None, || async { panic!("broken") });
        assert_eq!(panicking.await.1.unwrap_err().code, "internal");
        assert_eq!(flights.join(1, soon(), || None, || async { Ok(7) }).await.1.unwrap(), 7);
        assert_eq!(flights.join(1, soon(), || Some(8), || async { Ok(7) }).await.1.unwrap(), 8);
    }
}
