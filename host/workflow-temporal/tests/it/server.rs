//! The server that tests share, each with a task queue of its own.

use std::sync::{Arc, OnceLock};

use breakwater_tests::temporal::TemporalServer;
use breakwater_workflow::MemoryWorkflowRecords;
use breakwater_workflow_temporal::{TemporalConfig, TemporalExecutor};

use super::conformance::{Bed, Operations, Sink};

/// Nothing, after saying so, when there is none.
pub(crate) fn shared() -> Option<&'static TemporalServer> {
    static SERVER: OnceLock<Option<TemporalServer>> = OnceLock::new();
    SERVER.get_or_init(|| start(&[])).as_ref()
}

/// One of the test's own.
#[expect(clippy::print_stdout, reason = "a test that could not run says so")]
pub(crate) fn start(settings: &[&str]) -> Option<TemporalServer> {
    let server = TemporalServer::start_with(settings).unwrap();
    if server.is_none() {
        println!("NOT RUN: workflows on Temporal (there is none in the target folder; `cargo xtask test` installs it)");
    }
    server
}

/// An executor at work on a queue of its own.
pub(crate) async fn bed(server: &TemporalServer, config: TemporalConfig) -> (Bed, TemporalExecutor) {
    let (records, sink) = (Arc::new(MemoryWorkflowRecords::default()), Arc::<Sink>::default());
    let name = uuid::Uuid::now_v7().to_string();
    let executor = executor(server, TemporalConfig { task_queue: name.clone(), ..config }, &records, &sink).await;
    (Bed { executor: Arc::new(executor.clone()), records, sink, name }, executor)
}

/// An executor at work.
pub(crate) async fn executor(
    server: &TemporalServer,
    config: TemporalConfig,
    records: &Arc<MemoryWorkflowRecords>,
    sink: &Arc<Sink>,
) -> TemporalExecutor {
    let config = TemporalConfig { url: server.url(), ..config };
    let executor = TemporalExecutor::prepare(config, records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    executor.adopt().unwrap();
    executor
}
