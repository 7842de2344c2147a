//! An index that compares a query with everything: for commands that keep nothing, and as the measure of others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_core::BoxFuture;

use crate::filter::Filter;
use crate::index::{Entry, Hit, Hits, IndexError, Indices, Key, MAX_COUNT, Method, Query, VectorIndex};
use crate::space::Space;

/// Indices that are gone with the process.
#[derive(Debug, Default)]
pub struct ExactIndices(Mutex<BTreeMap<Space, Arc<ExactIndex>>>);

/// The vectors of one space, in memory.
#[derive(Debug)]
pub struct ExactIndex {
    space: Space,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    sequence: u64,
    entries: BTreeMap<Key, Entry>,
}

impl ExactIndex {
    /// With nothing in it.
    #[must_use]
    pub fn new(space: Space) -> Self {
        Self { space, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whatever panics leaves whole entries behind.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self, found: usize) -> Result<(), IndexError> {
        let expected = self.space.dimension;
        if found == expected as usize { Ok(()) } else { Err(IndexError::Dimension { expected, found }) }
    }

    fn put(&self, entries: Vec<Entry>, sequence: u64) -> Result<(), IndexError> {
        entries.iter().try_for_each(|entry| self.checked(entry.vector.dimension()))?;
        let mut held = self.held();
        held.entries.extend(entries.into_iter().map(|entry| (entry.key, entry)));
        held.sequence = held.sequence.max(sequence);
        Ok(())
    }

    fn find(&self, query: &Query) -> Result<Hits, IndexError> {
        self.checked(query.vector.dimension())?;
        if !(1..=MAX_COUNT).contains(&query.count) {
            return Err(IndexError::Count(query.count));
        }
        let held = self.held();
        let admitted = held.entries.values().filter(|entry| query.filter.admits(&entry.traits));
        let mut hits: Vec<Hit> = admitted.map(|entry| Hit { key: entry.key, similarity: query.vector.cosine(&entry.vector) }).collect();
        let scanned = hits.len();
        hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.key.cmp(&b.key)));
        hits.truncate(query.count);
        let selectivity = if held.entries.is_empty() { 1.0 } else { scanned as f64 / held.entries.len() as f64 };
        Ok(Hits { hits, method: Method::Exact, ef: 0, scanned: scanned as u64, selectivity })
    }
}

fn ready<'a, T: Send + 'a>(value: Result<T, IndexError>) -> BoxFuture<'a, Result<T, IndexError>> {
    Box::pin(std::future::ready(value))
}

impl VectorIndex for ExactIndex {
    fn space(&self) -> &Space {
        &self.space
    }

    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        ready(self.put(entries, sequence))
    }

    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        let mut held = self.held();
        held.sequence = held.sequence.max(sequence);
        ready(Ok(keys.iter().filter(|key| held.entries.remove(key).is_some()).count()))
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        ready(self.find(&query))
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        ready(Ok(self.held().entries.values().filter(|entry| filter.admits(&entry.traits)).count() as u64))
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        ready(Ok(self.held().sequence))
    }

    /// Nothing is kept: after the process, everything is needed again.
    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        ready(Ok(0))
    }

    fn bytes(&self) -> u64 {
        self.held().entries.len() as u64 * u64::from(self.space.dimension) * size_of::<f32>() as u64
    }
}

impl Indices for ExactIndices {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        let mut indices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = indices.entry(space.clone()).or_insert_with(|| Arc::new(ExactIndex::new(space.clone())));
        ready(Ok(Arc::clone(index) as _))
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(space);
        ready(Ok(()))
    }
}
