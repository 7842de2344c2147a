//! Indices in the memory of this process, kept in files.
//!
//! Vectors are stored in half precision and found through a graph (usearch's HNSW), or by comparing with all of them when they are few or
//! when a filter admits few; see [`crate::planner`]. What changes is compared until upkeep has taken it into the graph, so it is found at
//! once, and no change waits for the graph. A snapshot is all that is kept in files: changes after it are to be applied again.

mod core;
mod graph;
mod index;
mod kernel;
mod labels;
mod nearest;
mod options;
mod rows;
mod slab;
mod snapshot;
mod upkeep;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline, Digest};
use breakwater_resilience::CpuPermits;
use tokio::sync::Mutex;

pub use options::EmbeddedOptions;

use self::core::{Core, of_pool};
use self::graph::Graph;
use self::index::EmbeddedIndex;
use self::rows::Rows;
use crate::index::{IndexError, Indices, VectorIndex};
use crate::space::Space;

/// How long an index may take to be read.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Opens indices, each in a folder of its own. One process at a time may have them.
pub struct EmbeddedIndices {
    folder: PathBuf,
    options: EmbeddedOptions,
    permits: Arc<CpuPermits>,
    open: Mutex<HashMap<Space, Weak<EmbeddedIndex>>>,
}

impl EmbeddedIndices {
    /// Indices below a folder, which is made when it is needed, working on a pool.
    #[must_use]
    pub fn new(folder: PathBuf, options: EmbeddedOptions, permits: Arc<CpuPermits>) -> Self {
        Self { folder, options, permits, open: Mutex::default() }
    }

    /// The folder of a space. A name that could be no single folder is replaced by its digest.
    fn folder_of(&self, space: &Space) -> PathBuf {
        let slug = space.slug();
        let plain = slug.len() <= 200 && slug.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
        self.folder.join(if plain && !slug.starts_with('.') { slug } else { Digest::of(slug.as_bytes()).to_string() })
    }

    async fn opened(&self, space: &Space) -> Result<Arc<dyn VectorIndex>, IndexError> {
        let mut open = self.open.lock().await;
        if let Some(index) = open.get(space).and_then(Weak::upgrade) {
            return Ok(index);
        }
        let (folder, options, permits, of) = (self.folder_of(space), self.options, Arc::clone(&self.permits), space.clone());
        let read = move || {
            let threads = permits.statistics().threads;
            let content = match snapshot::read(&folder, &of, threads, options.max_labels) {
                Ok(Some(content)) => content,
                Ok(None) => empty(&of, options, threads)?,
                Err(error) => {
                    tracing::warn!(space = %of, error = &error as &dyn std::error::Error, "an index begins anew");
                    empty(&of, options, threads)?
                }
            };
            EmbeddedIndex::start(Core::new(of, folder, options, permits, content))
        };
        let index = Arc::new(self.permits.go_on(Deadline::after(PATIENCE), read).await.map_err(of_pool)??);
        open.retain(|_, index| index.strong_count() > 0);
        open.insert(space.clone(), Arc::downgrade(&index));
        Ok(index)
    }

    async fn removed(&self, space: &Space) -> Result<(), IndexError> {
        let mut open = self.open.lock().await;
        if let Some(index) = open.remove(space).and_then(|index| index.upgrade()) {
            index.set_removed();
        }
        match tokio::fs::remove_dir_all(self.folder_of(space)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(IndexError::Unavailable { what: "deleting an index".to_owned(), source: Box::new(error) })
            }
            _ => Ok(()),
        }
    }
}

fn empty(space: &Space, options: EmbeddedOptions, threads: usize) -> Result<(Rows, Graph), IndexError> {
    let dimension = space.dimension as usize;
    Ok((Rows::new(dimension, options.max_labels), Graph::new(dimension, threads)?))
}

impl Indices for EmbeddedIndices {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        Box::pin(self.opened(space))
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        Box::pin(self.removed(space))
    }
}
