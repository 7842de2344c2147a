use serde_json::{Value, json};

use super::{Host, errors, of_steps, places};

#[test]
fn names_are_checked() {
    for (name, is_valid) in
        [("a", true), ("document-processing_v2.1", true), ("", false), ("A", false), ("a b", false), ("a/b", false), ("ü", false)]
    {
        let mut document = of_steps(&[json!({"id": "a"})]);
        document["name"] = json!(name);
        assert_eq!(Host::plain().report(document).errors.is_empty(), is_valid, "{name}");
    }
    let with_name = |length: usize| {
        let mut document = of_steps(&[json!({"id": "a"})]);
        document["name"] = json!("n".repeat(length));
        places(&Host::plain().report(document).errors).len()
    };
    assert_eq!((with_name(128), with_name(129)), (0, 1));
    for (id, is_valid) in [("extract-Text_1", true), ("", false), ("a.b", false), ("a b", false), ("a#2", false), ("a/b", false)] {
        assert_eq!(errors(&[json!({"id": id})]).is_empty(), is_valid, "{id}");
    }
    assert_eq!(errors(&[json!({"id": "i".repeat(64)})]), []);
    assert_eq!(places(&errors(&[json!({"id": "i".repeat(65)})])), [("/steps/0/id", "step.id-invalid")]);
    let branch = |name: &str| json!({"id": "p", "type": "parallel", "branches": {name: [{"id": "a", "service": "s", "action": "a"}]}});
    assert_eq!(errors(&[branch("left")]), []);
    assert_eq!(places(&errors(&[branch("a/b")])), [("/steps/0/branches/a~1b", "branch.name-invalid")]);
    let signal = |name: &str| json!({"id": "p", "type": "signal", "signal": name});
    assert_eq!(errors(&[signal("payment.received")]), []);
    assert_eq!(places(&errors(&[signal("a/b")])), [("/steps/0/signal", "field.out-of-range")]);
}

#[test]
fn ids_are_unique_in_the_whole_workflow_and_in_expressions() {
    let problems = errors(&[
        json!({"id": "a", "next": "m"}),
        json!({"id": "m", "type": "map", "steps": [{"id": "a", "service": "s", "action": "a"}], "next": "x-y"}),
        json!({"id": "x-y", "next": "x_y"}),
        json!({"id": "x_y"}),
    ]);
    assert_eq!(places(&problems), [("/steps/1/steps/0/id", "step.id-doubled"), ("/steps/3/id", "step.id-ambiguous")]);
    assert_eq!(problems[0].message, "the step at /steps/0 has the id `a` too");
    assert_eq!(problems[1].message, "expressions cannot tell `x_y` from `x-y`, the step at /steps/2");
}

#[test]
fn each_type_has_its_own_fields() {
    let given = json!({
        "service": "s", "action": "a", "operation": "o", "retry": {}, "timeout_ms": 1, "compensate": {"operation": "s.a"},
        "choices": [{"when": "input"}], "branches": {"b": [{"id": "b", "operation": "s.a"}]}, "items": "input",
        "steps": [{"id": "c", "operation": "s.a"}], "concurrency": 1, "continue_on_error": true, "signal": "go", "wait_ms": 1,
        "until": "input", "workflow": "other"
    });
    let misplaced = |kind: &str, own: &[&str]| {
        let mut step = given.clone();
        step["id"] = json!("x");
        step["type"] = json!(kind);
        let problems = Host::plain().report(json!({"name": "w", "steps": [step]})).errors;
        let mut found: Vec<&str> =
            problems.iter().filter(|problem| problem.code == "field.not-of-type").map(|problem| &problem.pointer[9..]).collect();
        found.extend(own);
        found.sort_unstable();
        let mut all: Vec<&str> = given.as_object().unwrap().keys().map(String::as_str).collect();
        all.sort_unstable();
        assert_eq!(found, all, "{kind}");
    };
    misplaced("action", &["service", "action", "operation", "retry", "timeout_ms", "compensate"]);
    misplaced("choice", &["choices"]);
    misplaced("parallel", &["branches", "compensate"]);
    misplaced("map", &["items", "steps", "concurrency", "continue_on_error", "compensate"]);
    misplaced("signal", &["signal", "timeout_ms", "compensate"]);
    misplaced("timer", &["wait_ms", "until"]);
    misplaced("workflow", &["workflow", "timeout_ms", "compensate"]);
    let told = errors(&[json!({"id": "x", "choices": [{"when": "input"}]})]);
    assert_eq!(told[0].message, "a step of type `action` has no `choices`; it belongs to choice");
}

#[test]
fn what_a_type_needs_is_told() {
    let one = |step: Value| {
        let problems = Host::plain().report(json!({"name": "w", "steps": [step]})).errors;
        problems.iter().map(|problem| format!("{} {}", problem.pointer, problem.code)).collect::<Vec<_>>()
    };
    for kind in ["action", "choice", "parallel", "map", "signal", "timer", "workflow"] {
        assert_eq!(one(json!({"id": "x", "type": kind})), ["/steps/0 field.missing"], "{kind}");
    }
    assert_eq!(one(json!({"id": "x", "service": "s"})), ["/steps/0 field.missing"]);
    assert_eq!(one(json!({"id": "x", "action": "a"})), ["/steps/0 field.missing"]);
    assert_eq!(one(json!({"id": "x", "service": "s", "action": "a", "operation": "s.a"})), ["/steps/0 field.conflict"]);
    assert_eq!(one(json!({"id": "x", "operation": "s.a", "compensate": {}})), ["/steps/0/compensate field.missing"]);
    assert_eq!(one(json!({"id": "x", "operation": "s.a", "fallback": {}})), ["/steps/0/fallback field.conflict"]);
    assert_eq!(one(json!({"id": "x", "operation": "s.a", "fallback": {"output": 1, "next": "x"}})), ["/steps/0/fallback field.conflict"]);
    assert_eq!(one(json!({"id": "x", "type": "timer", "wait_ms": 1, "until": "input"})), ["/steps/0 field.conflict"]);
    assert_eq!(one(json!({"id": "x", "type": "parallel", "branches": {"b": []}})), ["/steps/0/branches/b definition.no-steps"]);
    assert_eq!(Host::plain().report(json!({"name": "w", "steps": []})).errors[0].code, "definition.no-steps");
}

#[test]
fn values_have_ranges() {
    let most = super::super::MAX_WAIT_MS;
    for (field, values) in [
        ("timeout_ms", [(0, false), (1, true), (most, true), (most + 1, false)]),
        ("max_visits", [(0, false), (1, true), (10_000, true), (10_001, false)]),
    ] {
        for (value, is_valid) in values {
            assert_eq!(errors(&[json!({"id": "x", field: value})]).is_empty(), is_valid, "{field} {value}");
        }
    }
    for (field, largest) in [("max_retries", 100), ("base_ms", 86_400_000), ("max_delay_ms", 86_400_000)] {
        assert_eq!(errors(&[json!({"id": "x", "retry": {field: largest}})]), []);
        let problems = errors(&[json!({"id": "x", "retry": {field: largest + 1}})]);
        assert_eq!(places(&problems), [(format!("/steps/0/retry/{field}").as_str(), "field.out-of-range")]);
    }
    assert_eq!(places(&errors(&[json!({"id": "x", "retry": {"base_ms": 2, "max_delay_ms": 1}})])), [("/steps/0/retry", "field.conflict")]);
    for (concurrency, is_valid) in [(0, false), (1, true), (256, true), (257, false)] {
        let step = json!({"id": "x", "type": "map", "steps": [{"id": "y", "operation": "s.a"}], "concurrency": concurrency});
        assert_eq!(errors(&[step]).is_empty(), is_valid, "{concurrency}");
    }
    for (wait_ms, is_valid) in [(0, true), (most, true), (most + 1, false)] {
        assert_eq!(errors(&[json!({"id": "x", "type": "timer", "wait_ms": wait_ms})]).is_empty(), is_valid, "{wait_ms}");
    }
    let mut document = of_steps(&[json!({"id": "a"})]);
    document["timeout_ms"] = json!(0);
    document["input_schema"] = json!({"type": "strnig"});
    let report = Host::plain().report(document);
    assert_eq!(places(&report.errors), [("/input_schema", "schema.invalid"), ("/timeout_ms", "field.out-of-range")]);
}

#[test]
fn branches_and_choices_are_bounded() {
    let branches = |count: usize| {
        let branches: serde_json::Map<String, Value> =
            (0..count).map(|at| (format!("b{at}"), json!([{"id": format!("s{at}"), "operation": "s.a"}]))).collect();
        errors(&[json!({"id": "p", "type": "parallel", "branches": branches})])
    };
    assert_eq!(branches(64), []);
    assert_eq!(places(&branches(65)), [("/steps/0/branches", "definition.too-large")]);
    let choices = |count: usize| {
        let choices: Vec<Value> = (0..count).map(|_| json!({"when": "input"})).collect();
        errors(&[json!({"id": "c", "type": "choice", "choices": choices})])
    };
    assert_eq!(choices(256), []);
    assert_eq!(places(&choices(257)), [("/steps/0/choices", "definition.too-large")]);
}
