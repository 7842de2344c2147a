use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Host, definition, of_steps, places};
use crate::validate::{MAX_NESTING, MAX_STEPS, parse, validate};

/// Runs what may not take long, whatever else the machine does.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    result
}

#[test]
fn a_ring_of_a_thousand_steps_is_found() {
    let ring: Vec<Value> = (0..MAX_STEPS).map(|at| json!({"id": format!("s{at}"), "next": format!("s{}", (at + 1) % MAX_STEPS)})).collect();
    let report = soon(|| Host::plain().report(of_steps(&ring)));
    assert_eq!(places(&report.errors), [("/steps/0", "step.endless")]);
}

#[test]
fn a_thousand_choices_that_all_lead_to_each_other_and_mention_each_other_are_looked_at() {
    let steps: Vec<Value> = (0..MAX_STEPS)
        .map(|at| {
            let choices: Vec<Value> = (1..12).map(|far| json!({"when": format!("steps.s{}", (at + far * 83) % MAX_STEPS), "next": format!("s{}", (at * far) % MAX_STEPS)})).collect();
            json!({"id": format!("s{at}"), "type": "choice", "choices": choices, "next": format!("s{}", (at + 1) % MAX_STEPS)})
        })
        .collect();
    let report = soon(|| Host::plain().report(json!({"name": "w", "steps": steps})));
    assert_eq!(places(&report.errors), [("/steps/0", "step.endless")]);
    assert!(!report.warnings.is_empty());
}

#[test]
fn many_loops_in_a_row_are_found() {
    let steps: Vec<Value> = (0..MAX_STEPS)
        .map(|at| match at % 2 {
            0 => json!({"id": format!("s{at}"), "next": format!("s{}", at + 1)}),
            _ => json!({"id": format!("s{at}"), "type": "choice", "choices": [{"when": "input", "next": format!("s{}", at - 1)}],
                "next": (at + 1 < MAX_STEPS).then(|| format!("s{}", at + 1))}),
        })
        .collect();
    assert_eq!(soon(|| Host::plain().report(of_steps(&steps))).errors, []);
}

#[test]
fn a_megabyte_of_anything_is_read_soon() {
    let unknown: Map<String, Value> = (0..60_000).map(|at| (format!("field{at}"), json!(at))).collect();
    let steps: Vec<Value> = (0..900).map(|_| json!({})).collect();
    let long_name = "x".repeat(1_000_000);
    for document in [
        Value::Object(unknown),
        json!({"name": "w", "steps": steps}),
        json!({"name": long_name.clone(), "steps": [{"id": long_name.clone(), "next": "y"}]}),
        json!({"name": "w", "steps": [{"id": "a", "input": long_name.clone()}]}),
        json!({"name": "w", "steps": [{"id": "a", "type": long_name}]}),
        json!({"name": "w", "steps": [{"id": "a", "choices": vec![json!({}); 100_000]}]}),
    ] {
        let problems = soon(|| match parse(&document) {
            Err(problems) => problems,
            Ok(definition) => validate(&definition, &Host::plain(), false).errors,
        });
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problem| problem.message.len() < 600), "messages do not repeat what is long");
    }
}

#[test]
fn what_was_built_without_being_read_is_bounded_too() {
    let mut nested = definition(of_steps(&[json!({"id": "a"})])).steps;
    for level in 0..200 {
        let mut around = nested[0].clone();
        around.id = format!("m{level}");
        around.kind = crate::StepType::Map;
        around.steps = nested;
        nested = vec![around];
    }
    let mut deep = definition(of_steps(&[json!({"id": "a"})]));
    deep.steps = nested;
    let report = soon(|| validate(&deep, &Host::plain(), false));
    let pointer = format!("/steps{}", "/0/steps".repeat(MAX_NESTING));
    assert_eq!(places(&report.errors), [(pointer.as_str(), "definition.too-deep")]);

    let mut wide = definition(of_steps(&[json!({"id": "a"})]));
    wide.steps = vec![wide.steps[0].clone(); 200_000];
    assert_eq!(places(&soon(|| validate(&wide, &Host::plain(), false)).errors), [("/steps", "definition.too-large")]);
}

#[test]
fn hostile_expressions_are_problems_of_their_steps() {
    let texts =
        ["(".repeat(4096), "!".repeat(4096), "[".repeat(4000), "a.".repeat(2000), "@|".repeat(2000), "'".repeat(4095), "x".repeat(5000)];
    let steps: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| json!({"id": format!("s{at}"), "input": text, "next": (at + 1 < texts.len()).then(|| format!("s{}", at + 1))}))
        .collect();
    let report = soon(|| Host::plain().report(of_steps(&steps)));
    assert_eq!(report.errors.len(), texts.len());
    assert!(report.errors.iter().all(|problem| problem.code == "expression.invalid"));
}
