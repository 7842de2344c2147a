//! Products in SQLite.

use std::path::Path;
use std::sync::Arc;

use breakwater_search::product::Stored;
use breakwater_search::records::{ImportState, ProductRecords, RecordsError};
use breakwater_store::SqliteStore;

use crate::product_records::{conforms, draft, space};

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("breakwater.db")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_products_conform() {
    let folder = tempfile::tempdir().unwrap();
    conforms(Arc::new(open(folder.path()).await)).await;
}

#[tokio::test]
async fn products_and_their_numbers_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let a = space("a", 2);
    let store = open(folder.path()).await;
    let import = ImportState { position: 2, stored: 2, ..ImportState::default() };
    let drafts = vec![draft("kept", &[(&a, &[1.0, 0.0])]), draft("gone", &[(&a, &[0.0, 1.0])])];
    let stored: Vec<Stored> = store.put(drafts, Some(("i", import.clone()))).await.unwrap().into_iter().flatten().collect();
    let (_, sequence) = ProductRecords::delete(&store, "gone").await.unwrap().unwrap();
    store.close().await;

    let store = open(folder.path()).await;
    assert_eq!(ProductRecords::get(&store, "kept").await.unwrap().as_ref(), Some(&stored[0]));
    assert_eq!(store.sequence().await.unwrap(), sequence);
    assert_eq!(store.import("i").await.unwrap(), Some(import));
    assert_eq!(store.changes(&a, 0, 10).await.unwrap().len(), 2, "an index that was away learns what is gone");
    let again = store.put(vec![draft("gone", &[])], None).await.unwrap().remove(0).unwrap();
    assert!(again.key > stored[1].key && again.sequence > sequence);
}

#[tokio::test]
async fn two_processes_on_one_file_number_changes_together() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()).await, open(folder.path()).await);
    one.put(vec![draft("a", &[])], None).await.unwrap();
    let second = other.put(vec![draft("b", &[])], None).await.unwrap().remove(0).unwrap();
    assert_eq!((second.sequence, one.sequence().await.unwrap()), (2, 2));
    assert_eq!(ProductRecords::get(&one, "b").await.unwrap(), Some(second));
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (store, a) = (open(folder.path()).await, space("a", 2));
    store.put(vec![draft("one", &[(&a, &[1.0, 0.0])])], None).await.unwrap();
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("breakwater.db"));
    let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
    let corrupt = async |damage: &'static str| {
        sqlx::query(damage).execute(&pool).await.unwrap();
        let refused = store.changes(&a, 0, 10).await.unwrap_err();
        let RecordsError::Corrupt(what) = refused else { panic!("{refused}") };
        what
    };
    assert!(corrupt("UPDATE product_vector SET vector = x'003c'").await.contains("1 numbers"));
    assert!(corrupt("UPDATE product_vector SET vector = x'00'").await.contains("vector of key 1"));
    assert!(corrupt("UPDATE product SET product = '{\"id\": 3}'").await.contains("product of key 1"));
}
