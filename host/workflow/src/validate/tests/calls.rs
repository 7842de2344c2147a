use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Host, definition, places};
use crate::validate::{started_workflows, validate};

fn starting(name: &str, workflows: &[&str]) -> Value {
    let steps = workflows.iter().enumerate().map(|(at, workflow)| {
        let next = (at + 1 < workflows.len()).then(|| format!("s{}", at + 1));
        json!({"id": format!("s{at}"), "type": "workflow", "workflow": workflow, "next": next})
    });
    json!({"name": name, "steps": steps.collect::<Vec<_>>()})
}

#[test]
fn an_action_that_a_registered_service_lacks_is_an_error() {
    let report = Host::plain().report(json!({"name": "w", "steps": [
        {"id": "a", "service": "s", "action": "b", "next": "c", "compensate": {"service": "s", "action": "undo"}},
        {"id": "c", "operation": "s.x", "next": "d"},
        {"id": "d", "service": "t", "action": "x", "compensate": {"service": "t", "action": "undo"}, "next": "e"},
        {"id": "e", "operation": "resize"}
    ]}));
    assert_eq!(
        places(&report.errors),
        [("/steps/0/action", "action.unknown"), ("/steps/0/compensate/action", "action.unknown"), ("/steps/1/operation", "action.unknown")]
    );
    assert_eq!(report.errors[0].message, "the service `s` has no action `b`");
    assert_eq!(
        places(&report.warnings),
        [
            ("/steps/2/compensate/service", "service.not-registered"),
            ("/steps/2/service", "service.not-registered"),
            ("/steps/3/operation", "operation.unknown"),
        ]
    );
}

#[test]
fn a_workflow_that_there_is_not_may_still_come() {
    let document = starting("w", &["other"]);
    assert_eq!(places(&Host::default().report(document.clone()).warnings), [("/steps/0/workflow", "subworkflow.unknown")]);
    assert_eq!(places(&validate(&definition(document), &Host::default(), true).errors), [("/steps/0/workflow", "subworkflow.unknown")]);
}

#[test]
fn workflows_that_start_each_other_in_a_circle_are_refused() {
    let mut host = Host::default();
    for (name, started) in [("a", vec!["b", "leaf"]), ("b", vec!["leaf", "c-id"]), ("c", vec!["new"]), ("leaf", vec![])] {
        let stored = if started.is_empty() { json!({"name": name, "steps": []}) } else { starting(name, &started) };
        host.workflows.insert(name.to_owned(), definition(stored.clone()));
        host.workflows.insert(format!("{name}-id"), definition(stored));
    }
    let own = host.report(starting("new", &["leaf", "new"]));
    assert_eq!(places(&own.errors), [("/steps/1/workflow", "subworkflow.cycle")]);
    let through = host.report(starting("new", &["leaf", "a-id"]));
    assert_eq!(places(&through.errors), [("/steps/1/workflow", "subworkflow.cycle")]);
    assert_eq!(through.errors[0].message, "the workflows start each other in a circle: a → b → c → new");
    assert_eq!(host.report(starting("new", &["leaf"])).errors, []);
    // A circle among others is not this one's.
    assert_eq!(host.report(starting("fresh", &["a"])).errors, []);
    // By its id, which a new definition does not know of itself.
    host.workflows.insert("new-id".to_owned(), definition(starting("new", &["leaf"])));
    assert_eq!(host.report(starting("new", &["new-id"])).errors[0].message, "the workflow starts itself");
}

#[test]
fn started_workflows_are_known_however_deep() {
    let document = json!({"name": "w", "steps": [{"id": "m", "type": "map", "steps": [
        {"id": "p", "type": "parallel", "branches": {"b": [{"id": "x", "type": "workflow", "workflow": "inner"}]}}], "next": "y"},
        {"id": "y", "type": "workflow", "workflow": "outer"}]});
    assert_eq!(started_workflows(&definition(document)), BTreeSet::from(["inner".to_owned(), "outer".to_owned()]));
}
