//! The suite that every index passes, in both precisions and on the oldest and newest server.

use std::sync::Arc;

use breakwater_search::Indices;
use breakwater_search_pgvector::{Config, IterativeScan, Storage};
use breakwater_tests::postgres::{PostgresServer, Setup};

use crate::conformance::conforms;
use crate::server::{config, indices, shared, start};

async fn run(server: &PostgresServer, change: fn(Config) -> Config) {
    let config = change(config(server, "conformance"));
    conforms(async || Arc::new(indices(config.clone())) as Arc<dyn Indices>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_precision_on_the_oldest_server() {
    let Some(server) = shared() else { return };
    run(server, |config| config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_precision_in_strict_order_on_the_newest_server() {
    let Some(server) = start(Setup { newest: true, ..Setup::default() }) else { return };
    run(&server, |config| Config { storage: Storage::Vector, iterative_scan: IterativeScan::StrictOrder, ..config }).await;
}
