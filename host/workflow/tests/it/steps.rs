//! What each kind of step does.

use breakwater_workflow::{EmbeddedConfig, ExecutionStatus, Executor, Happened, NewSignal};
use serde_json::{Value, json};

use super::support::{Bed, config, put, start};

async fn output(steps: Value, input: Value) -> Value {
    let execution = Bed::new().await.run(steps, input).await;
    assert_eq!(execution.status, ExecutionStatus::Completed, "{execution:?}");
    execution.output.unwrap()
}

async fn error(steps: Value, input: Value) -> (String, Option<String>) {
    let execution = Bed::new().await.run(steps, input).await;
    assert_eq!(execution.status, ExecutionStatus::Failed, "{execution:?}");
    let error = execution.error.unwrap();
    (error.code, error.step)
}

fn call(id: &str, operation: &str, next: Option<&str>) -> Value {
    json!({ "id": id, "operation": operation, "next": next })
}

#[tokio::test(start_paused = true)]
async fn a_steps_output_is_the_next_ones_input() {
    let steps = json!([call("one", "add", Some("two")), call("two", "add", Some("three")), call("three", "add", None)]);
    assert_eq!(output(steps, json!(4)).await, json!(7));
}

#[tokio::test(start_paused = true)]
async fn inputs_are_made_of_what_is_known() {
    let mut last = call("last", "echo", None);
    last["input"] = json!("{first: steps.\"a-b\", under: steps.a_b, of: input.x, who: context.who, before: previous}");
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "a-b", "operation": "add", "input": "input.x", "next": "last" }, last] })).await;
    let mut start = start(json!({ "x": 1 }));
    start.context = [("who".to_owned(), json!("me"))].into();
    let id = bed.executor.start(start).await.unwrap().execution.id;
    let output = bed.ends(&id).await.output.unwrap();
    assert_eq!(output, json!({ "first": 2, "under": 2, "of": 1, "who": "me", "before": 2 }));
}

#[tokio::test(start_paused = true)]
async fn the_result_is_what_the_definition_says() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [call("one", "add", None)], "output": "{sum: steps.one, was: input}" })).await;
    let id = bed.start(json!(1)).await;
    assert_eq!(bed.ends(&id).await.output.unwrap(), json!({ "sum": 2, "was": 1 }));
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_condition_does_not_hold_is_passed_over() {
    let steps = json!([
        { "id": "maybe", "operation": "add", "when": "previous > `10`", "next": "then" },
        call("then", "add", None),
    ]);
    assert_eq!(output(steps.clone(), json!(1)).await, json!(2));
    assert_eq!(output(steps, json!(11)).await, json!(13));
}

#[tokio::test(start_paused = true)]
async fn a_choice_leads_on_and_back_until_its_guard() {
    let steps = json!([
        call("more", "add", Some("enough")),
        { "id": "enough", "type": "choice", "choices": [{ "when": "previous < `5`", "next": "more" }], "next": "done" },
        call("done", "echo", None),
    ]);
    assert_eq!(output(steps, json!(0)).await, json!(5));
    let endless = json!([
        { "id": "more", "operation": "add", "max_visits": 20, "next": "enough" },
        { "id": "enough", "type": "choice", "choices": [{ "when": "`true`", "next": "more" }], "next": null },
    ]);
    assert_eq!(error(endless, json!(0)).await, ("workflow.too-many-visits".to_owned(), Some("more".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn branches_run_beside_each_other_and_one_that_fails_ends_the_others_at_their_next_step() {
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "left": [call("l1", "add", Some("l2")), call("l2", "add", None)],
        "right": [call("r1", "echo", None)],
    }, "next": null }]);
    assert_eq!(output(steps, json!(1)).await, json!({ "left": 3, "right": 1 }));
    let bed = Bed::new().await;
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "bad": [call("b", "bad", None)],
        "long": [call("l1", "slow", Some("l2")), call("l2", "add", None)],
    }, "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.error.unwrap().code, "operation.input-invalid");
    assert_eq!(bed.sink.operations(), ["bad", "slow"], "what has begun ends, and nothing else begins");
}

#[tokio::test(start_paused = true)]
async fn a_map_keeps_the_order_and_its_bound() {
    let steps = json!([{ "id": "each", "type": "map", "items": "input.list", "concurrency": 3,
        "steps": [{ "id": "one", "operation": "echo", "input": "{i: index, x: item}", "next": null }], "next": null }]);
    let list: Vec<u32> = (0..20).collect();
    let outputs = output(steps, json!({ "list": list })).await;
    let expected: Vec<Value> = (0..20).map(|i| json!({ "i": i, "x": i })).collect();
    assert_eq!(outputs, json!(expected));
    assert_eq!(
        error(json!([{ "id": "m", "type": "map", "items": "input", "steps": [call("x", "echo", None)], "next": null }]), json!(3)).await.0,
        "workflow.items-invalid"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_list_of_outputs_is_kept_once() {
    let bed = Bed::new().await;
    let steps = json!([{ "id": "each", "type": "map", "steps": [call("one", "echo", None)], "next": "count" },
        { "id": "count", "operation": "echo", "input": "length(previous)", "next": null }]);
    let list: Vec<String> = (0..100).map(|_| "x".repeat(1000)).collect();
    let execution = bed.run(steps, json!(list)).await;
    assert_eq!(execution.output, Some(json!(100)));
    let events = bed.executor.history(&execution.id, 0, 1000).await.unwrap().items;
    assert_eq!(events.iter().filter(|event| event.path == "each").count(), 0);
    assert_eq!(events.len(), 2 * 100 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_item_leaves_the_others_alone_if_so_wanted() {
    let steps = |go_on: bool| {
        json!([{ "id": "each", "type": "map", "continue_on_error": go_on, "steps": [
            { "id": "pick", "type": "choice", "choices": [{ "when": "item == `2`", "next": "bad" }], "next": "good" },
            call("good", "add", None), call("bad", "bad", None),
        ], "next": null }])
    };
    let outputs = output(steps(true), json!([1, 2, 3])).await;
    assert_eq!(outputs, json!([2, { "error": { "code": "operation.input-invalid", "message": "wrong" } }, 4]));
    assert_eq!(error(steps(false), json!([1, 2, 3])).await, ("operation.input-invalid".to_owned(), Some("bad".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_again_as_its_kind_says_with_one_key() {
    let bed = Bed::new().await;
    bed.sink.fail("create", 3);
    let execution = bed.run(json!([call("one", "create", None)]), json!(1)).await;
    assert_eq!(execution.status, ExecutionStatus::Completed);
    assert_eq!(bed.sink.calls().len(), 4);
    assert_eq!(bed.sink.effects().into_keys().collect::<Vec<_>>(), [format!("{}:one", execution.id)]);
    let history = bed.executor.history(&execution.id, 0, 100).await.unwrap().items;
    let attempts = history.iter().filter(|event| matches!(event.what, Happened::AttemptFailed { .. })).count();
    assert_eq!(attempts, 3);

    for (operation, calls) in [("create", 4), ("read", 3)] {
        let bed = Bed::new().await;
        bed.sink.fail(operation, 100);
        let execution = bed.run(json!([call("one", operation, None)]), json!(1)).await;
        let error = execution.error.unwrap();
        assert_eq!((error.code.as_str(), error.step.as_deref()), ("workflow.max-retries-exceeded", Some("one")));
        let detail = error.detail.unwrap();
        assert_eq!((&detail["attempts"], &detail["last_code"]), (&json!(calls), &json!("upstream.connection")));
        assert_eq!(bed.sink.calls().len(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_says_how_often_it_is_tried_and_for_how_long() {
    let bed = Bed::new().await;
    let steps = json!([{ "id": "one", "operation": "slow", "timeout_ms": 50, "retry": { "max_retries": 1, "base_ms": 10 }, "next": null }]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.error.unwrap().detail.unwrap()["last_code"], "call.deadline");
    assert_eq!(bed.sink.calls().len(), 2);
    let never = json!([{ "id": "one", "operation": "create", "retry": { "max_retries": 0 }, "next": null }]);
    let bed = Bed::new().await;
    bed.sink.fail("create", 1);
    assert_eq!(bed.run(never, json!(1)).await.error.unwrap().code, "upstream.connection");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_or_leads_elsewhere() {
    let steps = json!([
        { "id": "one", "operation": "bad", "fallback": { "output": null }, "next": "two" },
        { "id": "two", "operation": "bad", "fallback": { "next": "rescue" }, "next": "never" },
        call("never", "add", None),
        call("rescue", "echo", None),
    ]);
    let expected = json!({ "error": { "code": "operation.input-invalid", "message": "wrong" }, "input": null });
    assert_eq!(output(steps, json!(1)).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_undone_the_latest_first_when_a_later_step_fails() {
    let bed = Bed::new().await;
    let steps = json!([
        { "id": "room", "operation": "book.room", "compensate": { "operation": "cancel.room" }, "next": "car" },
        { "id": "car", "operation": "book.car", "compensate": { "operation": "cancel.car", "input": "steps.car.by" }, "next": "pay" },
        call("pay", "bad", None),
    ]);
    let execution = bed.run(steps, json!("x")).await;
    assert_eq!((execution.status, execution.error.unwrap().step.as_deref()), (ExecutionStatus::Failed, Some("pay")));
    assert_eq!(bed.sink.operations(), ["book.room", "book.car", "bad", "cancel.car", "cancel.room"]);
    let inputs: Vec<Value> = bed.sink.calls().into_iter().map(|(.., input)| input).collect();
    assert_eq!(inputs[3], "book.car");
    assert_eq!(inputs[4], json!({ "input": "x", "output": { "by": "book.room", "got": "x" } }));
}

#[tokio::test(start_paused = true)]
async fn a_signal_may_come_before_and_each_is_taken_once() {
    let bed = Bed::new().await;
    let steps = json!([
        { "id": "first", "type": "signal", "signal": "go", "next": "second" },
        { "id": "second", "type": "signal", "signal": "go", "next": "both" },
        { "id": "both", "operation": "echo", "input": "[steps.first, steps.second]", "next": null },
    ]);
    bed.put(json!({ "name": "w", "steps": steps })).await;
    let id = bed.start(json!(null)).await;
    for (name, payload) in [("other", json!(0)), ("go", json!(1)), ("go", json!(2))] {
        bed.executor.signal(&id, NewSignal::new(name, payload)).await.unwrap();
    }
    assert_eq!(bed.ends(&id).await.output.unwrap(), json!([1, 2]));
    assert_eq!(bed.executor.signal(&id, NewSignal::new("go", json!(3))).await.unwrap_err().code, "execution.state");

    bed.put(json!({ "name": "w", "steps": [{ "id": "s", "type": "signal", "signal": "go", "timeout_ms": 5000, "next": null }] })).await;
    let id = bed.start(json!(null)).await;
    assert_eq!(bed.ends(&id).await.error.unwrap().code, "workflow.signal-timeout");
}

#[tokio::test(start_paused = true)]
async fn a_timer_waits_and_passes_its_input_on() {
    let bed = Bed::new().await;
    let steps = json!([{ "id": "t", "type": "timer", "wait_ms": 60_000, "next": "u" }, { "id": "u", "type": "timer", "until": "`1090000`", "next": null }]);
    let execution = bed.run(steps, json!(3)).await;
    assert_eq!(execution.output, Some(json!(3)));
    let took = execution.completed_at_ms.unwrap() - execution.created_at_ms;
    assert!((90_000..91_000).contains(&took), "{took}");
    let wrong = bed.run(json!([{ "id": "t", "type": "timer", "until": "'soon'", "next": null }]), json!(3)).await;
    assert_eq!(wrong.error.unwrap().code, "workflow.timer-invalid");
}

#[tokio::test(start_paused = true)]
async fn a_workflow_can_be_a_step_but_not_without_end() {
    let bed = Bed::new().await;
    put(&*bed.records, json!({ "name": "inner", "steps": [call("i", "add", None)] })).await;
    let execution = bed
        .run(json!([{ "id": "sub", "type": "workflow", "workflow": "inner", "next": "after" }, call("after", "add", None)]), json!(1))
        .await;
    assert_eq!(execution.output, Some(json!(3)));
    let itself = bed.run(json!([{ "id": "sub", "type": "workflow", "workflow": "w", "next": null }]), json!(1)).await;
    assert_eq!(itself.error.unwrap().code, "workflow.too-deep");
}

#[tokio::test(start_paused = true)]
async fn an_execution_ends_when_its_time_is_over() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "timeout_ms": 10_000, "steps": [
        { "id": "done", "operation": "book", "compensate": { "operation": "cancel" }, "next": "long" }, call("long", "slow", None)] }))
        .await;
    let id = bed.start(json!(1)).await;
    let execution = bed.ends(&id).await;
    assert_eq!((execution.status, execution.error.unwrap().code.as_str()), (ExecutionStatus::Failed, "execution.timeout"));
    assert_eq!(bed.sink.operations(), ["book", "slow", "cancel"]);
}

#[tokio::test(start_paused = true)]
async fn a_running_execution_keeps_its_version() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "wait", "type": "timer", "wait_ms": 1000, "next": "one" }, call("one", "add", None)] }))
        .await;
    let id = bed.start(json!(1)).await;
    bed.put(json!({ "name": "w", "steps": [call("one", "echo", None)] })).await;
    let execution = bed.ends(&id).await;
    assert_eq!((execution.workflow_version, execution.output), (1, Some(json!(2))));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_is_refused_with_its_reason() {
    let bed = Bed::with(EmbeddedConfig { max_running: 1, ..config("a") }).await;
    let code = async |input: Value| bed.executor.start(start(input)).await.unwrap_err().code.into_owned();
    assert_eq!(code(json!(1)).await, "workflow.unknown");
    bed.put(json!({ "name": "w", "steps": [{ "id": "s", "service": "missing", "action": "x", "next": null }] })).await;
    assert_eq!(code(json!(1)).await, "workflow.not-executable");
    bed.put(json!({ "name": "w", "steps": [call("s", "slow", None)], "input_schema": { "required": ["x"] } })).await;
    assert_eq!(code(json!({})).await, "execution.input-invalid");
    bed.start(json!({ "x": 1 })).await;
    assert_eq!(code(json!({ "x": 1 })).await, "workflow.overloaded");
}
