//! How many of the true neighbours an index finds, measured on the queries that it gets.
//!
//! A share of the queries that were answered approximately is answered exactly too, after the caller has his answer, one at a time over
//! all indices and for a bounded share of the time. What share of the exact hits the answer had is its recall; the last thousand are kept.
//! A query is left out when the index changed in between.

mod sampler;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::BoxFuture;
use tokio::sync::{Mutex, Semaphore};

use self::sampler::Sampler;
use crate::filter::Filter;
use crate::index::{Entry, Hits, IndexError, Indices, Key, Query, VectorIndex};
use crate::space::Space;

/// Recall of the last sampled queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// Mean, 0..=1.
    pub mean: f64,
    /// Mean of the worst tenth, 0..=1.
    pub worst_decile: f64,
    /// Queries in the sample, 1..=1000.
    pub samples: usize,
}

/// Which queries are answered exactly too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecallOptions {
    /// The share of queries, 0..=1; 0 measures nothing.
    pub share: f64,
    /// When none was for so long, the next one is.
    pub at_least_every: Duration,
    /// The longest an exact answer may take.
    pub timeout: Duration,
    /// The largest share of the time in which exact answers may be under way, above 0 and at most 1.
    pub time_share: f64,
}

impl Default for RecallOptions {
    fn default() -> Self {
        Self { share: 0.01, at_least_every: Duration::from_secs(10), timeout: Duration::from_secs(30), time_share: 0.05 }
    }
}

/// Indices of which every one measures its recall.
pub struct SampledIndices {
    indices: Arc<dyn Indices>,
    options: RecallOptions,
    /// One exact answer at a time.
    turn: Arc<Semaphore>,
    samplers: Mutex<HashMap<Space, Arc<Sampler>>>,
}

impl SampledIndices {
    /// Measures what these indices answer.
    #[must_use]
    pub fn new(indices: Arc<dyn Indices>, options: RecallOptions) -> Self {
        Self { indices, options, turn: Arc::new(Semaphore::new(1)), samplers: Mutex::default() }
    }

    async fn opened(&self, space: &Space) -> Result<Arc<dyn VectorIndex>, IndexError> {
        let index = self.indices.open(space).await?;
        let mut samplers = self.samplers.lock().await;
        let sampler = samplers.entry(space.clone()).or_insert_with(|| Arc::new(Sampler::new(self.options, Arc::clone(&self.turn))));
        Ok(Arc::new(Sampled { index, sampler: Arc::clone(sampler) }))
    }

    async fn removed(&self, space: &Space) -> Result<(), IndexError> {
        self.samplers.lock().await.remove(space);
        self.indices.remove(space).await
    }
}

impl Indices for SampledIndices {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        Box::pin(self.opened(space))
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        Box::pin(self.removed(space))
    }
}

/// An index that measures its recall.
struct Sampled {
    index: Arc<dyn VectorIndex>,
    sampler: Arc<Sampler>,
}

impl VectorIndex for Sampled {
    fn space(&self) -> &Space {
        self.index.space()
    }

    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        self.index.upsert(entries, sequence)
    }

    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        self.index.delete(keys, sequence)
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        Box::pin(self.sampler.search(&self.index, query))
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        self.index.count(filter)
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        self.index.sequence()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        self.index.snapshot()
    }

    fn bytes(&self) -> u64 {
        self.index.bytes()
    }

    fn recall(&self) -> Option<Recall> {
        self.sampler.recall()
    }
}
