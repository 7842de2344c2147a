//! Indices that follow the records, whatever happens in between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline};
use breakwater_search::index::{Entry, Hits, Query};
use breakwater_search::records::{ImportState, NewVector, ProductRecords};
use breakwater_search::{
    CatalogueConfig, CatalogueError, ExactIndices, Filter, IndexError, Indices, Key, MemoryProductRecords, ProductCatalogue, Space, Vector,
    VectorIndex,
};

use crate::product_records::{conforms, draft, space};

/// Quick to notice, slow to give up.
fn config() -> CatalogueConfig {
    CatalogueConfig {
        batch: 3,
        poll: Duration::from_millis(20),
        wait: Duration::from_secs(20),
        least_pause: Duration::from_millis(1),
        most_pause: Duration::from_millis(20),
        ..CatalogueConfig::default()
    }
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Indices that can be taken away, and that count their snapshots.
#[derive(Default)]
struct Moody {
    inner: ExactIndices,
    away: Arc<AtomicBool>,
    snapshots: Arc<AtomicUsize>,
    removed: Mutex<Vec<Space>>,
}

struct MoodyIndex {
    inner: Arc<dyn VectorIndex>,
    away: Arc<AtomicBool>,
    snapshots: Arc<AtomicUsize>,
}

fn unless_away(away: &AtomicBool) -> Result<(), IndexError> {
    let source = || std::io::Error::other("gone").into();
    if away.load(Ordering::SeqCst) { Err(IndexError::Unavailable { what: "a test".to_owned(), source: source() }) } else { Ok(()) }
}

impl Indices for Moody {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        Box::pin(async move {
            unless_away(&self.away)?;
            let (away, snapshots) = (Arc::clone(&self.away), Arc::clone(&self.snapshots));
            Ok(Arc::new(MoodyIndex { inner: self.inner.open(space).await?, away, snapshots }) as _)
        })
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        self.removed.lock().unwrap().push(space.clone());
        self.inner.remove(space)
    }
}

impl VectorIndex for MoodyIndex {
    fn space(&self) -> &Space {
        self.inner.space()
    }

    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        Box::pin(async move {
            unless_away(&self.away)?;
            self.inner.upsert(entries, sequence).await
        })
    }

    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        Box::pin(async move {
            unless_away(&self.away)?;
            self.inner.delete(keys, sequence).await
        })
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        self.inner.search(query)
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        self.inner.count(filter)
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        self.inner.sequence()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        self.inner.snapshot()
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }
}

async fn count(catalogue: &ProductCatalogue, space: &Space) -> u64 {
    catalogue.index(space, deadline()).await.unwrap().count(&Filter::default()).await.unwrap()
}

/// Asks again until it holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = deadline();
    while !holds().await {
        assert!(!deadline.has_passed(), "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn products_in_memory_conform() {
    conforms(Arc::new(MemoryProductRecords::default())).await;
}

#[tokio::test]
async fn a_change_is_in_every_index_when_it_is_answered() {
    let (records, a, b) = (Arc::new(MemoryProductRecords::default()), space("a", 2), space("b", 2));
    let catalogue = ProductCatalogue::open(records.clone(), Arc::new(ExactIndices::default()), config()).await.unwrap();
    assert!(matches!(catalogue.index(&a, deadline()).await, Err(CatalogueError::NotIndexed(_))));
    let drafts = (0..10).map(|id| draft(&id.to_string(), &[(&a, &[1.0, 0.0]), (&b, &[0.0, 1.0])])).collect();
    let put = catalogue.put(drafts, Some(("i", ImportState::default()))).await.unwrap();
    assert!(put.indexed && put.value.len() == 10);
    assert_eq!((count(&catalogue, &a).await, count(&catalogue, &b).await), (10, 10));
    let deleted = catalogue.delete("3").await.unwrap().unwrap();
    assert!(deleted.indexed && deleted.value.product.id == "3");
    assert_eq!((count(&catalogue, &a).await, count(&catalogue, &b).await, catalogue.pending(&a)), (9, 9, 0));
    assert!(catalogue.delete("3").await.unwrap().is_none());
    let of = put.value[0].as_ref().unwrap();
    let new = NewVector { key: of.key, of: of.sequence, space: space("c", 2), vector: Vector::new(&[1.0, 1.0]).unwrap() };
    assert_eq!(catalogue.add_vectors(vec![new]).await.unwrap(), 1);
    until("the new space is followed", async || count(&catalogue, &space("c", 2)).await == 1).await;
}

#[tokio::test]
async fn an_index_that_is_behind_catches_up_and_one_that_is_ahead_is_made_anew() {
    let (records, a) = (Arc::new(MemoryProductRecords::default()), space("a", 2));
    let indices = Arc::new(Moody::default());
    // A crash after the records and before the index: nobody told the index.
    records.put((0..8).map(|id| draft(&id.to_string(), &[(&a, &[1.0, 0.0])])).collect(), None).await.unwrap();
    let catalogue = ProductCatalogue::open(records.clone(), indices.clone(), config()).await.unwrap();
    until("it catches up", async || count(&catalogue, &a).await == 8).await;
    catalogue.shutdown(deadline()).await;
    assert_eq!(indices.snapshots.load(Ordering::SeqCst), 1);
    // Behind by a deletion and a change.
    records.delete("1").await.unwrap();
    let catalogue = ProductCatalogue::open(records, indices.clone(), config()).await.unwrap();
    until("it catches up again", async || count(&catalogue, &a).await == 7).await;
    catalogue.shutdown(deadline()).await;
    assert!(indices.removed.lock().unwrap().is_empty());
    // The records were put back to an earlier state: they hold less than the index knows.
    let earlier = Arc::new(MemoryProductRecords::default());
    earlier.put(vec![draft("other", &[(&a, &[0.0, 1.0])])], None).await.unwrap();
    let catalogue = ProductCatalogue::open(earlier, indices.clone(), config()).await.unwrap();
    until("it is made anew", async || count(&catalogue, &a).await == 1).await;
    assert_eq!(*indices.removed.lock().unwrap(), [a]);
}

#[tokio::test]
async fn a_change_is_kept_while_the_index_is_away_and_taken_in_when_it_is_back() {
    let (records, a) = (Arc::new(MemoryProductRecords::default()), space("a", 2));
    let indices = Arc::new(Moody::default());
    indices.away.store(true, Ordering::SeqCst);
    let catalogue = ProductCatalogue::open(records, indices.clone(), config()).await.unwrap();
    let put = catalogue.put(vec![draft("1", &[(&a, &[1.0, 0.0])])], None).await.unwrap();
    assert!(!put.indexed);
    let Err(error) = catalogue.index(&a, deadline()).await else { panic!("it is away") };
    assert_eq!((error.code(), breakwater_core::Failure::from(error).retryable), ("search.index-unavailable", true));
    assert!(catalogue.followed()[0].1.problem.as_ref().unwrap().message.contains("gone"));
    indices.away.store(false, Ordering::SeqCst);
    until("it comes back", async || catalogue.index(&a, deadline()).await.is_ok() && catalogue.pending(&a) == 0).await;
    assert_eq!(count(&catalogue, &a).await, 1);
    // Away in mid-work: what was indexed can still be searched.
    indices.away.store(true, Ordering::SeqCst);
    assert!(!catalogue.put(vec![draft("2", &[(&a, &[1.0, 0.0])])], None).await.unwrap().indexed);
    assert_eq!((count(&catalogue, &a).await, catalogue.pending(&a)), (1, 1));
    indices.away.store(false, Ordering::SeqCst);
    until("it takes in the second", async || count(&catalogue, &a).await == 2).await;
}

#[tokio::test]
async fn changes_of_another_process_are_found() {
    let (records, indices, a) = (Arc::new(MemoryProductRecords::default()), Arc::new(ExactIndices::default()), space("a", 2));
    let catalogue = ProductCatalogue::open(records.clone(), indices, config()).await.unwrap();
    catalogue.put(vec![draft("1", &[(&a, &[1.0, 0.0])])], None).await.unwrap();
    records.put(vec![draft("2", &[(&a, &[1.0, 0.0]), (&space("b", 2), &[1.0, 0.0])])], None).await.unwrap();
    until("the change is found", async || count(&catalogue, &a).await == 2).await;
    until("the space is found", async || catalogue.index(&space("b", 2), deadline()).await.is_ok()).await;
}

#[tokio::test]
async fn vectors_fit_their_space_and_there_are_not_too_many_spaces() {
    let records = Arc::new(MemoryProductRecords::default());
    let catalogue = ProductCatalogue::open(records.clone(), Arc::new(ExactIndices::default()), config()).await.unwrap();
    let wrong = catalogue.put(vec![draft("1", &[(&space("a", 3), &[1.0, 0.0])])], None).await.unwrap_err();
    assert_eq!(wrong.code(), "search.dimension-mismatch");
    for number in 0..breakwater_search::catalogue::MAX_SPACES {
        catalogue.put(vec![draft("1", &[(&space(&format!("m{number}"), 2), &[1.0, 0.0])])], None).await.unwrap();
    }
    let stored = records.sequence().await.unwrap();
    let many = catalogue.put(vec![draft("1", &[(&space("more", 2), &[1.0, 0.0])])], None).await.unwrap_err();
    assert_eq!((many.code(), records.sequence().await.unwrap()), ("search.too-many-spaces", stored));
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_made_after_so_many_changes_or_so_long() {
    let (records, indices, a) = (Arc::new(MemoryProductRecords::default()), Arc::new(Moody::default()), space("a", 2));
    let config = CatalogueConfig { snapshot_changes: 5, snapshot_interval: Duration::from_secs(60), ..config() };
    let catalogue = ProductCatalogue::open(records, indices.clone(), config).await.unwrap();
    let put = async |count: usize| {
        let drafts = (0..count).map(|id| draft(&id.to_string(), &[(&a, &[1.0, 0.0])])).collect();
        assert!(catalogue.put(drafts, None).await.unwrap().indexed);
    };
    put(4).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(indices.snapshots.load(Ordering::SeqCst), 0);
    put(2).await;
    until("five changes", async || indices.snapshots.load(Ordering::SeqCst) == 1).await;
    put(1).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(indices.snapshots.load(Ordering::SeqCst), 2);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(indices.snapshots.load(Ordering::SeqCst), 2, "nothing changed");
}
