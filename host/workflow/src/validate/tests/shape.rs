use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Host, places};
use crate::definition::Definition;
use crate::validate::{Reading, parse, read, validate};

fn problems(document: Value) -> Vec<crate::Problem> {
    parse(&document).unwrap_err()
}

#[test]
fn what_is_wrong_whatever_the_misshapen_parts_mean_is_told_beside_them() {
    let document = json!({"name": "Bad Name", "steps": [
        {"id": "a", "service": "s", "action": "a", "next": "zz"},
        {"id": "a", "foo": 1},
        {"service": "s", "action": "extrct", "input": "previous."},
        {"id": "c", "type": "choice", "choices": [5, {"when": "steps.nobody"}]},
        7,
        {"id": "p", "type": "parallel", "branches": {"b": 1}},
    ]});
    let Reading { definition, problems } = read(&document);
    assert_eq!(parse(&document).unwrap_err(), problems);
    let host = Host::plain().with("s", "extract", json!({}), json!({}));
    let report = validate(&definition.unwrap(), &host, false).besides(problems);
    assert_eq!(
        places(&report.errors),
        [
            ("/name", "definition.name-invalid"),
            ("/steps/0/next", "next.unknown"),
            ("/steps/1/foo", "field.unknown"),
            ("/steps/1/id", "step.id-doubled"),
            ("/steps/2", "field.missing"),
            ("/steps/2/action", "action.unknown"),
            ("/steps/2/input", "expression.invalid"),
            ("/steps/3/choices/0", "field.wrong-type"),
            ("/steps/3/choices/1/when", "expression.unknown-step"),
            ("/steps/4", "field.wrong-type"),
            ("/steps/5/branches/b", "field.wrong-type"),
        ],
        "{report:#?}"
    );
    let message = |pointer: &str| report.errors.iter().find(|problem| problem.pointer == pointer).unwrap().message.as_str();
    assert!(message("/steps/2/action").ends_with("; is `extract` meant?"), "{}", message("/steps/2/action"));
}

#[test]
fn every_field_that_is_unknown_wrong_or_missing_is_told_at_once() {
    let problems = problems(json!({
        "name": 5,
        "stepps": [],
        "steps": [
            {"id": "a", "servce": "s", "action": 1, "next": null},
            {"service": "s", "retry": {"max_retries": -1, "base": 5, "base_ms": 1.5}},
            {"id": "c", "type": "parralel", "branches": {"left/right": [{"id": 7, "x": 0}], "b": {}}},
            {"id": "d", "type": "choice", "choices": [{"next": "a"}, {"when": "a", "then": "b"}, 5]},
            "e",
            {"id": "f", "fallback": {"outptu": 1}, "compensate": {"servic": "s"}, "concurrency": 4294967296_u64}
        ],
        "metadata": [],
        "timeout_ms": "1s"
    }));
    assert_eq!(
        places(&problems),
        [
            ("/metadata", "field.wrong-type"),
            ("/name", "field.wrong-type"),
            ("/stepps", "field.unknown"),
            ("/steps/0/action", "field.wrong-type"),
            ("/steps/0/servce", "field.unknown"),
            ("/steps/1", "field.missing"),
            ("/steps/1/retry/base", "field.unknown"),
            ("/steps/1/retry/base_ms", "field.wrong-type"),
            ("/steps/1/retry/max_retries", "field.wrong-type"),
            ("/steps/2/branches/b", "field.wrong-type"),
            ("/steps/2/branches/left~1right/0/id", "field.wrong-type"),
            ("/steps/2/branches/left~1right/0/x", "field.unknown"),
            ("/steps/2/type", "step.type-unknown"),
            ("/steps/3/choices/0", "field.missing"),
            ("/steps/3/choices/1/then", "field.unknown"),
            ("/steps/3/choices/2", "field.wrong-type"),
            ("/steps/4", "field.wrong-type"),
            ("/steps/5/compensate/servic", "field.unknown"),
            ("/steps/5/concurrency", "field.wrong-type"),
            ("/steps/5/fallback/outptu", "field.unknown"),
            ("/timeout_ms", "field.wrong-type"),
        ]
    );
    let message = |pointer: &str| problems.iter().find(|problem| problem.pointer == pointer).unwrap().message.as_str();
    assert_eq!(message("/stepps"), "there is no field `stepps`; is `steps` meant?");
    assert_eq!(message("/steps/0/servce"), "there is no field `servce`; is `service` meant?");
    assert_eq!(message("/steps/0/action"), "a string is wanted, not a number");
    assert_eq!(message("/steps/1"), "`id` is missing");
    assert_eq!(message("/steps/1/retry/max_retries"), "a whole number from 0 to 4294967295 is wanted, not -1");
    assert!(message("/steps/2/type").starts_with("there is no type `parralel`; is `parallel` meant?"));
}

#[test]
fn what_is_no_definition_at_all_is_told() {
    assert_eq!(places(&problems(json!(null))), [("", "field.wrong-type")]);
    assert_eq!(places(&problems(json!([]))), [("", "field.wrong-type")]);
    assert_eq!(places(&problems(json!({}))), [("", "field.missing"), ("", "field.missing")]);
    assert_eq!(places(&problems(json!({"name": null, "steps": {}}))), [("", "field.missing"), ("/steps", "field.wrong-type")]);
}

#[test]
fn null_is_absent_but_for_the_output_of_a_fallback() {
    let read = parse(&json!({
        "name": "w", "description": null, "input_schema": null, "output": null, "timeout_ms": null, "metadata": null,
        "steps": [{"id": "a", "type": null, "retry": null, "choices": null, "continue_on_error": null, "fallback": {"output": null, "next": null}}]
    }))
    .unwrap();
    let plain = parse(&json!({"name": "w", "steps": [{"id": "a", "fallback": {"output": null}}]})).unwrap();
    assert_eq!(read, plain);
    assert_eq!(read.steps[0].fallback.as_ref().unwrap().output, Some(Value::Null));
    assert_eq!(read.input_schema, None);
}

#[test]
fn a_full_definition_is_read_as_it_is_written() {
    let document = json!({
        "name": "all", "description": "d", "input_schema": {"type": "object"}, "output": "previous", "timeout_ms": 5,
        "metadata": {"any": [null, {"x": null}]},
        "steps": [
            {"id": "a", "service": "s", "action": "x", "input": "input", "when": "input", "next": "b",
             "retry": {"max_retries": 1, "base_ms": 2, "max_delay_ms": 3}, "timeout_ms": 4, "fallback": {"output": {"x": null}},
             "compensate": {"operation": "o", "input": "previous"}, "max_visits": 5, "description": "d"},
            {"id": "b", "type": "choice", "choices": [{"when": "a", "next": "c"}], "next": null},
            {"id": "c", "type": "parallel", "branches": {"l": [{"id": "d", "operation": "o", "next": null}]}, "next": "e"},
            {"id": "e", "type": "map", "items": "input", "concurrency": 2, "continue_on_error": true,
             "steps": [{"id": "f", "operation": "o", "next": null}], "next": "g"},
            {"id": "g", "type": "signal", "signal": "go", "timeout_ms": 1, "next": "h"},
            {"id": "h", "type": "timer", "wait_ms": 1, "until": "input", "next": "i"},
            {"id": "i", "type": "workflow", "workflow": "other", "next": null}
        ]
    });
    let read = parse(&document).unwrap();
    let mut written = serde_json::to_value(&read).unwrap();
    // A way to nowhere is written out.
    assert_eq!(written["steps"][1]["choices"][0].take(), json!({"when": "a", "next": "c"}));
    let mut expected = document;
    expected["steps"][1]["choices"][0].take();
    assert_eq!(written, expected);
}

#[test]
fn too_much_is_refused_before_it_is_read() {
    let steps: Vec<Value> = (0..1000).map(|at| json!({"id": format!("s{at}")})).collect();
    assert!(parse(&json!({"name": "w", "steps": steps})).is_ok());
    let more: Vec<Value> = (0..1001).map(|at| json!({"id": format!("s{at}")})).collect();
    assert_eq!(places(&problems(json!({"name": "w", "steps": more}))), [("/steps", "definition.too-large")]);

    let nested = |levels: usize| (1..levels).fold(json!([{"id": "x"}]), |steps, _| json!([{"id": "m", "type": "map", "steps": steps}]));
    assert!(parse(&json!({"name": "w", "steps": nested(8)})).is_ok());
    let pointer = format!("/steps{}", "/0/steps".repeat(8));
    assert_eq!(places(&problems(json!({"name": "w", "steps": nested(9)}))), [(pointer.as_str(), "definition.too-deep")]);

    let described = |length: usize| json!({"name": "w", "steps": [{"id": "a"}], "description": "x".repeat(length)});
    let rest = described(0).to_string().len();
    assert!(parse(&described((1 << 20) - rest)).is_ok());
    assert_eq!(places(&problems(described((1 << 20) - rest + 1))), [("", "definition.too-large")]);
}

#[test]
fn a_thousand_problems_are_listed_and_the_rest_is_counted() {
    let steps: Vec<Value> = (0..900).map(|_| json!({"x": 1, "y": 2})).collect();
    let problems = problems(json!({"name": "w", "steps": steps}));
    assert_eq!(problems.len(), 1001);
    assert_eq!(problems[1000].code, "definition.more-problems");
}

/// JSON that is often nearly a definition.
fn nearly() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(1)),
        Just(json!(-1)),
        Just(json!(true)),
        Just(json!("a")),
        Just(json!("map")),
        Just(json!({})),
        Just(json!([])),
        Just(json!(1.5)),
        Just(json!(5_000_000_000_u64)),
    ];
    let names = prop::sample::select(vec![
        "name",
        "steps",
        "id",
        "type",
        "next",
        "choices",
        "when",
        "branches",
        "retry",
        "max_retries",
        "fallback",
        "output",
        "compensate",
        "service",
        "metadata",
        "timeout_ms",
        "concurrency",
        "continue_on_error",
        "description",
        "typo",
        "input_schema",
        "wait_ms",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..6).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_the_types_accept(document in nearly(), steps in prop::collection::vec(nearly(), 0..3)) {
        let whole = json!({"name": "w", "steps": steps});
        for document in [document, whole] {
            let accepted = serde_json::from_value::<Definition>(document.clone());
            match (parse(&document), accepted) {
                (Ok(read), Ok(accepted)) => prop_assert_eq!(read, accepted),
                (Err(problems), Err(_)) => prop_assert!(!problems.is_empty()),
                // More is read than the types accept only where `null` stands for what is absent.
                (Ok(_), Err(_)) => prop_assert!(document.to_string().contains("null")),
                // The types accept the values of an object as a list.
                (Err(problems), Ok(_)) => {
                    prop_assert!(problems.iter().any(|problem| problem.message == "an object is wanted, not a list"), "{problems:?}");
                }
            }
        }
    }
}
