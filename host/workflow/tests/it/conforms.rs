//! What is in this crate against the suites that all executors and all records pass.

use std::sync::Arc;

use breakwater_workflow::{EmbeddedConfig, EmbeddedExecutor, MemoryWorkflowRecords, WorkflowRecords};

use super::executor::{self, Bed, Operations, Sink};
use super::records;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_executor_conforms() {
    executor::conforms(async || {
        let (records, sink) = (Arc::new(MemoryWorkflowRecords::default()), Arc::<Sink>::default());
        let executor =
            EmbeddedExecutor::start(EmbeddedConfig::default(), records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
        Bed { executor: Arc::new(executor), records, sink, name: "id".to_owned() }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_conform() {
    records::conforms(async || {
        let records: Arc<dyn WorkflowRecords> = Arc::new(MemoryWorkflowRecords::default());
        [Arc::clone(&records), records]
    })
    .await;
}
