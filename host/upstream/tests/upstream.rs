//! Upstreams over real sockets: what they do with every way in which the other side can fail, and what they send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

mod conformance {
    mod registry;
    mod services;

    #[tokio::test]
    async fn definitions_in_memory_conform() {
        services::conforms(std::sync::Arc::new(breakwater_upstream::MemoryServiceCatalogueRecords::default())).await;
    }

    #[tokio::test]
    async fn records_in_memory_conform() {
        registry::conforms(std::sync::Arc::new(breakwater_upstream::MemoryRecords::default())).await;
    }
}

mod sockets {
    mod answers;
    mod defined;
    mod faults;
    mod health;
    mod registered;
    mod requests;
    mod server;
    mod setup;
    mod streams;
    mod tls;
    mod urls;

    use setup::{NAME, SLACK, config, context, eventually, get, post, send, start, start_with, text};
}
