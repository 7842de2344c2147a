//! Single flight: the work for a key runs once for everybody who asks while it runs.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use futures_util::FutureExt;
use tokio::sync::watch;
use tracing::Instrument;

use crate::key::CacheKey;

/// How flights are bounded. How many wait for one is bounded by whoever bounds calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightConfig {
    /// The most that run at once; at least 1 does. Default 1024.
    pub max_flights: usize,
    /// How long one may run. The work should end long before, by a deadline of its own: this one ends work that has none. Default 120 s.
    pub max_duration: Duration,
}

impl Default for FlightConfig {
    fn default() -> Self {
        Self { max_flights: 1024, max_duration: Duration::from_secs(120) }
    }
}

/// Why somebody did not get what a flight was to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FlightError {
    /// The waiter's own deadline came first. The flight goes on.
    #[error("the answer did not come before the call's deadline")]
    Deadline,
    /// As many flights run as may.
    #[error("too many different answers are being fetched at once")]
    TooMany,
    /// The work panicked.
    #[error("the work that several calls waited for panicked")]
    Panicked,
    /// The work ran for longer than a flight may and was ended.
    #[error("the work that several calls waited for ran too long and was ended")]
    TooLong,
    /// The runtime shut down.
    #[error("the work that several calls waited for was ended by the shutdown")]
    ShutDown,
}

impl From<FlightError> for Failure {
    fn from(error: FlightError) -> Self {
        let message = error.to_string();
        match error {
            FlightError::Deadline | FlightError::TooLong => Self::new(FailureKind::Timeout, "call.deadline", message),
            FlightError::TooMany => Self::limit("flight.overloaded", message).retry_after(Duration::from_secs(1)),
            FlightError::Panicked => Self::internal(message),
            FlightError::ShutDown => Self::new(FailureKind::Unavailable, "flight.shut-down", message),
        }
    }
}

/// What a flight brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed<T> {
    /// The result of the work.
    pub value: T,
    /// Whether the work was started by somebody else: its attempts are on that call's account.
    pub joined: bool,
}

type Landing<T> = watch::Receiver<Option<Result<T, FlightError>>>;

struct Flights<T> {
    /// Those under way. A flight is taken out before its result is given to anybody, so that whoever has a result and asks again starts
    /// a new one.
    aloft: Mutex<HashMap<CacheKey, Landing<T>>>,
}

impl<T> Flights<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, Landing<T>>> {
        // Nothing in here can panic half way.
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work for a key runs once for everybody who asks while it runs.
///
/// The work is a task of its own: no waiter's leaving stops it, not even the one's that started it. Every waiter gets a clone of its
/// result, or stops waiting at its own deadline.
pub struct SingleFlight<T> {
    flights: Arc<Flights<T>>,
    config: FlightConfig,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// No flights yet.
    #[must_use]
    pub fn new(config: FlightConfig) -> Self {
        Self { flights: Arc::new(Flights { aloft: Mutex::default() }), config }
    }

    /// Joins the flight of `key` and waits for it until `deadline`. If there is none, `work` becomes one; otherwise it is dropped.
    ///
    /// # Errors
    /// [`FlightError`]; of [`FlightError::TooMany`] and of a deadline that has passed already before anything was started.
    pub async fn run<F, Fut>(&self, key: CacheKey, deadline: Deadline, work: F) -> Result<Landed<T>, FlightError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        if deadline.has_passed() {
            return Err(FlightError::Deadline);
        }
        let (mut landing, joined) = self.board(key, work)?;
        let landed = tokio::time::timeout_at(deadline.instant(), landing.wait_for(Option::is_some)).await;
        let result = match landed {
            Err(_) => return Err(FlightError::Deadline),
            Ok(Err(_)) => None,
            Ok(Ok(result)) => result.clone(),
        };
        result.unwrap_or(Err(FlightError::ShutDown)).map(|value| Landed { value, joined })
    }

    /// Starts a flight nobody waits for, such as one that renews a stale entry. Returns whether it did: `false` when one for the key is
    /// under way, or when too many are.
    pub fn start<F, Fut>(&self, key: CacheKey, work: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.board(key, work).is_ok_and(|(_, joined)| !joined)
    }

    /// How many are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.lock().len()
    }

    fn board<F, Fut>(&self, key: CacheKey, work: F) -> Result<(Landing<T>, bool), FlightError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let mut aloft = self.flights.lock();
        if let Some(landing) = aloft.get(&key) {
            return Ok((landing.clone(), true));
        }
        if aloft.len() >= self.config.max_flights.max(1) {
            return Err(FlightError::TooMany);
        }
        let (sender, landing) = watch::channel(None);
        aloft.insert(key, landing.clone());
        drop(aloft);
        let flight = Flight { flights: Arc::clone(&self.flights), key, sender };
        tokio::spawn(flight.fly(self.config.max_duration, work).in_current_span());
        Ok((landing, false))
    }
}

/// A flight under way. Whatever becomes of its task, dropping it takes it out and tells the waiters.
struct Flight<T> {
    flights: Arc<Flights<T>>,
    key: CacheKey,
    sender: watch::Sender<Option<Result<T, FlightError>>>,
}

impl<T> Flight<T> {
    async fn fly<F, Fut>(self, max_duration: Duration, work: F)
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        // What panics is dropped with all it owns, and its result with it: nobody sees it half done.
        let guarded = AssertUnwindSafe(async move { work().await }).catch_unwind();
        let result = match tokio::time::timeout(max_duration, guarded).await {
            Ok(landed) => landed.map_err(|_| FlightError::Panicked),
            Err(_) => Err(FlightError::TooLong),
        };
        self.land(result);
    }

    fn land(&self, result: Result<T, FlightError>) {
        self.flights.lock().remove(&self.key);
        self.sender.send_replace(Some(result));
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            self.land(Err(FlightError::ShutDown));
        }
    }
}

impl<T> fmt::Debug for SingleFlight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("in_flight", &self.flights.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
