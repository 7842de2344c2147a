//! The index as its callers know it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline};
use tokio::sync::{Mutex, oneshot};

use super::core::{Core, of_pool};
use super::rows::Prepared;
use super::{snapshot, upkeep};
use crate::filter::Filter;
use crate::index::{Entry, Hits, IndexError, Key, MAX_COUNT, Query, VectorIndex};
use crate::space::Space;

/// How long a change waits for the pool. It has no deadline of its own, and is never refused.
const PATIENCE: Duration = Duration::from_secs(3600);

/// An index in memory.
pub(super) struct EmbeddedIndex {
    core: Arc<Core>,
    wake: SyncSender<()>,
    /// One snapshot at a time.
    snapshots: Mutex<()>,
}

impl EmbeddedIndex {
    /// Begins to look after it.
    pub(super) fn start(core: Core) -> Result<Self, IndexError> {
        let core = Arc::new(core);
        let no_thread = |source: std::io::Error| IndexError::Unavailable { what: "starting a thread".to_owned(), source: Box::new(source) };
        let wake = upkeep::start(&core).map_err(no_thread)?;
        let index = Self { core, wake, snapshots: Mutex::default() };
        index.changed();
        Ok(index)
    }

    /// What is stored of it will be deleted.
    pub(super) fn set_removed(&self) {
        self.core.removed.store(true, Ordering::Release);
    }

    fn changed(&self) {
        // Full when it was woken already.
        self.wake.try_send(()).ok();
    }

    fn check_dimension(&self, found: usize) -> Result<(), IndexError> {
        let expected = self.core.space.dimension;
        if found == expected as usize { Ok(()) } else { Err(IndexError::Dimension { expected, found }) }
    }

    /// Runs a job on the pool.
    async fn on_pool<T: Send + 'static>(&self, deadline: Deadline, job: impl FnOnce(&Core) -> T + Send + 'static) -> Result<T, IndexError> {
        let core = Arc::clone(&self.core);
        self.core.permits.go_on(deadline, move || job(&core)).await.map_err(of_pool)
    }

    async fn put(&self, entries: Vec<Entry>, sequence: u64) -> Result<(), IndexError> {
        entries.iter().try_for_each(|entry| self.check_dimension(entry.vector.dimension()))?;
        let keep = move |core: &Core| {
            let entries: Vec<_> = entries.into_iter().map(Prepared::new).collect();
            core.upsert(&entries, sequence)
        };
        self.on_pool(Deadline::after(PATIENCE), keep).await??;
        self.changed();
        // What is outside of the graph makes every search slower, so writers wait until it is not too much.
        let (mut outside, most) = (self.core.outside.subscribe(), self.core.options.writers_wait_from());
        // The sender is in the core, which is here.
        drop(outside.wait_for(|outside| *outside <= most).await);
        Ok(())
    }

    async fn forget(&self, keys: Vec<Key>, sequence: u64) -> Result<usize, IndexError> {
        let deleted = self.on_pool(Deadline::after(PATIENCE), move |core| core.delete(&keys, sequence)).await?;
        self.changed();
        Ok(deleted)
    }

    async fn find(&self, query: Query) -> Result<Hits, IndexError> {
        self.check_dimension(query.vector.dimension())?;
        if !(1..=MAX_COUNT).contains(&query.count) {
            return Err(IndexError::Count(query.count));
        }
        self.on_pool(query.deadline, move |core| core.search(&query)).await?
    }

    /// On a thread of its own: it mostly waits for the disk.
    async fn save(&self) -> Result<u64, IndexError> {
        let _one = self.snapshots.lock().await;
        let (send, receive) = oneshot::channel();
        let core = Arc::clone(&self.core);
        let failed = |source| IndexError::Unavailable { what: "saving an index".to_owned(), source };
        let thread = std::thread::Builder::new().name("index-snapshot".to_owned());
        thread.spawn(move || drop(send.send(snapshot::write(&core)))).map_err(|error| failed(error.into()))?;
        receive.await.map_err(|error| failed(error.into()))?
    }
}

impl VectorIndex for EmbeddedIndex {
    fn space(&self) -> &Space {
        &self.core.space
    }

    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>> {
        Box::pin(self.put(entries, sequence))
    }

    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>> {
        Box::pin(self.forget(keys, sequence))
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>> {
        Box::pin(self.find(query))
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>> {
        let filter = filter.clone();
        Box::pin(self.on_pool(Deadline::after(PATIENCE), move |core| core.count(&filter)))
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        Box::pin(std::future::ready(Ok(self.core.sequence.load(Ordering::Acquire))))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>> {
        Box::pin(self.save())
    }

    fn bytes(&self) -> u64 {
        self.core.bytes()
    }
}
