//! The records in memory against the suite that all records pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "records/conformance.rs"]
mod conformance;

use std::sync::Arc;

use breakwater_workflow::{MemoryWorkflowRecords, WorkflowRecords};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_conform() {
    conformance::conforms(async || {
        let records: Arc<dyn WorkflowRecords> = Arc::new(MemoryWorkflowRecords::default());
        [Arc::clone(&records), records]
    })
    .await;
}
