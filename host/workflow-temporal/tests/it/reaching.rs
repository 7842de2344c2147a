//! Clusters that are not there, and what others do to executions in them.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::{ExecutionStatus, MemoryWorkflowRecords, NewSignal};
use breakwater_workflow_temporal::{TemporalConfig, TemporalExecutor};
use serde_json::json;

use super::conformance::{Operations, Sink};
use super::server::{bed, shared};

async fn refused(config: TemporalConfig) -> Failure {
    let runner = Arc::new(Operations(Arc::<Sink>::default()));
    TemporalExecutor::prepare(config, Arc::new(MemoryWorkflowRecords::default()), runner).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_is_told_in_time() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let began = Instant::now();
        let config =
            TemporalConfig { url: format!("http://{address}"), connect_timeout: Duration::from_secs(2), ..TemporalConfig::default() };
        let failure = refused(config).await;
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, "workflow.temporal"), "{failure:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for url in ["", "127.0.0.1:7233", "ftp://127.0.0.1", "http://"] {
        let failure = refused(TemporalConfig { url: url.to_owned(), ..TemporalConfig::default() }).await;
        assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "workflow.temporal"), "{url}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_none_is_refused() {
    let Some(server) = shared() else { return };
    let failure = refused(TemporalConfig { url: server.url(), namespace: "nobody".to_owned(), ..TemporalConfig::default() }).await;
    assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "workflow.temporal"), "{failure:?}");
    assert!(failure.message.contains("`nobody`"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_terminated_in_the_cluster_has_failed() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig::default()).await;
    bed.steps(json!([{ "id": "s", "type": "signal", "signal": "go", "next": null }])).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["s"]).await;
    server.ask(&["workflow", "terminate", "--workflow-id", &id, "--reason", "test"]).unwrap();
    let execution = bed.ends(&id).await;
    assert_eq!((execution.status, execution.error.unwrap().code.as_str()), (ExecutionStatus::Failed, "execution.terminated"));
    assert_eq!(bed.executor.signal(&id, NewSignal::new("go", json!(1))).await.unwrap_err().code, "execution.state");
    assert_eq!(bed.story(&id).await, ["s started"]);
}
