//! The registry's entries in SQLite.

use std::sync::Arc;

use breakwater_store::SqliteStore;
use breakwater_upstream::RegistryRecords;

use super::registry_records::{conforms, record};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("breakwater.db")).await.unwrap();
    conforms(Arc::new(store)).await;
}

#[tokio::test]
async fn services_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breakwater.db");
    let store = SqliteStore::open(&file).await.unwrap();
    RegistryRecords::put(&store, &record("a")).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&file).await.unwrap();
    assert_eq!(RegistryRecords::load(&store).await.unwrap(), [record("a")]);
}
