mod calls;
mod connections;
mod document;
mod examples;
mod expressions;
mod flow;
mod hostile;
mod model;
mod shape;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::OperationEffect;
use serde_json::{Value, json};

use super::{Known, Problem, Report, parse, validate};
use crate::definition::Definition;
use crate::runner::StepOperation;

/// A host with services, operations and workflows.
#[derive(Default)]
struct Host {
    operations: BTreeMap<String, (Value, Value)>,
    services: Vec<String>,
    workflows: BTreeMap<String, Definition>,
}

impl Host {
    fn with(mut self, service: &str, action: &str, input: Value, output: Value) -> Self {
        self.services.push(service.to_owned());
        self.operations.insert(format!("{service}.{action}"), (input, output));
        self
    }

    /// A host where the service `s` has an action `a` that takes and gives anything.
    fn plain() -> Self {
        Self::default().with("s", "a", json!({}), json!({}))
    }

    fn report(&self, document: Value) -> Report {
        validate(&definition(document), self, false)
    }
}

impl Known for Host {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        let (input_schema, output_schema) = self.operations.get(name)?.clone();
        Some(StepOperation { input_schema, output_schema, effect: OperationEffect::Create, idempotent: false })
    }

    fn operations(&self) -> Vec<String> {
        self.operations.keys().cloned().collect()
    }

    fn has_service(&self, name: &str) -> bool {
        self.services.iter().any(|service| service == name)
    }

    fn workflow(&self, id: &str) -> Option<Arc<Definition>> {
        self.workflows.get(id).cloned().map(Arc::new)
    }

    fn schema_problem(&self, schema: &Value) -> Option<String> {
        (schema.get("type") == Some(&json!("strnig"))).then(|| "there is no type `strnig`".to_owned())
    }
}

fn definition(document: Value) -> Definition {
    parse(&document).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A definition of steps that each call `s.a`, with what is given for each beside.
fn of_steps(steps: &[Value]) -> Value {
    let steps = steps.iter().map(|step| {
        let mut step = step.clone();
        if step.get("type").is_none() {
            step["service"] = json!("s");
            step["action"] = json!("a");
        }
        step
    });
    json!({"name": "w", "steps": steps.collect::<Vec<_>>()})
}

/// Pointers and codes.
fn places(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|problem| (problem.pointer.as_str(), problem.code)).collect()
}

/// The errors of steps on a host that knows what they call.
fn errors(steps: &[Value]) -> Vec<Problem> {
    Host::plain().report(of_steps(steps)).errors
}

fn is_clean(report: &Report) -> bool {
    *report == Report::default()
}
