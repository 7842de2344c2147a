//! A bulkhead: so many calls at once, so many more may wait, everyone else is told at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use breakwater_core::{Deadline, Failure, FailureKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Settings of a bulkhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkheadConfig {
    /// How many calls may run at once. 0 admits nobody.
    pub max_concurrent: usize,
    /// How many more may wait for their turn, first come, first served.
    pub max_queue: usize,
}

/// Why a call may not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BulkheadError {
    /// Every place is taken, and every place in the queue.
    #[error("every place is taken and the queue is full")]
    Full,
    /// The call's deadline came before its turn.
    #[error("the call's deadline came before its turn")]
    Deadline,
}

impl From<BulkheadError> for Failure {
    fn from(error: BulkheadError) -> Self {
        match error {
            BulkheadError::Full => Self::new(FailureKind::Unavailable, "bulkhead.full", error.to_string()),
            BulkheadError::Deadline => Self::new(FailureKind::Timeout, "bulkhead.deadline", error.to_string()),
        }
    }
}

/// A bulkhead. Clones share one set of places.
#[derive(Clone)]
pub struct Bulkhead {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    config: BulkheadConfig,
}

impl Bulkhead {
    /// A bulkhead with every place free.
    #[must_use]
    pub fn new(config: BulkheadConfig) -> Self {
        let max_concurrent = config.max_concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(max_concurrent)),
            waiting: Arc::default(),
            config: BulkheadConfig { max_concurrent, ..config },
        }
    }

    /// Takes a place if one is free.
    ///
    /// # Errors
    /// [`BulkheadError::Full`] when none is free. Nobody overtakes a waiting call: a freed place goes to the queue first.
    pub fn try_acquire(&self) -> Result<BulkheadPermit, BulkheadError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(|place| BulkheadPermit { _place: place }).map_err(|_| BulkheadError::Full)
    }

    /// Takes a place, waiting in the queue for one until `deadline`.
    ///
    /// # Errors
    /// [`BulkheadError::Full`] at once when the queue is full, [`BulkheadError::Deadline`] when the deadline has passed or
    /// comes first. Dropping the future leaves the queue.
    pub async fn acquire(&self, deadline: Deadline) -> Result<BulkheadPermit, BulkheadError> {
        self.acquire_within(deadline, self.config.max_queue).await
    }

    /// As [`Self::acquire`], but waits only while fewer than `max_queue` calls do; more than the bulkhead's own number is that.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn acquire_within(&self, deadline: Deadline, max_queue: usize) -> Result<BulkheadPermit, BulkheadError> {
        if deadline.has_passed() {
            return Err(BulkheadError::Deadline);
        }
        if let Ok(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let _turn = Turn::take(&self.waiting, max_queue.min(self.config.max_queue))?;
        let place = tokio::time::timeout_at(deadline.instant(), Arc::clone(&self.places).acquire_owned()).await;
        match place {
            Ok(Ok(place)) => Ok(BulkheadPermit { _place: place }),
            // The semaphore is never closed.
            Ok(Err(_)) => Err(BulkheadError::Full),
            Err(_) => Err(BulkheadError::Deadline),
        }
    }

    /// How many calls run now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.config.max_concurrent.saturating_sub(self.places.available_permits())
    }

    /// How many calls wait now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> BulkheadConfig {
        self.config
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("config", &self.config).field("in_use", &self.in_use()).field("queued", &self.queued()).finish()
    }
}

/// A place; dropping it frees it for the next in the queue.
#[derive(Debug)]
#[must_use = "the place is free again once the permit is dropped"]
pub struct BulkheadPermit {
    _place: OwnedSemaphorePermit,
}

/// A place in the queue, left on drop however the wait ends.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Result<Self, BulkheadError> {
        let taken = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| (waiting < max).then_some(waiting + 1));
        taken.map(|_| Self(waiting)).map_err(|_| BulkheadError::Full)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
