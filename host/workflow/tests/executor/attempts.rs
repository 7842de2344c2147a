//! Attempts, what is done when they all fail, and the time that everything has.

use breakwater_workflow::{ExecutionStatus, Happened};
use serde_json::{Value, json};

use super::bed::{Bed, call};

/// A step with short waits between its attempts.
fn quick(operation: &str) -> Value {
    json!({ "id": "one", "operation": operation, "retry": { "base_ms": 10, "max_delay_ms": 20 }, "next": null })
}

pub(crate) async fn tries_again_as_the_kind_says_with_one_key(bed: &Bed) {
    bed.sink.fail("create", 3);
    bed.sink.fail("read", 2);
    let created = bed.run(json!([quick("create")]), json!(1)).await;
    let read = bed.run(json!([quick("read")]), json!(1)).await;
    for (execution, operation, calls) in [(created, "create", 4), (read, "read", 3)] {
        assert_eq!((execution.status, bed.sink.of(operation).len()), (ExecutionStatus::Completed, calls), "{operation}");
        let attempts = bed.sink.of(operation);
        assert!(attempts.iter().all(|call| call.key == format!("{}:one", execution.id)), "{attempts:?}");
        assert_eq!(attempts.iter().map(|call| call.attempt as usize).collect::<Vec<_>>(), (1..=calls).collect::<Vec<_>>());
        let mut expected = ["one started", "one attempt-failed"].repeat(calls - 1);
        expected.extend(["one started", "one completed"]);
        assert_eq!(bed.story(&execution.id).await, expected);
    }
}

pub(crate) async fn waits_longer_each_time(bed: &Bed) {
    bed.sink.fail("create", 4);
    let retry = json!({ "max_retries": 4, "base_ms": 100, "max_delay_ms": 300 });
    let execution = bed.run(json!([{ "id": "one", "operation": "create", "retry": retry, "next": null }]), json!(1)).await;
    assert_eq!(execution.status, ExecutionStatus::Completed);
    let history = bed.history(&execution.id).await;
    let mut longest = [100, 200, 300, 300].into_iter();
    for pair in history.windows(2) {
        let Happened::AttemptFailed { retry_at_ms, error } = &pair[0].what else { continue };
        assert_eq!(error.code, "upstream.connection");
        let wait = retry_at_ms - pair[0].at_ms;
        assert!(wait <= longest.next().unwrap() && pair[1].at_ms >= *retry_at_ms, "{history:?}");
    }
    assert_eq!(longest.next(), None);
}

pub(crate) async fn gives_up_with_the_last_error(bed: &Bed) {
    for (operation, calls) in [("create", 4), ("read", 3)] {
        bed.sink.fail(operation, 100);
        let error = bed.run(json!([quick(operation)]), json!(1)).await.error.unwrap();
        assert_eq!((error.code.as_str(), error.step.as_deref()), ("workflow.max-retries-exceeded", Some("one")));
        let detail = error.detail.unwrap();
        let expected = (&json!(calls), &json!("upstream.connection"), &json!("not there"));
        assert_eq!((&detail["attempts"], &detail["last_code"], &detail["last_error"]), expected);
        assert_eq!(bed.sink.of(operation).len(), calls);
    }
    let never = json!([{ "id": "one", "operation": "other", "retry": { "max_retries": 0 }, "next": null }]);
    bed.sink.fail("other", 1);
    assert_eq!(bed.error(never, json!(1)).await, ("upstream.connection".to_owned(), Some("one".to_owned())));
}

pub(crate) async fn gives_an_attempt_its_time(bed: &Bed) {
    let retry = json!({ "max_retries": 1, "base_ms": 10 });
    let steps = json!([{ "id": "one", "operation": "gate.shut", "timeout_ms": 50, "retry": retry, "next": null }]);
    let error = bed.run(steps, json!(1)).await.error.unwrap();
    assert_eq!(error.detail.unwrap()["last_code"], "call.deadline");
    assert_eq!(bed.sink.of("gate.shut").len(), 2);
}

pub(crate) async fn falls_back(bed: &Bed) {
    let steps = json!([
        { "id": "one", "operation": "bad", "fallback": { "output": null }, "next": "two" },
        { "id": "two", "operation": "bad", "fallback": { "next": "rescue" }, "next": "never" },
        call("never", "add", None),
        call("rescue", "echo", None),
    ]);
    let execution = bed.run(steps, json!(1)).await;
    let expected = json!({ "error": { "code": "operation.input-invalid", "message": "wrong" }, "input": null });
    assert_eq!(execution.output, Some(expected));
    let history = bed.history(&execution.id).await;
    let degraded: Vec<&str> = history
        .iter()
        .filter(|event| matches!(event.what, Happened::Completed { degraded: true, .. }))
        .map(|event| event.path.as_str())
        .collect();
    assert_eq!(degraded, ["one"]);
    assert_eq!(bed.sink.operations(), ["bad", "bad", "echo"]);
}

pub(crate) async fn undoes_the_latest_first(bed: &Bed) {
    let steps = json!([
        { "id": "room", "operation": "book.room", "compensate": { "operation": "cancel.room" }, "next": "car" },
        { "id": "car", "operation": "book.car", "compensate": { "operation": "cancel.car", "input": "steps.car.by" }, "next": "pay" },
        call("pay", "bad", None),
    ]);
    let execution = bed.run(steps, json!("x")).await;
    assert_eq!((execution.status, execution.error.unwrap().step.as_deref()), (ExecutionStatus::Failed, Some("pay")));
    assert_eq!(bed.sink.operations(), ["book.room", "book.car", "bad", "cancel.car", "cancel.room"]);
    assert_eq!(bed.sink.keys(), ["room", "car", "pay", "car~undo", "room~undo"]);
    let inputs: Vec<Value> = bed.sink.calls().into_iter().map(|call| call.input).collect();
    assert_eq!(inputs[3..], [json!("book.car"), json!({ "input": "x", "output": { "by": "book.room", "got": "x" } })]);
    let undone = bed.story(&execution.id).await.split_off(6);
    assert_eq!(undone, ["car~undo started", "car~undo completed", "room~undo started", "room~undo completed"]);
}

pub(crate) async fn goes_on_undoing_when_one_cannot_be_undone(bed: &Bed) {
    let steps = json!([
        { "id": "room", "operation": "book.room", "compensate": { "operation": "cancel.room" }, "next": "car" },
        { "id": "car", "operation": "book.car", "compensate": { "operation": "bad.car" }, "next": "pay" },
        call("pay", "bad", None),
    ]);
    let execution = bed.run(steps, json!("x")).await;
    assert_eq!(execution.error.unwrap().step.as_deref(), Some("pay"), "the first failure is told");
    assert_eq!(bed.sink.operations(), ["book.room", "book.car", "bad", "bad.car", "cancel.room"]);
    assert!(bed.story(&execution.id).await.contains(&"car~undo failed".to_owned()));
}

pub(crate) async fn ends_when_the_time_of_the_whole_is_over(bed: &Bed) {
    let steps = json!([{ "id": "done", "operation": "book", "compensate": { "operation": "cancel" }, "next": "long" },
        call("long", "gate.shut", None)]);
    bed.put(json!({ "name": "w", "timeout_ms": 1500, "steps": steps })).await;
    let id = bed.start(json!(1)).await;
    let execution = bed.ends(&id).await;
    assert_eq!((execution.status, execution.error.unwrap().code.as_str()), (ExecutionStatus::Failed, "execution.timeout"));
    assert!(execution.completed_at_ms.unwrap() - execution.created_at_ms >= 1500);
    assert_eq!(bed.sink.operations(), ["book", "gate.shut", "cancel"]);
}
