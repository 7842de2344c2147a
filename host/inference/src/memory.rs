//! Answers that are remembered, or shared while they are computed.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Failure};

use crate::flight::{Flights, Joined};
use crate::found::{Found, FoundCache, Key};
use crate::statistics::{Counters, add};

/// What was found before, and what is being looked for at the moment.
pub(crate) struct Memory {
    cache: Arc<FoundCache>,
    flights: Flights<Key, Found>,
    budget: Duration,
}

impl Memory {
    /// Remembers so many bytes; a computation that callers share may take `budget`.
    pub(crate) fn new(bytes: u64, budget: Duration) -> Self {
        Self { cache: Arc::new(FoundCache::new(bytes)), flights: Flights::new(), budget }
    }

    /// What is remembered.
    pub(crate) fn get(&self, key: &Key) -> Option<Found> {
        self.cache.get(key)
    }

    /// What is remembered, what a computation under way gives, or what `compute` gives within its own deadline. Failures are not
    /// remembered. The computation goes on until the last of its callers has gone.
    pub(crate) async fn find<F>(
        &self,
        key: Key,
        counters: &Counters,
        deadline: Deadline,
        compute: impl FnOnce(Deadline) -> F,
    ) -> Result<Found, Failure>
    where
        F: Future<Output = Result<Found, Failure>> + Send + 'static,
    {
        if let Some(found) = self.cache.get(&key) {
            add(&counters.cache_hits, 1);
            return Ok(found);
        }
        let start = || {
            let (cache, deadline) = (Arc::clone(&self.cache), Deadline::after(self.budget));
            let work = compute(deadline);
            async move {
                // A device that hangs must not hold the flight: those who come after its end start anew.
                let found = deadline.bound("the inference", work).await??;
                cache.insert(key, found.clone());
                Ok(found)
            }
        };
        let (joined, result) = self.flights.join(key, deadline, || self.cache.get(&key), start).await;
        add(
            match joined {
                Joined::Ready => &counters.cache_hits,
                Joined::Shared => &counters.joined,
                Joined::Started => &counters.cache_misses,
            },
            1,
        );
        result
    }

    /// Entries and bytes, as of the last maintenance.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.cache.size()
    }
}
