//! Servers and processes that end in the middle of things.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use breakwater_core::Deadline;
use breakwater_workflow::{ExecutionStatus, Executor as _, NewSignal};
use breakwater_workflow_temporal::TemporalConfig;
use serde_json::json;

use super::conformance::{LONG, call, eventually, start};
use super::server::{bed, executor, shared};

#[tokio::test(flavor = "multi_thread")]
async fn executions_outlive_a_cluster_that_is_killed() {
    let Some(mut server) = super::server::start(&[]) else { return };
    let (bed, _) = bed(&server, TemporalConfig::default()).await;
    for (name, first) in [
        ("step", call("first", "gate.x", Some("second"))),
        ("timer", json!({ "id": "first", "type": "timer", "wait_ms": 4000, "next": "second" })),
        ("signal", json!({ "id": "first", "type": "signal", "signal": "go", "next": "second" })),
        ("child", json!({ "id": "first", "type": "workflow", "workflow": "signal", "next": "second" })),
    ] {
        bed.put(json!({ "name": name, "steps": [call("before", "add", Some("first")), first, call("second", "echo", None)] })).await;
    }
    let mut ids = Vec::new();
    for name in ["step", "timer", "signal", "child"] {
        let start = breakwater_workflow::Start { workflow: name.to_owned(), ..start(json!(1)) };
        ids.push(bed.executor.start(start).await.unwrap().execution.id);
    }
    for id in &ids {
        bed.is_at(id, &["first"]).await;
    }
    bed.sink.called("gate.x", 1).await;
    // The one that the last of them has started waits too.
    let child = async || bed.of("signal", None).await.into_iter().find(|execution| execution.parent.is_some());
    eventually("it is listed", async || child().await.is_some()).await;
    let child = child().await.unwrap().id;
    bed.is_at(&child, &["first"]).await;
    server.kill();
    // An answer that nobody hears until there is a cluster again.
    bed.sink.open("gate.x");
    let failure = bed.executor.get(&ids[0]).await.unwrap_err();
    assert_eq!(&*failure.code, "workflow.store", "{failure:?}");
    server.restart().unwrap();
    for id in [&ids[2], &child] {
        let began = Instant::now();
        while let Err(failure) = bed.executor.signal(id, NewSignal::new("go", json!(7))).await {
            assert!(began.elapsed() < LONG, "{failure:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for (id, output) in ids.iter().zip([2, 2, 7, 7]) {
        let execution = bed.ends(id).await;
        assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, Some(json!(output))), "{id}");
    }
    let keys: BTreeSet<String> = bed.sink.calls().into_iter().map(|call| call.key).collect();
    let expected = ids.iter().chain([&child]).flat_map(|id| [format!("{id}:before"), format!("{id}:second")]);
    assert_eq!(keys, expected.chain([format!("{}:first", ids[0])]).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_makes_the_step_of_one_that_is_gone_with_the_same_key() {
    let Some(server) = shared() else { return };
    let (bed, first) = bed(server, TemporalConfig::default()).await;
    bed.steps(json!([call("one", "add", Some("hold")), call("hold", "gate.x", Some("last")), call("last", "echo", None)])).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    first.shutdown(Deadline::after(Duration::ZERO)).await;
    assert_eq!(first.start(start(json!(1))).await.unwrap_err().code, "workflow.stopping");
    let second =
        executor(server, TemporalConfig { task_queue: bed.name.clone(), ..TemporalConfig::default() }, &bed.records, &bed.sink).await;
    bed.sink.open("gate.x");
    let began = Instant::now();
    let execution = second.wait(&id, LONG).await.unwrap();
    assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, Some(json!(2))));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert_eq!(bed.sink.keys(), ["one", "hold", "hold", "last"]);
    let history = second.history(&id, 0, 100).await.unwrap();
    assert_eq!(history.total, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_in_time_lets_its_steps_end() {
    let Some(server) = shared() else { return };
    let (bed, first) = bed(server, TemporalConfig::default()).await;
    bed.steps(json!([call("hold", "gate.x", Some("last")), call("last", "echo", None)])).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    let ((), ()) = tokio::join!(first.shutdown(Deadline::after(LONG)), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bed.sink.open("gate.x");
    });
    let second =
        executor(server, TemporalConfig { task_queue: bed.name.clone(), ..TemporalConfig::default() }, &bed.records, &bed.sink).await;
    let execution = second.wait(&id, LONG).await.unwrap();
    assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, Some(json!(1))));
    assert_eq!(bed.sink.operations(), ["gate.x", "echo"], "nothing was made twice");
}
