//! From step to step.

use breakwater_workflow::{ExecutionStatus, Happened, Start};
use serde_json::{Value, json};

use super::bed::{Bed, call, start};

pub(crate) async fn passes_outputs_on_and_writes_everything_down(bed: &Bed) {
    let definition = json!({ "name": "w", "steps": [call("one", "add", Some("two")), call("two", "echo", None)], "metadata": { "a": 1 } });
    bed.put(definition).await;
    let context = [("project_id".to_owned(), json!("p")), ("request_id".to_owned(), json!(7))];
    let start = Start { context: context.into(), ..start(json!(4)) };
    let started = bed.executor.start(start).await.unwrap();
    assert!(!started.existing && !started.execution.status.is_final());
    let id = started.execution.id;
    let execution = bed.ends(&id).await;
    let expected = (ExecutionStatus::Completed, Some(json!(5)), None, json!(4));
    assert_eq!((execution.status, execution.output, execution.error, execution.input), expected);
    assert_eq!((execution.workflow_id, execution.workflow_name.as_str(), execution.workflow_version), (bed.id("w"), "w", 1));
    let named = |context: &std::collections::BTreeMap<String, Value>| json!(context) == json!({ "project_id": "p", "request_id": 7 });
    assert!(named(&execution.context));
    let (created, started, completed) = (execution.created_at_ms, execution.started_at_ms.unwrap(), execution.completed_at_ms.unwrap());
    assert!(created <= started && started <= completed && completed - created < 60_000, "{created} {started} {completed}");

    let calls = bed.sink.calls();
    assert_eq!(calls.iter().map(|call| (call.input.clone(), call.attempt)).collect::<Vec<_>>(), [(json!(4), 1), (json!(5), 1)]);
    assert!(calls.iter().all(|call| named(&call.context)));
    assert_eq!(calls.iter().map(|call| call.key.clone()).collect::<Vec<_>>(), [format!("{id}:one"), format!("{id}:two")]);

    assert_eq!(bed.story(&id).await, ["one started", "one completed", "two started", "two completed"]);
    let history = bed.history(&id).await;
    assert!(history.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms), "{history:?}");
    assert!(history.iter().all(|event| (created..=completed).contains(&event.at_ms)), "{created} {completed} {history:?}");
    assert_eq!(history[0].what, Happened::Started { attempt: 1, due_at_ms: None });
    let done = Happened::Completed { output: json!(5), served_by: Some("test".to_owned()), degraded: false, signal: None };
    assert_eq!(history[1].what, done);
}

pub(crate) async fn makes_inputs_of_what_is_known(bed: &Bed) {
    let steps = json!([{ "id": "a-b", "operation": "add", "input": "input.x", "next": "last" },
        { "id": "last", "operation": "echo", "input": "{first: steps.\"a-b\", under: steps.a_b, of: input.x, who: context.who, before: previous}", "next": null }]);
    bed.steps(steps).await;
    let start = Start { context: [("who".to_owned(), json!("me"))].into(), ..start(json!({ "x": 1 })) };
    let id = bed.executor.start(start).await.unwrap().execution.id;
    assert_eq!(bed.ends(&id).await.output.unwrap(), json!({ "first": 2, "under": 2, "of": 1, "who": "me", "before": 2 }));
}

pub(crate) async fn gives_the_result_that_is_asked_for(bed: &Bed) {
    bed.put(json!({ "name": "w", "steps": [call("one", "add", None)], "output": "{sum: steps.one, was: input}" })).await;
    let id = bed.start(json!(1)).await;
    assert_eq!(bed.ends(&id).await.output.unwrap(), json!({ "sum": 2, "was": 1 }));
}

pub(crate) async fn passes_over_what_does_not_hold(bed: &Bed) {
    let steps = json!([{ "id": "maybe", "operation": "add", "when": "previous > `10`", "next": "then" }, call("then", "add", None)]);
    bed.steps(steps).await;
    let (less, more) = (bed.start(json!(1)).await, bed.start(json!(11)).await);
    assert_eq!(bed.ends(&less).await.output, Some(json!(2)));
    assert_eq!(bed.ends(&more).await.output, Some(json!(13)));
    assert_eq!(bed.story(&less).await, ["maybe skipped", "then started", "then completed"]);
}

pub(crate) async fn leads_on_and_back_until_the_guard(bed: &Bed) {
    let steps = json!([
        call("more", "add", Some("enough")),
        { "id": "enough", "type": "choice", "choices": [{ "when": "previous < `2`", "next": "more" }], "next": "done" },
        call("done", "echo", None),
    ]);
    bed.steps(steps).await;
    let id = bed.start(json!(0)).await;
    assert_eq!(bed.ends(&id).await.output, Some(json!(2)));
    let expected = [
        "more started",
        "more completed",
        "enough chosen",
        "more#2 started",
        "more#2 completed",
        "enough#2 chosen",
        "done started",
        "done completed",
    ];
    assert_eq!(bed.story(&id).await, expected);
    let endless = json!([
        { "id": "more", "operation": "add", "max_visits": 5, "next": "enough" },
        { "id": "enough", "type": "choice", "choices": [{ "when": "`true`", "next": "more" }], "next": null },
    ]);
    assert_eq!(bed.error(endless, json!(0)).await, ("workflow.too-many-visits".to_owned(), Some("more".to_owned())));
}

pub(crate) async fn runs_branches_beside_each_other(bed: &Bed) {
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "left": [call("l1", "gate.left", Some("l2")), call("l2", "add", None)],
        "right": [call("r1", "gate.right", None)],
    }, "next": null }]);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["fan/left/l1", "fan/right/r1"]).await;
    bed.sink.called("gate.left", 1).await;
    bed.sink.called("gate.right", 1).await;
    bed.sink.open("gate.right");
    bed.is_at(&id, &["fan/left/l1"]).await;
    bed.sink.open("gate.left");
    assert_eq!(bed.ends(&id).await.output, Some(json!({ "left": 2, "right": 1 })));
    assert_eq!(bed.story(&id).await.last().map(String::as_str), Some("fan completed"));
}

pub(crate) async fn ends_branches_beside_one_that_fails(bed: &Bed) {
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "bad": [call("hold", "gate.bad", Some("b")), call("b", "bad", None)],
        "long": [call("l1", "gate.long", Some("l2")), call("l2", "add", None)],
        "naps": [{ "id": "t", "type": "timer", "wait_ms": 1_000_000_000, "next": null }],
        "waits": [{ "id": "s", "type": "signal", "signal": "never", "next": null }],
    }, "next": null }]);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["fan/bad/hold", "fan/long/l1", "fan/naps/t", "fan/waits/s"]).await;
    bed.sink.called("gate.long", 1).await;
    bed.sink.open("gate.bad");
    bed.sink.called("bad", 1).await;
    bed.sink.open("gate.long");
    let error = bed.ends(&id).await.error.unwrap();
    assert_eq!((error.code.as_str(), error.step.as_deref()), ("operation.input-invalid", Some("b")));
    assert!(bed.sink.of("add").is_empty(), "what has begun ends, and nothing else begins");
}

pub(crate) async fn keeps_order_and_bound_of_a_list(bed: &Bed) {
    let steps = json!([{ "id": "each", "type": "map", "items": "input.list", "concurrency": 3,
        "steps": [call("one", "gate.x", Some("two")), { "id": "two", "operation": "echo", "input": "{i: index, x: item}", "next": null }],
        "next": null }]);
    bed.steps(steps).await;
    let id = bed.start(json!({ "list": (0..8).collect::<Vec<u32>>() })).await;
    bed.is_at(&id, &["each/0/one", "each/1/one", "each/2/one"]).await;
    bed.sink.called("gate.x", 3).await;
    bed.sink.open("gate.x");
    let expected: Vec<Value> = (0..8).map(|i| json!({ "i": i, "x": i })).collect();
    assert_eq!(bed.ends(&id).await.output, Some(json!(expected)));
    assert_eq!((bed.sink.most_at_once("gate.x"), bed.sink.of("gate.x").len()), (3, 8));
}

pub(crate) async fn leaves_items_alone_that_fail(bed: &Bed) {
    let steps = |continue_on_error: bool| {
        json!([{ "id": "each", "type": "map", "items": "input", "continue_on_error": continue_on_error, "steps": [
            { "id": "which", "type": "choice", "choices": [{ "when": "item == `2`", "next": "wrong" }], "next": "right" },
            call("right", "add", None),
            call("wrong", "bad", None),
        ], "next": null }])
    };
    let expected = json!([2, { "error": { "code": "operation.input-invalid", "message": "wrong" } }, 4]);
    assert_eq!(bed.output(steps(true), json!([1, 2, 3])).await, expected);
    assert_eq!(bed.error(steps(false), json!([1, 2, 3])).await, ("operation.input-invalid".to_owned(), Some("wrong".to_owned())));
}

pub(crate) async fn refuses_items_that_are_no_list(bed: &Bed) {
    let steps = json!([{ "id": "m", "type": "map", "items": "input", "steps": [call("x", "echo", None)], "next": null }]);
    assert_eq!(bed.error(steps, json!(3)).await, ("workflow.items-invalid".to_owned(), Some("m".to_owned())));
}
