//! Records that last as long as the process: for tests and for the command line.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use breakwater_core::Digest;
use bytes::Bytes;

use super::{CatalogueRecords, CatalogueState, RecordsError};
use crate::ports::BoxFuture;

/// Records held in memory.
#[derive(Debug, Default)]
pub struct MemoryRecords(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    state: CatalogueState,
    components: BTreeMap<Digest, Bytes>,
}

impl MemoryRecords {
    fn lock(&self) -> MutexGuard<'_, Content> {
        // Every change is one assignment, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, expected: u64, state: &CatalogueState) -> Result<(), RecordsError> {
        if state.revision != expected + 1 {
            return Err(RecordsError::Revision { expected, given: state.revision });
        }
        let mut content = self.lock();
        let found = content.state.revision;
        if found != expected {
            return Err(RecordsError::Conflict { expected, found });
        }
        content.state = state.clone();
        Ok(())
    }
}

impl CatalogueRecords for MemoryRecords {
    fn load(&self) -> BoxFuture<'_, Result<CatalogueState, RecordsError>> {
        Box::pin(async { Ok(self.lock().state.clone()) })
    }

    fn save<'a>(&'a self, expected_revision: u64, state: &'a CatalogueState) -> BoxFuture<'a, Result<(), RecordsError>> {
        Box::pin(async move { self.replace(expected_revision, state) })
    }

    fn put_component(&self, digest: Digest, wasm: Bytes) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            self.lock().components.insert(digest, wasm);
            Ok(())
        })
    }

    fn component(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Bytes>, RecordsError>> {
        Box::pin(async move { Ok(self.lock().components.get(&digest).cloned()) })
    }

    fn remove_component(&self, digest: Digest) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            self.lock().components.remove(&digest);
            Ok(())
        })
    }
}
