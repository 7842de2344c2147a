//! Workflows and executions in SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breakwater_store::{SqliteStore, StoreError};
use breakwater_workflow::{Created, ExecutionFilter, NewSignal, Range, RecordsError, WorkflowRecords};
use serde_json::json;
use tempfile::TempDir;

use super::workflow_records::{append, conforms, create, digest, events, execution, workflow};

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("breakwater.db")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_workflows_conform() {
    let folder = TempDir::new().unwrap();
    let number = std::cell::Cell::new(0);
    conforms(async || {
        number.set(number.get() + 1);
        let file = folder.path().join(format!("{}.db", number.get()));
        let store: Arc<dyn WorkflowRecords> = Arc::new(SqliteStore::open(&file).await.unwrap());
        [Arc::clone(&store), store]
    })
    .await;
}

#[tokio::test]
async fn a_later_process_takes_over_what_an_earlier_left() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).await;
    let lock = store.become_executor().unwrap();
    store.put_workflow(&workflow("w", 1, "texts")).await.unwrap();
    // It says that it lives for an hour, and then it dies.
    store.beat("first", Duration::from_secs(3600)).await.unwrap();
    let fence = create(&store, &execution("e", 0), "first").await;
    append(&store, events(&fence, 1..=2)).await.unwrap();
    store.signal("e", &NewSignal::new("go", json!(1)), 5).await.unwrap();
    store.close().await;
    drop((store, lock));

    let store = open(folder.path()).await;
    let _lock = store.become_executor().unwrap();
    let claimed = store.claim("second", 10).await.unwrap().remove(0);
    assert_eq!((claimed.execution, claimed.fence.epoch), (execution("e", 0), 2));
    assert_eq!(store.events("e", 0, 10).await.unwrap().total, 2);
    assert_eq!(store.signals("e", 0).await.unwrap().len(), 1);
    append(&store, events(&claimed.fence, [3])).await.unwrap();
    let refused = append(&store, events(&fence, [4])).await;
    assert!(matches!(refused, Err(RecordsError::Fenced)), "{refused:?}");
}

#[tokio::test]
async fn one_process_at_a_time_runs_workflows() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (open(folder.path()).await, open(folder.path()).await);
    let lock = one.become_executor().unwrap();
    for store in [&one, &other] {
        let refused = store.become_executor().unwrap_err();
        assert!(matches!(refused, StoreError::ExecutorElsewhere), "{refused:?}");
        assert_eq!(refused.code(), "store.executor-elsewhere");
    }
    drop(lock);
    other.become_executor().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_that_start_at_once_are_written_together() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(folder.path()).await);
    store.put_workflow(&workflow("w", 1, "texts")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        let execution = execution(&format!("e{number}"), number);
        tasks.spawn(async move { store.create(&execution, digest(&execution.input), "n").await.unwrap() });
    }
    // Somebody who does not wait for the answer takes nobody along.
    let impatient = execution("impatient", 500);
    drop(tokio::time::timeout(Duration::ZERO, store.create(&impatient, digest(&impatient.input), "n")).await);
    for created in tasks.join_all().await {
        assert!(matches!(created, Created::New(_)), "{created:?}");
    }
    let part = store.executions(&ExecutionFilter::default(), Range { skip: 0, take: 1000 }).await.unwrap();
    assert!((200..=201).contains(&part.items.len()), "{}", part.items.len());
}
