use serde_json::{Value, json};

use super::{Host, errors, is_clean, of_steps, places};

#[test]
fn expressions_are_read_wherever_they_stand() {
    let mut document = of_steps(&[
        json!({"id": "a", "input": "(", "when": "(", "compensate": {"operation": "s.a", "input": "("}, "next": "c"}),
        json!({"id": "c", "type": "choice", "choices": [{"when": "input"}, {"when": "("}], "next": "m"}),
        json!({"id": "m", "type": "map", "items": "(", "steps": [{"id": "i", "operation": "s.a", "input": "("}], "next": "t"}),
        json!({"id": "t", "type": "timer", "until": "("}),
    ]);
    document["output"] = json!("(");
    let report = Host::plain().report(document);
    let expected = [
        "/output",
        "/steps/0/compensate/input",
        "/steps/0/input",
        "/steps/0/when",
        "/steps/1/choices/1/when",
        "/steps/2/items",
        "/steps/2/steps/0/input",
        "/steps/3/until",
    ];
    assert_eq!(places(&report.errors), expected.map(|at| (at, "expression.invalid")));
    assert_eq!(report.errors[0].message, "not a JMESPath expression: unexpected the end, at character 2");
}

#[test]
fn names_that_there_are_not_are_told_with_what_was_meant() {
    let problems = errors(&[
        json!({"id": "a", "input": "inptu.url", "next": "b"}),
        json!({"id": "b", "input": "{x: text, y: a.text, z: item}", "next": "m"}),
        json!({"id": "m", "type": "map", "items": "index", "steps": [{"id": "i", "operation": "s.a", "input": "[item, index]"}]}),
    ]);
    assert_eq!(
        places(&problems),
        [
            ("/steps/0/input", "expression.unknown-name"),
            ("/steps/1/input", "expression.unknown-name"),
            ("/steps/1/input", "expression.unknown-name"),
            ("/steps/1/input", "expression.unknown-name"),
            ("/steps/2/items", "expression.unknown-name"),
        ]
    );
    assert_eq!(
        problems[0].message,
        "there is no `inptu` here: an expression begins with input, context, steps, previous; is `input` meant?"
    );
    assert_eq!(problems[1].message, "`a` is a step: write `steps.a`");
    assert_eq!(problems[2].message, "`item` is there within a map only");
}

#[test]
fn a_step_that_has_always_run_may_be_mentioned() {
    let mut document = of_steps(&[
        json!({"id": "first-step", "next": "m"}),
        json!({"id": "m", "type": "map", "items": "steps.first_step.list", "next": "p", "steps": [
            {"id": "i", "operation": "s.a", "input": "steps.\"first-step\"", "next": "j"},
            {"id": "j", "operation": "s.a", "input": "[steps.i, steps.first_step]", "compensate": {"operation": "s.a", "input": "steps.j"}}]}),
        json!({"id": "p", "type": "parallel", "branches": {
            "left": [{"id": "l", "operation": "s.a", "input": "steps.m"}], "right": [{"id": "r", "operation": "s.a", "input": "steps.m"}]},
            "next": "end"}),
        json!({"id": "end", "input": "steps.p.left", "when": "steps.first_step"}),
    ]);
    document["output"] = json!("[steps.end, steps.first_step]");
    assert!(is_clean(&Host::plain().report(document)));
}

#[test]
fn a_step_that_can_never_have_run_before_is_an_error() {
    let at = |steps: Vec<Value>| errors(&steps).into_iter().map(|problem| (problem.pointer, problem.code)).collect::<Vec<_>>();
    let never = |pointer: &str| vec![(pointer.to_owned(), "expression.step-never-before")];
    assert_eq!(at(vec![json!({"id": "a", "input": "steps.b", "next": "b"}), json!({"id": "b"})]), never("/steps/0/input"));
    assert_eq!(at(vec![json!({"id": "a", "input": "steps.a"})]), never("/steps/0/input"));
    let map = json!({"id": "m", "type": "map", "steps": [{"id": "i", "operation": "s.a"}], "next": "b"});
    assert_eq!(at(vec![map, json!({"id": "b", "input": "steps.i"})]), never("/steps/1/input"));
    let beside = json!({"id": "p", "type": "parallel", "branches": {
        "left": [{"id": "l", "operation": "s.a"}], "right": [{"id": "r", "operation": "s.a", "input": "steps.l"}]}});
    assert_eq!(at(vec![beside]), never("/steps/0/branches/right/0/input"));
    let around = json!({"id": "m", "type": "map", "steps": [{"id": "i", "operation": "s.a", "input": "steps.m"}]});
    assert_eq!(at(vec![around]), never("/steps/0/steps/0/input"));
    let other_way = vec![
        json!({"id": "c", "type": "choice", "choices": [{"when": "input", "next": "x"}], "next": "y"}),
        json!({"id": "x"}),
        json!({"id": "y", "input": "steps.x"}),
    ];
    assert_eq!(at(other_way), never("/steps/2/input"));
    assert_eq!(at(vec![json!({"id": "a", "input": "steps.absent"})]), [("/steps/0/input".to_owned(), "expression.unknown-step")]);
    let close = errors(&[json!({"id": "extract-text", "next": "b"}), json!({"id": "b", "input": "steps.extract_txt"})]);
    assert_eq!(close[0].message, "there is no step `extract_txt`; is `extract-text` meant?");
}

#[test]
fn a_step_that_may_not_have_run_before_is_a_warning_unless_the_expression_provides_for_it() {
    let joined = |input: &str| {
        Host::plain().report(of_steps(&[
            json!({"id": "c", "type": "choice", "choices": [{"when": "input", "next": "x"}], "next": "y"}),
            json!({"id": "x", "next": "end"}),
            json!({"id": "y", "next": "end"}),
            json!({"id": "end", "input": input}),
        ]))
    };
    assert_eq!(places(&joined("steps.x.value").warnings), [("/steps/3/input", "expression.step-maybe-not-before")]);
    assert_eq!(joined("steps.x.value").errors, []);
    assert!(is_clean(&joined("steps.x.value || steps.y.value")));
    assert!(is_clean(&joined("not_null(steps.x, steps.y)")));
    assert!(is_clean(&joined("steps.c")));

    let poll = Host::plain().report(of_steps(&[
        json!({"id": "ask", "input": "steps.wait", "next": "c"}),
        json!({"id": "c", "type": "choice", "choices": [{"when": "steps.ask.done"}], "next": "wait"}),
        json!({"id": "wait", "type": "timer", "wait_ms": 1, "next": "ask"}),
    ]));
    assert_eq!(places(&poll.warnings), [("/steps/0/input", "expression.step-maybe-not-before")]);
    assert_eq!(poll.errors, []);
}
