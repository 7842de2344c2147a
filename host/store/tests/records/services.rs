//! The services that somebody defined, in SQLite.

use std::path::Path;
use std::sync::Arc;

use breakwater_store::SqliteStore;
use breakwater_upstream::{ServiceCatalogueRecords, ServiceCatalogueRecordsError};

use super::service_records::{conforms, definition};

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("breakwater.db")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_conform() {
    let folder = tempfile::tempdir().unwrap();
    conforms(Arc::new(open(folder.path()).await)).await;
}

#[tokio::test]
async fn services_and_their_revision_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    ServiceCatalogueRecords::put(&store, &definition("a", "text", 1), 0).await.unwrap();
    ServiceCatalogueRecords::put(&store, &definition("a", "text", 2), 1).await.unwrap();
    let before = ServiceCatalogueRecords::load(&store).await.unwrap();
    store.close().await;
    let store = open(folder.path()).await;
    assert_eq!(ServiceCatalogueRecords::load(&store).await.unwrap(), before);
    assert_eq!((before.revision, before.services), (2, vec![definition("a", "text", 2)]));
}

#[tokio::test]
async fn a_service_that_cannot_be_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("breakwater.db"));
    let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
    sqlx::query(r#"INSERT INTO service VALUES ('a', 'text', 1, '{"id": "a"}')"#).execute(&pool).await.unwrap();
    let refused = ServiceCatalogueRecords::load(&store).await.unwrap_err();
    assert!(matches!(&refused, ServiceCatalogueRecordsError::Corrupt(what) if what.contains("`a`")), "{refused}");
}
