//! A workflow as a step.

use breakwater_workflow::{Execution, ExecutionStatus, Wanted, WorkflowRecords as _, WorkflowStatus};
use serde_json::{Value, json};

use super::bed::{Bed, call, eventually, start};

fn outer() -> Value {
    json!([{ "id": "sub", "type": "workflow", "workflow": "inner", "next": "after" }, call("after", "echo", None)])
}

async fn inner(bed: &Bed, steps: Value) {
    bed.put(json!({ "name": "inner", "steps": steps })).await;
}

/// The only execution of `inner`, once there is one.
async fn child(bed: &Bed) -> Execution {
    eventually("the inner workflow is listed", async || !bed.of("inner", None).await.is_empty()).await;
    let mut children = bed.of("inner", None).await;
    assert_eq!(children.len(), 1);
    children.remove(0)
}

pub(crate) async fn starts_a_workflow_and_takes_its_result(bed: &Bed) {
    inner(bed, json!([call("i", "add", None)])).await;
    bed.steps(outer()).await;
    let start = breakwater_workflow::Start { context: [("who".to_owned(), json!("me"))].into(), ..super::bed::start(json!(1)) };
    let id = bed.executor.start(start).await.unwrap().execution.id;
    assert_eq!(bed.ends(&id).await.output, Some(json!(2)));
    assert_eq!(bed.story(&id).await, ["sub started", "sub completed", "after started", "after completed"]);
    let child = child(bed).await;
    let expected = (ExecutionStatus::Completed, Some(json!(2)), Some((id, "sub".to_owned())));
    assert_eq!((child.status, child.output, child.parent), expected);
    assert_eq!(child.context, [("who".to_owned(), json!("me"))].into());
    assert_eq!(bed.story(&child.id).await, ["i started", "i completed"]);
    assert_eq!(bed.sink.calls()[0].key, format!("{}:i", child.id));
}

pub(crate) async fn takes_its_failure(bed: &Bed) {
    inner(bed, json!([call("i", "bad", None)])).await;
    let error = bed.run(outer(), json!(1)).await.error.unwrap();
    assert_eq!((error.code.as_str(), error.step.as_deref(), error.message.as_str()), ("operation.input-invalid", Some("i"), "wrong"));
}

pub(crate) async fn ends_at_some_depth(bed: &Bed) {
    let itself = bed.run(json!([{ "id": "sub", "type": "workflow", "workflow": "w", "next": null }]), json!(1)).await;
    assert_eq!(itself.error.unwrap().code, "workflow.too-deep");
    assert_eq!(bed.of("w", None).await.len(), 9, "eight of them below the first");
}

pub(crate) async fn cancels_it_with_its_parent(bed: &Bed) {
    inner(
        bed,
        json!([{ "id": "i", "operation": "book", "compensate": { "operation": "release" }, "next": "hold" }, call("hold", "gate.x", None)]),
    )
    .await;
    bed.steps(outer()).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    bed.executor.command(&id, Wanted::Cancel).await.unwrap();
    assert_eq!(bed.ends(&id).await.status, ExecutionStatus::Cancelled);
    let child = bed.ends(&child(bed).await.id).await;
    assert_eq!((child.status, child.error.unwrap().code.as_str()), (ExecutionStatus::Cancelled, "execution.cancelled"));
    assert_eq!(bed.sink.operations(), ["book", "gate.x", "release"]);
}

pub(crate) async fn retries_it_with_its_parent(bed: &Bed) {
    let failing = json!({ "id": "i2", "operation": "two", "retry": { "max_retries": 0 }, "next": null });
    inner(bed, json!([call("i1", "add", Some("i2")), failing])).await;
    bed.sink.fail("two", 1);
    let execution = bed.run(outer(), json!(1)).await;
    assert_eq!(execution.error.unwrap().code, "upstream.connection");
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    assert_eq!(bed.ends(&execution.id).await.output, Some(json!({ "by": "two", "got": 2 })));
    assert_eq!(bed.sink.operations(), ["add", "two", "two", "echo"]);
    let child = bed.of("inner", Some(ExecutionStatus::Completed)).await.remove(0);
    assert_eq!(bed.ends(&child.id).await.output, Some(json!({ "by": "two", "got": 2 })));
    let story = ["i1 started", "i1 completed", "i2 started", "i2 failed", " retried", "i2 started", "i2 completed"];
    assert_eq!(bed.story(&child.id).await, story);
}

pub(crate) async fn begins_it_anew_when_its_time_was_over(bed: &Bed) {
    inner(bed, json!([call("i", "gate.x", None)])).await;
    let steps = json!([{ "id": "sub", "type": "workflow", "workflow": "inner", "timeout_ms": 1500, "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    let error = execution.error.unwrap();
    assert_eq!((error.code.as_str(), error.step.as_deref()), ("workflow.timeout", Some("sub")));
    assert_eq!(bed.ends(&child(bed).await.id).await.status, ExecutionStatus::Cancelled);
    bed.sink.open("gate.x");
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    let ended = bed.ends(&execution.id).await;
    assert_eq!((ended.status, ended.output, ended.error), (ExecutionStatus::Completed, Some(json!(1)), None));
    let keys: std::collections::BTreeSet<String> = bed.sink.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 2, "another execution, with other keys");
    eventually("both are listed", async || bed.of("inner", None).await.len() == 2).await;
}

pub(crate) async fn refuses_one_that_is_not_there(bed: &Bed) {
    let sub = json!({ "id": "sub", "type": "workflow", "workflow": "inner", "next": null });
    bed.steps(json!([call("first", "gate.x", Some("sub")), sub])).await;
    let refused = async || {
        let failure = bed.executor.start(start(json!(1))).await.unwrap_err();
        let violations = failure.detail.unwrap()["violations"].clone();
        (failure.code.into_owned(), violations[0]["pointer"].clone(), violations[0]["message"].as_str().unwrap().to_owned())
    };
    let (code, pointer, message) = refused().await;
    assert_eq!((code.as_str(), pointer), ("workflow.not-executable", json!("/steps/1/workflow")));
    assert!(message.contains("`inner`, which is not there"), "{message}");
    bed.put_as(json!({ "name": "inner", "steps": [call("i", "echo", None)] }), WorkflowStatus::Archived).await;
    assert!(refused().await.2.contains("is ARCHIVED"));
    assert!(bed.sink.calls().is_empty(), "nothing was begun");

    // It may still go away before its step is reached.
    bed.put(json!({ "name": "inner", "steps": [call("i", "echo", None)] })).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    assert!(bed.records.remove_workflow(&bed.id("inner")).await.unwrap());
    bed.sink.open("gate.x");
    let error = bed.ends(&id).await.error.unwrap();
    assert_eq!((error.code.as_str(), error.step.as_deref()), ("workflow.unknown", Some("sub")));
}
