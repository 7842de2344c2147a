//! The stored flags.

use std::path::Path;
use std::sync::Arc;

use breakwater_flags::{FlagRecords, FlagRecordsError, Flags};
use breakwater_store::SqliteStore;

use crate::flag_records;

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("breakwater.db")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flags_conform() {
    let folder = tempfile::tempdir().unwrap();
    flag_records::conforms(Arc::new(open(folder.path()).await)).await;
}

#[tokio::test]
async fn flags_and_their_versions_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    FlagRecords::put(&store, "kept", 0, &flag_records::flag(5)).await.unwrap();
    FlagRecords::put(&store, "removed", 0, &flag_records::flag(6)).await.unwrap();
    assert_eq!(FlagRecords::remove(&store, "removed", 2).await.unwrap(), 3);
    let before = FlagRecords::load(&store).await.unwrap();
    store.close().await;
    let store = open(folder.path()).await;
    assert_eq!(FlagRecords::load(&store).await.unwrap(), before);
    assert_eq!(FlagRecords::put(&store, "removed", 0, &flag_records::flag(6)).await.unwrap(), 4);
}

#[tokio::test]
async fn two_processes_on_one_file_see_each_others_flags() {
    let folder = tempfile::tempdir().unwrap();
    let open_flags = async || Flags::open(Arc::new(open(folder.path()).await), [].into()).await.unwrap();
    let (one, other) = (open_flags().await, open_flags().await);
    one.put("f", flag_records::flag(5), Some(0)).await.unwrap();
    assert!(other.refresh().await.unwrap());
    assert_eq!(other.get("f").unwrap().flag.rollout, 5);
    assert_eq!(other.put("f", flag_records::flag(6), Some(0)).await.unwrap_err().code(), "flag.conflict");
    other.put("f", flag_records::flag(6), Some(1)).await.unwrap();
    // The one that has not looked yet is refused, and one that does not care is not.
    assert_eq!(one.put("f", flag_records::flag(7), Some(1)).await.unwrap_err().code(), "flag.conflict");
    assert_eq!(one.put("f", flag_records::flag(7), None).await.unwrap().flag.version, 3);
}

#[tokio::test]
async fn a_flag_that_cannot_be_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("breakwater.db"));
    let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
    // What a later release might write.
    let insert = r#"INSERT INTO flag VALUES ('f', 1, '{"enabled": true, "schedule": "nightly"}')"#;
    sqlx::query(insert).execute(&pool).await.unwrap();
    let refused = FlagRecords::load(&store).await.unwrap_err();
    assert!(matches!(&refused, FlagRecordsError::Corrupt(what) if what.contains("`f`") && what.contains("schedule")), "{refused}");
}
