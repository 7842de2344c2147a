//! Executions that are walked again from their histories, and histories that are too long for one run.

use breakwater_workflow::{ExecutionStatus, NewSignal, Start, Wanted};
use breakwater_workflow_temporal::TemporalConfig;
use serde_json::json;

use super::conformance::{Bed, call, eventually, start};
use super::server::{bed, shared};

/// Everything that a walk may ask for, beside each other.
async fn put_everything(bed: &Bed) {
    let again = json!({ "max_retries": 3, "base_ms": 300, "max_delay_ms": 1500 });
    bed.put(json!({ "name": "inner", "steps": [call("i1", "add", Some("i2")), { "id": "i2", "operation": "flaky.inner", "retry": again, "next": null }] }))
        .await;
    let steps = json!([
        { "id": "book", "operation": "book", "compensate": { "operation": "release" }, "next": "fan" },
        { "id": "fan", "type": "parallel", "branches": {
            "calls": [{ "id": "c1", "operation": "flaky.one", "retry": again, "next": "c2" }, call("c2", "echo", None)],
            "child": [{ "id": "k", "type": "workflow", "workflow": "inner", "input": "`1`", "next": null }],
            "list": [{ "id": "each", "type": "map", "items": "`[1, 2, 3, 4, 5]`", "concurrency": 2, "steps": [
                { "id": "e", "operation": "flaky.each", "retry": again, "next": null }], "next": null }],
            "sleep": [{ "id": "t", "type": "timer", "wait_ms": 1000, "next": null }],
            "waits": [{ "id": "s", "type": "signal", "signal": "go", "timeout_ms": 600_000, "next": null }],
        }, "next": "last" },
        { "id": "last", "operation": "echo", "input": "keys(previous)", "next": "end" },
        { "id": "end", "operation": "bad", "when": "input == 'undo'", "next": null },
    ]);
    bed.put(json!({ "name": "w", "steps": steps, "timeout_ms": 600_000 })).await;
    for (operation, times) in [("flaky.inner", 3), ("flaky.one", 4), ("flaky.each", 6)] {
        bed.sink.fail(operation, times);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_from_the_history_is_the_same_walk() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig { max_cached: 0, ..TemporalConfig::default() }).await;
    put_everything(&bed).await;
    let mut ids = Vec::new();
    for input in ["a", "b", "undo"] {
        ids.push(bed.start(json!(input)).await);
    }
    for id in &ids {
        eventually("it waits for its signal", async || bed.story(id).await.contains(&"fan/waits/s started".to_owned())).await;
        bed.executor.command(id, Wanted::Pause).await.unwrap();
        bed.executor.signal(id, NewSignal::new("go", json!(1))).await.unwrap();
        bed.executor.command(id, Wanted::Resume).await.unwrap();
    }
    for (id, input) in ids.iter().zip(["a", "b", "undo"]) {
        let execution = bed.ends(id).await;
        if input == "undo" {
            assert_eq!((execution.status, execution.error.unwrap().code.as_str()), (ExecutionStatus::Failed, "operation.input-invalid"));
        } else {
            let expected = Some(json!(["calls", "child", "list", "sleep", "waits"]));
            assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, expected));
        }
        let log = server.ask(&["workflow", "show", "--workflow-id", id, "--output", "json"]).unwrap();
        assert!(!log.contains("WORKFLOW_TASK_FAILED"), "a walk was not the same: {log}");
    }
    assert_eq!(bed.sink.of("release").len(), 1);
    let (first, second) = (bed.history(&ids[2]).await, bed.history(&ids[2]).await);
    assert_eq!(first, second, "also when it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_too_long_goes_on_in_another_run() {
    let Some(server) = super::server::start(&["limit.historyCount.suggestContinueAsNew=40"]) else { return };
    let (bed, _) = bed(&server, TemporalConfig::default()).await;
    let steps = json!([
        { "id": "room", "operation": "book", "compensate": { "operation": "release" }, "next": "fan" },
        { "id": "fan", "type": "parallel", "branches": {
            "counts": [{ "id": "each", "type": "map", "items": "input", "concurrency": 2, "steps": [call("e", "add", None)], "next": null }],
            "waits": [{ "id": "s", "type": "signal", "signal": "go", "next": null }],
        }, "next": "sum" },
        { "id": "sum", "operation": "echo", "input": "[steps.fan.waits, length(steps.fan.counts), steps.fan.counts[-1]]", "next": "end" },
        { "id": "end", "operation": "two", "retry": { "max_retries": 0 }, "next": null },
    ]);
    bed.steps(steps).await;
    bed.sink.fail("two", 1);
    let key = Some("k".to_owned());
    let keyed = || Start { idempotency_key: key.clone(), ..start(json!((0..30).collect::<Vec<u32>>())) };
    let started = bed.executor.start(keyed()).await.unwrap().execution;
    let id = started.id.clone();
    bed.executor.signal(&id, NewSignal::new("early", json!(0))).await.unwrap();
    eventually("half of it is done", async || bed.sink.of("add").len() == 30).await;
    bed.executor.signal(&id, NewSignal::new("go", json!("signalled"))).await.unwrap();
    let failed = bed.ends(&id).await;
    assert_eq!(failed.error.unwrap().code, "upstream.connection");
    bed.executor.command(&id, Wanted::Retry).await.unwrap();
    let execution = bed.ends(&id).await;
    assert_eq!(execution.output, Some(json!({ "by": "two", "got": ["signalled", 30, 30] })), "{execution:?}");
    assert_eq!((execution.created_at_ms, execution.idempotency_key.as_deref()), (started.created_at_ms, Some("k")));
    assert!(execution.started_at_ms.unwrap() < failed.completed_at_ms.unwrap());
    assert!(bed.executor.start(keyed()).await.unwrap().existing);

    // The whole history, of all runs, and nothing was done twice but what failed and what was undone.
    let story = bed.story(&id).await;
    assert_eq!(story.iter().filter(|line| line.ends_with("/e completed")).count(), 30);
    assert_eq!(bed.sink.of("add").len(), 30);
    let keys = bed.sink.keys();
    let of_room: Vec<&String> = keys.iter().filter(|key| key.starts_with("room")).collect();
    assert_eq!(of_room, ["room", "room~undo", "room@1"]);
    let runs = server.ask(&["workflow", "list", "--query", &format!("WorkflowId = '{id}'"), "--output", "json"]).unwrap();
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let went_on = runs.as_array().unwrap().iter().filter(|run| run["status"] == "WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW").count();
    assert!(went_on >= 2, "{runs}");
    let listed = bed.of("w", None).await;
    assert_eq!(listed.iter().map(|execution| execution.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
}
