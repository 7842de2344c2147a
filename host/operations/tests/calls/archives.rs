//! Archives of batches: so many at once, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, FailureKind};
use breakwater_operations::batches::definition::{WORKFLOW, Work};
use breakwater_operations::batches::{Archive, Batches, MAX_ARCHIVES};
use breakwater_operations::workflows::{Executor as _, OperationSteps, Start, Workflows};
use breakwater_workflow::{EmbeddedConfig, EmbeddedExecutor, MemoryWorkflowRecords};
use futures_util::StreamExt as _;
use serde_json::json;

use super::{Behaviour, Stage};

/// A batch that has ended, and how to get it.
async fn batch(stage: &Stage) -> (Arc<Batches>, String) {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let runner = Arc::new(OperationSteps(stage.operations.clone()));
    let executor = Arc::new(EmbeddedExecutor::start(EmbeddedConfig::default(), records.clone(), runner).await.unwrap());
    Work::of_host(1).keep(&*records, 1).await.unwrap();
    let input = json!({ "source": "images", "concurrency": 1, "options": {}, "items": [{ "image_path": "/none.png" }] });
    let start = Start { workflow: WORKFLOW.to_owned(), input, context: BTreeMap::new(), idempotency_key: None, parent: None };
    let id = executor.start(start).await.unwrap().execution.id;
    let batches = Batches::new(Workflows::new(stage.operations.clone(), records, executor));
    let ended = batches.wait(&id, Duration::from_secs(30)).await.unwrap();
    assert!(ended.status.is_final(), "{ended:?}");
    (batches, id)
}

/// An archive as soon as there is a place for it.
async fn eventually(batches: &Batches, id: &str) -> Archive {
    let deadline = Deadline::after(Duration::from_secs(30));
    loop {
        match batches.archive(id).await {
            Ok(archive) => return archive,
            Err(failure) => assert!(failure.code == "batch.overloaded" && !deadline.has_passed(), "{failure}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_archives_are_read_at_once_and_a_place_is_free_when_one_is_read_or_left() {
    let stage = Stage::new(Behaviour::Finds(0.9), Behaviour::Fails).await;
    let (batches, id) = batch(&stage).await;
    let mut archives = Vec::new();
    for _ in 0..MAX_ARCHIVES {
        archives.push(batches.archive(&id).await.unwrap());
    }
    let refused = batches.archive(&id).await.unwrap_err();
    assert_eq!((&*refused.code, refused.kind, refused.retry_after.is_some()), ("batch.overloaded", FailureKind::Limit, true));
    assert_eq!(batches.archive("none").await.unwrap_err().code, "batch.unknown");

    // One that nobody reads to its end.
    drop(archives.pop());
    archives.push(eventually(&batches, &id).await);
    assert_eq!(batches.archive(&id).await.unwrap_err().code, "batch.overloaded");
    let pieces: Vec<_> = archives.pop().unwrap().pieces().collect().await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
    assert!(bytes.starts_with(b"PK"), "it is a zip file");
    archives.push(eventually(&batches, &id).await);
    assert_eq!(batches.archive(&id).await.unwrap_err().code, "batch.overloaded");
}
