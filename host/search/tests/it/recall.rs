//! Recall that is measured while queries are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline, Digest};
use breakwater_search::index::{Hit, Method};
use breakwater_search::recall::{Recall, RecallOptions, SampledIndices};
use breakwater_search::{Entry, Filter, Hits, IndexError, Indices, Key, Query, Space, Vector, VectorIndex};

/// An index that finds the neighbours 0 to 9, except for as many as it is told to miss.
#[derive(Default)]
struct Forgetful {
    misses: AtomicU64,
    /// Every query changes it.
    restless: bool,
    sequence: AtomicU64,
    exact: AtomicUsize,
    approximate: AtomicUsize,
}

struct Handle(Arc<Forgetful>, Space);

impl VectorIndex for Handle {
    fn space(&self) -> &Space {
        &self.1
    }

    fn upsert(&self, _: Vec<Entry>, _: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        unreachable!()
    }

    fn delete(&self, _: Vec<Key>, _: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        unreachable!()
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        if self.0.restless {
            self.0.sequence.fetch_add(1, Ordering::SeqCst);
        }
        let (first, method, counter) = match query.exact {
            true => (0, Method::Exact, &self.0.exact),
            false => (self.0.misses.load(Ordering::SeqCst), Method::Approximate, &self.0.approximate),
        };
        counter.fetch_add(1, Ordering::SeqCst);
        let hits = (first..first + 10).map(|key| Hit { key: Key(key), similarity: 1.0 - key as f32 / 100.0 }).collect();
        Box::pin(async move { Ok(Hits { hits, method, ef: 10, scanned: 10, selectivity: 1.0 }) })
    }

    fn count<'a>(&'a self, _: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        unreachable!()
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        Box::pin(async { Ok(self.0.sequence.load(Ordering::SeqCst)) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        unreachable!()
    }

    fn bytes(&self) -> u64 {
        0
    }
}

struct Factory(Arc<Forgetful>);

impl Indices for Factory {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        let handle: Arc<dyn VectorIndex> = Arc::new(Handle(Arc::clone(&self.0), space.clone()));
        Box::pin(async move { Ok(handle) })
    }

    fn remove<'a>(&'a self, _: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        Box::pin(async { Ok(()) })
    }
}

fn space() -> Space {
    Space { model: "recall".into(), revision: Digest::of(b""), dimension: 1 }
}

fn query() -> Query {
    let deadline = Deadline::after(Duration::from_secs(10));
    Query { vector: Vector::new(&[1.0]).unwrap(), count: 10, filter: Filter::default(), exact: false, deadline }
}

const ALL: RecallOptions =
    RecallOptions { share: 1.0, at_least_every: Duration::from_secs(3600), timeout: Duration::from_secs(10), time_share: 1.0 };

async fn sampled(inner: &Arc<Forgetful>, options: RecallOptions) -> (SampledIndices, Arc<dyn VectorIndex>) {
    let indices = SampledIndices::new(Arc::new(Factory(Arc::clone(inner))), options);
    let index = indices.open(&space()).await.unwrap();
    (indices, index)
}

/// Searches until so many samples were taken.
async fn samples(index: &dyn VectorIndex, count: usize) -> Recall {
    loop {
        index.search(query()).await.unwrap();
        tokio::task::yield_now().await;
        if let Some(recall) = index.recall().filter(|recall| recall.samples >= count) {
            return recall;
        }
    }
}

#[tokio::test]
async fn a_search_that_misses_some_lowers_the_recall() {
    let inner = Arc::new(Forgetful::default());
    let (indices, index) = sampled(&inner, ALL).await;
    assert_eq!(index.recall(), None);
    assert_eq!(samples(&*index, 9).await, Recall { mean: 1.0, worst_decile: 1.0, samples: 9 });
    inner.misses.store(4, Ordering::SeqCst);
    let recall = samples(&*index, 10).await;
    assert!((recall.mean - 0.96).abs() < 1e-9 && (recall.worst_decile - 0.6).abs() < 1e-9, "{recall:?}");
    // The same space opened again goes on with what was measured.
    assert_eq!(indices.open(&space()).await.unwrap().recall().unwrap().samples, index.recall().unwrap().samples);
    // A space that was removed begins anew.
    indices.remove(&space()).await.unwrap();
    assert_eq!(indices.open(&space()).await.unwrap().recall(), None);
}

#[tokio::test]
async fn what_changed_meanwhile_is_left_out() {
    let inner = Arc::new(Forgetful { restless: true, ..Forgetful::default() });
    let (_indices, index) = sampled(&inner, ALL).await;
    while inner.exact.load(Ordering::SeqCst) < 20 {
        index.search(query()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(index.recall(), None);
}

#[tokio::test]
async fn exact_queries_and_a_share_of_none_are_never_sampled() {
    for (options, exact) in [(ALL, true), (RecallOptions { share: 0.0, at_least_every: Duration::ZERO, ..ALL }, false)] {
        let inner = Arc::new(Forgetful::default());
        let (_indices, index) = sampled(&inner, options).await;
        for _ in 0..50 {
            index.search(Query { exact, ..query() }).await.unwrap();
            tokio::task::yield_now().await;
        }
        let searched = [&inner.exact, &inner.approximate].map(|counter| counter.load(Ordering::SeqCst));
        assert_eq!(searched, if exact { [50, 0] } else { [0, 50] });
        assert_eq!(index.recall(), None);
    }
}

#[tokio::test]
async fn about_the_share_is_sampled_and_at_least_one_in_a_while() {
    let inner = Arc::new(Forgetful::default());
    let (_indices, index) = sampled(&inner, RecallOptions { share: 0.1, ..ALL }).await;
    for _ in 0..5000 {
        index.search(query()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let exact = inner.exact.load(Ordering::SeqCst);
    assert!((350..650).contains(&exact), "{exact}");

    // A share so small that only the time decides: the first is sampled, and each one when no time may pass without.
    for (every, expected) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 40)] {
        let inner = Arc::new(Forgetful::default());
        let (_indices, index) = sampled(&inner, RecallOptions { share: 1e-12, at_least_every: every, ..ALL }).await;
        for _ in 0..40 {
            index.search(query()).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(inner.exact.load(Ordering::SeqCst), expected);
    }
}
