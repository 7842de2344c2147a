//! Keys, pausing, cancelling, retrying.

use std::time::Duration;

use breakwater_workflow::{ExecutionStatus, Executor, NewSignal, Wanted};
use serde_json::json;

use super::support::{Bed, start};

#[tokio::test(start_paused = true)]
async fn starting_twice_with_one_key_is_starting_once() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "one", "operation": "add", "next": null }] })).await;
    let keyed = |input| breakwater_workflow::Start { idempotency_key: Some("k".to_owned()), ..start(input) };
    let (first, second) = tokio::join!(bed.executor.start(keyed(json!(1))), bed.executor.start(keyed(json!(1))));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.execution.id, second.execution.id);
    assert_ne!(first.existing, second.existing);
    bed.ends(&first.execution.id).await;
    assert_eq!(bed.sink.calls().len(), 1);
    let reused = bed.executor.start(keyed(json!(2))).await.unwrap_err();
    assert_eq!((&*reused.code, &reused.detail.unwrap()["execution_id"]), ("execution.key-reused", &json!(first.execution.id)));
    let long = breakwater_workflow::Start { idempotency_key: Some("k".repeat(256)), ..start(json!(1)) };
    assert_eq!(bed.executor.start(long).await.unwrap_err().code, "execution.key-invalid");
}

#[tokio::test(start_paused = true)]
async fn no_step_begins_while_it_is_paused() {
    let bed = Bed::new().await;
    let steps =
        json!([{ "id": "slow", "operation": "slow", "next": "one" }, { "id": "one", "operation": "add", "input": "`1`", "next": null }]);
    bed.put(json!({ "name": "w", "steps": steps })).await;
    let id = bed.start(json!(1)).await;
    bed.until(&id, ExecutionStatus::Running).await;
    assert_eq!(bed.executor.command(&id, Wanted::Pause).await.unwrap().status, ExecutionStatus::Paused);
    assert_eq!(bed.executor.command(&id, Wanted::Pause).await.unwrap().status, ExecutionStatus::Paused, "twice is no failure");
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(bed.sink.operations(), ["slow"], "what had begun ended, and nothing else began");
    assert_eq!(bed.executor.command(&id, Wanted::Retry).await.unwrap_err().code, "execution.state");
    assert_ne!(bed.executor.command(&id, Wanted::Resume).await.unwrap().status, ExecutionStatus::Paused);
    assert_eq!(bed.ends(&id).await.output, Some(json!(2)));
    for wanted in [Wanted::Pause, Wanted::Resume, Wanted::Cancel, Wanted::Retry] {
        assert_eq!(bed.executor.command(&id, wanted).await.unwrap_err().code, "execution.state", "{wanted:?}");
    }
    assert_eq!(bed.executor.command("nobody", Wanted::Pause).await.unwrap_err().code, "execution.unknown");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_execution_takes_no_notice_of_what_still_answers_and_undoes_what_was_done() {
    let bed = Bed::new().await;
    let steps = json!([
        { "id": "room", "operation": "book", "compensate": { "operation": "cancel" }, "next": "slow" },
        { "id": "slow", "operation": "slow", "next": "never" },
        { "id": "never", "operation": "add", "next": null },
    ]);
    bed.put(json!({ "name": "w", "steps": steps })).await;
    let id = bed.start(json!(1)).await;
    while bed.sink.operations() != ["book", "slow"] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let cancelled = bed.executor.command(&id, Wanted::Cancel).await.unwrap();
    assert_eq!((cancelled.status, cancelled.error.unwrap().code.as_str()), (ExecutionStatus::Cancelled, "execution.cancelled"));
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(bed.sink.operations(), ["book", "slow", "cancel"]);
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_paused_execution_can_be_cancelled_and_a_child_goes_with_its_parent() {
    let bed = Bed::new().await;
    super::support::put(&*bed.records, json!({ "name": "inner", "steps": [{ "id": "s", "operation": "slow", "next": null }] })).await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "sub", "type": "workflow", "workflow": "inner", "next": null }] })).await;
    let id = bed.start(json!(1)).await;
    while bed.sink.operations().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bed.executor.command(&id, Wanted::Pause).await.unwrap();
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
    let all = bed.executor.list(&Default::default(), breakwater_workflow::Range { skip: 0, take: 10 }).await.unwrap();
    assert_eq!(all.total, 2);
    assert!(all.items.iter().all(|execution| execution.status == ExecutionStatus::Cancelled), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_execution_goes_on_from_the_step_that_failed() {
    let bed = Bed::new().await;
    bed.sink.fail("two", 4);
    let steps = json!([{ "id": "one", "operation": "add", "next": "two" }, { "id": "two", "operation": "two", "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.status, ExecutionStatus::Failed);
    let retried = bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    assert_ne!(retried.status, ExecutionStatus::Failed);
    let ended = bed.ends(&execution.id).await;
    assert_eq!((ended.status, ended.error, ended.output), (ExecutionStatus::Completed, None, Some(json!({ "by": "two", "got": 2 }))));
    assert_eq!(bed.sink.operations(), ["add", "two", "two", "two", "two", "two"], "the first step is not done again");
}

#[tokio::test(start_paused = true)]
async fn retrying_a_workflow_that_is_a_step_retries_what_it_had_started() {
    let bed = Bed::new().await;
    bed.sink.fail("two", 4);
    let inner = json!([{ "id": "i1", "operation": "add", "next": "i2" }, { "id": "i2", "operation": "two", "next": null }]);
    super::support::put(&*bed.records, json!({ "name": "inner", "steps": inner })).await;
    let execution = bed.run(json!([{ "id": "sub", "type": "workflow", "workflow": "inner", "next": null }]), json!(1)).await;
    assert_eq!(execution.error.unwrap().code, "workflow.max-retries-exceeded");
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    assert_eq!(bed.ends(&execution.id).await.output, Some(json!({ "by": "two", "got": 2 })));
    assert_eq!(bed.sink.operations(), ["add", "two", "two", "two", "two", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_waits_ends_when_another_one_fails() {
    let bed = Bed::new().await;
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "bad": [{ "id": "b", "operation": "bad", "next": null }],
        "waits": [{ "id": "s", "type": "signal", "signal": "never", "next": null }],
        "naps": [{ "id": "t", "type": "timer", "wait_ms": 1_000_000_000, "next": null }],
    }, "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.error.unwrap().code, "operation.input-invalid");
    assert!(execution.completed_at_ms.unwrap() - execution.created_at_ms < 1000);
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_is_done_again_under_another_key() {
    let bed = Bed::new().await;
    bed.sink.fail("charge", 4);
    let steps = json!([
        { "id": "reserve", "operation": "book", "compensate": { "operation": "release" }, "next": "charge" },
        { "id": "charge", "operation": "charge", "next": null },
    ]);
    let execution = bed.run(steps, json!(1)).await;
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    assert_eq!(bed.ends(&execution.id).await.status, ExecutionStatus::Completed);
    assert_eq!(bed.sink.operations(), ["book", "charge", "charge", "charge", "charge", "release", "book", "charge"]);
    let keys: Vec<String> = bed.sink.calls().into_iter().map(|(_, key, _)| key.split_once(':').unwrap().1.to_owned()).collect();
    assert_eq!((keys[0].as_str(), keys[5].as_str(), keys[6].as_str()), ("reserve", "reserve~undo", "reserve@1"));
    assert_eq!(keys[7], "charge", "what was not undone keeps its key");
}

#[tokio::test(start_paused = true)]
async fn signals_end_somewhere() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "s", "type": "signal", "signal": "never", "next": null }] })).await;
    let id = bed.start(json!(null)).await;
    for _ in 0..1000 {
        bed.executor.signal(&id, NewSignal::new("other", json!(null))).await.unwrap();
    }
    assert_eq!(bed.executor.signal(&id, NewSignal::new("other", json!(null))).await.unwrap_err().code, "execution.too-many-signals");
    let large = json!("x".repeat(256 << 10));
    assert_eq!(bed.executor.signal(&id, NewSignal::new("other", large)).await.unwrap_err().code, "execution.signal-too-large");
    assert_eq!(bed.executor.signal(&id, NewSignal::new("", json!(null))).await.unwrap_err().code, "execution.signal-invalid");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_leaves_no_execution_behind_that_nobody_runs() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "one", "operation": "add", "next": null }] })).await;
    {
        let starting = bed.executor.start(start(json!(1)));
        tokio::pin!(starting);
        // Polled once, and dropped before it has answered.
        assert!(futures_util::poll!(starting.as_mut()).is_pending());
    }
    loop {
        let all = bed.executor.list(&Default::default(), breakwater_workflow::Range { skip: 0, take: 10 }).await.unwrap();
        if all.items.first().is_some_and(|execution| execution.status == ExecutionStatus::Completed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_step_had_cancelled_for_its_time_begins_anew_when_the_step_is_retried() {
    let bed = Bed::new().await;
    let inner = json!([{ "id": "s", "type": "signal", "signal": "go", "next": null }]);
    super::support::put(&*bed.records, json!({ "name": "inner", "steps": inner })).await;
    let steps = json!([{ "id": "sub", "type": "workflow", "workflow": "inner", "timeout_ms": 5000, "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.error.unwrap().code, "workflow.timeout");
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    let all = Default::default();
    let child = loop {
        let listed = bed.executor.list(&all, breakwater_workflow::Range { skip: 0, take: 10 }).await.unwrap().items;
        let found = listed.into_iter().find(|found| found.workflow_name == "inner" && !found.status.is_final());
        match found {
            Some(child) => break child.id,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    bed.executor.signal(&child, NewSignal::new("go", json!("done"))).await.unwrap();
    assert_eq!(bed.ends(&execution.id).await.output, Some(json!("done")));
}
