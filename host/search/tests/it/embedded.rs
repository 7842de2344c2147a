//! The embedded index.

mod graph;
mod storage;

use std::path::Path;
use std::sync::Arc;

use breakwater_resilience::CpuPermits;
use breakwater_search::Indices;
use breakwater_search::embedded::{EmbeddedIndices, EmbeddedOptions};

use crate::indices;

/// A graph of almost everything, and almost no bitmaps.
const EAGER: EmbeddedOptions =
    EmbeddedOptions { max_vectors: 100_000, ef: 32, graph_from: 100, outside: 10, most_outside: 50, dead: 200, max_labels: 3 };

fn open(folder: &Path, options: EmbeddedOptions) -> Arc<dyn Indices> {
    let permits = CpuPermits::start("test", 4, 100).unwrap();
    Arc::new(EmbeddedIndices::new(folder.to_owned(), options, permits))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_graph_it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    indices::conforms(async || open(folder.path(), EmbeddedOptions::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_graph_of_almost_everything_it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    indices::conforms(async || open(folder.path(), EAGER)).await;
}
