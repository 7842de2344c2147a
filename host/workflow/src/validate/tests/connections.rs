use serde_json::{Value, json};

use super::{Host, is_clean, places};
use crate::Report;

fn object(name: &str, kind: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": kind}}, "required": [name]})
}

/// A host with a service for each word: `text` gives a text, `number` a number, and `of-…` takes one.
fn host() -> Host {
    let optional = json!({"type": "object", "properties": {"value": {"type": "string"}}});
    Host::default()
        .with("text", "give", json!({}), object("value", "string"))
        .with("number", "give", json!({}), object("value", "number"))
        .with("perhaps", "give", json!({}), optional)
        .with("of-text", "take", object("value", "string"), json!({}))
}

fn report(steps: Value) -> Report {
    host().report(json!({"name": "w", "steps": steps}))
}

fn give(id: &str, what: &str, next: &str) -> Value {
    json!({"id": id, "service": what, "action": "give", "next": next})
}

fn take(id: &str) -> Value {
    json!({"id": id, "service": "of-text", "action": "take"})
}

#[test]
fn an_output_that_fits_is_fine_and_one_that_never_does_is_an_error() {
    assert!(is_clean(&report(json!([give("a", "text", "b"), take("b")]))));
    let wrong = report(json!([give("a", "number", "b"), take("b")]));
    assert_eq!(places(&wrong.errors), [("/steps/1", "schema.incompatible")]);
    assert_eq!(wrong.errors[0].message, "`b` gets the output of `a`: `/value` is a number, and a string is wanted");
    let perhaps = report(json!([give("a", "perhaps", "b"), take("b")]));
    assert_eq!(perhaps.errors, []);
    assert_eq!(places(&perhaps.warnings), [("/steps/1", "schema.not-promised")]);
    assert_eq!(perhaps.warnings[0].message, "`b` gets the output of `a`: `/value` is wanted, and need not be there");
}

#[test]
fn the_entry_gets_the_input_of_the_workflow() {
    let with_schema = |schema: Value, steps: Value| host().report(json!({"name": "w", "input_schema": schema, "steps": steps}));
    assert!(is_clean(&with_schema(object("value", "string"), json!([take("a")]))));
    let wrong = with_schema(object("value", "number"), json!([take("a")]));
    assert_eq!(wrong.errors[0].message, "`a` gets the input of the workflow: `/value` is a number, and a string is wanted");
    let branch = json!([{"id": "p", "type": "parallel", "branches": {"left": [take("l")]}}]);
    assert_eq!(places(&with_schema(object("value", "number"), branch).errors), [("/steps/0/branches/left/0", "schema.incompatible")]);
    let item = json!([{"id": "m", "type": "map", "items": "input.list", "steps": [take("i")]}]);
    assert!(is_clean(&with_schema(object("value", "number"), item)), "an item is not the input");
}

#[test]
fn what_passes_its_input_on_is_seen_through() {
    let through = |between: Value| report(json!([give("a", "number", "x"), between, take("b")]));
    let choice = json!({"id": "x", "type": "choice", "choices": [{"when": "previous"}], "next": "b"});
    assert_eq!(places(&through(choice).errors), [("/steps/2", "schema.incompatible")]);
    assert_eq!(
        places(&through(json!({"id": "x", "type": "timer", "wait_ms": 1, "next": "b"})).errors),
        [("/steps/2", "schema.incompatible")]
    );
    assert!(is_clean(&through(json!({"id": "x", "type": "timer", "wait_ms": 1, "input": "input", "next": "b"}))));
    assert!(is_clean(&through(json!({"id": "x", "type": "signal", "signal": "go", "next": "b"}))));
}

#[test]
fn what_is_not_certain_is_not_told() {
    let mapped = json!({"id": "b", "service": "of-text", "action": "take", "input": "{value: 'x'}"});
    assert!(is_clean(&report(json!([give("a", "number", "b"), mapped]))));
    let mut passed_over = give("a", "number", "b");
    passed_over["when"] = json!("input.wanted");
    assert!(is_clean(&report(json!([passed_over, take("b")]))), "then it gets the input");
    let two_ways = json!([
        {"id": "c", "type": "choice", "choices": [{"when": "input", "next": "a"}], "next": "b"},
        give("a", "number", "b"),
        take("b")
    ]);
    assert!(is_clean(&report(two_ways)));
    let mut rescued = give("a", "number", "");
    rescued["next"] = Value::Null;
    rescued["fallback"] = json!({"next": "b"});
    assert!(is_clean(&report(json!([rescued, take("b")]))), "a fallback gets the error");
}

#[test]
fn a_workflow_that_is_started_has_a_schema_too() {
    let mut host = host();
    let started = super::definition(json!({"name": "of-text", "input_schema": object("value", "string"), "steps": [{"id": "x"}]}));
    host.workflows.insert("of-text".to_owned(), started);
    let start = json!({"id": "b", "type": "workflow", "workflow": "of-text"});
    assert!(is_clean(&host.report(json!({"name": "w", "steps": [give("a", "text", "b"), start]}))));
    let wrong = host.report(json!({"name": "w", "steps": [give("a", "number", "b"), start]}));
    assert_eq!(places(&wrong.errors), [("/steps/1", "schema.incompatible")]);
}
