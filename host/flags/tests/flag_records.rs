//! The records held in memory against the suite of their trait.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets a surprise should stop there, also in a shared function")]

#[path = "conformance/records.rs"]
mod flag_records;

use std::sync::Arc;

use breakwater_flags::MemoryFlagRecords;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_conform() {
    flag_records::conforms(Arc::new(MemoryFlagRecords::default())).await;
}
