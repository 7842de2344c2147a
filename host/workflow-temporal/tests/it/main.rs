//! The executor on a real cluster: Temporal's development server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

#[path = "../../../workflow/tests/executor/conformance.rs"]
mod conformance;
mod crash;
mod limits;
mod reaching;
mod replay;
mod server;

use breakwater_workflow_temporal::TemporalConfig;

#[tokio::test(flavor = "multi_thread")]
async fn the_executor_on_a_cluster_conforms() {
    let Some(server) = server::shared() else { return };
    conformance::conforms(async || server::bed(server, TemporalConfig::default()).await.0).await;
}
