//! The plugin runtime with real components: those of `tests/guests`, the plugins of this repository, and the kept component of the
//! first contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "conformance/records.rs"]
mod catalogue_records;
#[path = "runtime/models.rs"]
mod models;
#[path = "runtime/outside.rs"]
mod outside;
#[path = "runtime/support.rs"]
mod support;

#[path = "runtime/adapter.rs"]
mod adapter;
#[path = "runtime/cache.rs"]
mod cache;
#[path = "runtime/contract.rs"]
mod contract;
#[path = "runtime/descriptor.rs"]
mod descriptor;
#[path = "runtime/embedder.rs"]
mod embedder;
#[path = "runtime/fallback.rs"]
mod fallback;
#[path = "runtime/hostile.rs"]
mod hostile;
#[path = "runtime/http.rs"]
mod http;
#[path = "runtime/imaging.rs"]
mod imaging;
#[path = "runtime/lifecycle.rs"]
mod lifecycle;
#[path = "runtime/nn.rs"]
mod nn;
#[path = "runtime/observing.rs"]
mod observing;
#[path = "runtime/probing.rs"]
mod probing;
#[path = "runtime/ranker.rs"]
mod ranker;
#[path = "runtime/rollback.rs"]
mod rollback;
#[path = "runtime/swap.rs"]
mod swap;
#[path = "runtime/upstream.rs"]
mod upstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_conform() {
    catalogue_records::conforms(std::sync::Arc::new(breakwater_plugins::MemoryRecords::default())).await;
}
