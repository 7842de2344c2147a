//! The SQLite store against the suites of the traits it implements, and across restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "../../plugins/tests/conformance/records.rs"]
mod catalogue_records;
#[path = "../../flags/tests/conformance/records.rs"]
mod flag_records;
#[path = "records/flags.rs"]
mod flags;
#[path = "records/postgres.rs"]
mod postgres;
#[path = "../../search/tests/records/conformance.rs"]
mod product_records;
#[path = "records/products.rs"]
mod products;
#[path = "records/registry.rs"]
mod registry;
#[path = "../../upstream/tests/conformance/registry.rs"]
mod registry_records;
#[path = "../../upstream/tests/conformance/services.rs"]
mod service_records;
#[path = "records/services.rs"]
mod services;
#[path = "../../workflow/tests/records/conformance.rs"]
mod workflow_records;
#[path = "records/workflows.rs"]
mod workflows;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use breakwater_core::Digest;
use breakwater_plugins::{CatalogueRecords, RecordsError};
use breakwater_store::SqliteStore;
use bytes::Bytes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_catalogue_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("breakwater.db")).await.unwrap();
    catalogue_records::conforms(Arc::new(store)).await;
}

#[tokio::test]
async fn what_was_saved_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breakwater.db");
    let wasm = Bytes::from_static(b"component");
    let digest = Digest::of(&wasm);
    let store = SqliteStore::open(&file).await.unwrap();
    store.save(0, &catalogue_records::state(1)).await.unwrap();
    store.put_component(digest, wasm.clone()).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&file).await.unwrap();
    assert_eq!(store.load().await.unwrap(), catalogue_records::state(1));
    assert_eq!(store.component(digest).await.unwrap(), Some(wasm));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
}

#[tokio::test]
async fn two_processes_on_one_file_see_each_others_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breakwater.db");
    let (one, other) = (SqliteStore::open(&file).await.unwrap(), SqliteStore::open(&file).await.unwrap());
    one.save(0, &catalogue_records::state(1)).await.unwrap();
    assert_eq!(other.load().await.unwrap(), catalogue_records::state(1));
    let refused = other.save(0, &catalogue_records::state(1)).await;
    assert!(matches!(refused, Err(RecordsError::Conflict { expected: 0, found: 1 })), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breakwater.db");
    std::fs::write(&file, [b'x'; 4096]).unwrap();
    assert_eq!(SqliteStore::open(&file).await.unwrap_err().code(), "store.open");
    assert_eq!(SqliteStore::open(&folder.path().join("no/such/folder.db")).await.unwrap_err().code(), "store.open");
}
