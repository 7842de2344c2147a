//! Whether what steps call is there: services, operations, workflows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Known;
use super::findings::{Findings, meant, shown};
use super::size::sequences;
use crate::definition::{Definition, StepType};

/// Workflows that are looked at for whether they start each other in a circle.
const MAX_WORKFLOWS: usize = 1000;

/// The ids or names of the workflows that steps of a definition start.
#[must_use]
pub fn started_workflows(definition: &Definition) -> BTreeSet<String> {
    let steps = sequences(definition).into_iter().flat_map(|sequence| sequence.steps);
    steps.filter(|step| step.kind == StepType::Workflow).filter_map(|step| step.workflow.clone()).collect()
}

pub(super) fn check(definition: &Definition, known: &dyn Known, findings: &mut Findings) {
    for sequence in sequences(definition) {
        for (place, step) in sequence.steps.iter().enumerate() {
            let at = sequence.at(place);
            if step.kind == StepType::Action {
                called(&at, step.service.as_deref(), step.called(), known, findings);
            }
            if let Some(compensate) = &step.compensate {
                called(&format!("{at}/compensate"), compensate.service.as_deref(), compensate.called(), known, findings);
            }
            if let (StepType::Workflow, Some(workflow)) = (step.kind, &step.workflow) {
                started(&format!("{at}/workflow"), workflow, definition, known, findings);
            }
        }
    }
}

fn called(at: &str, service: Option<&str>, operation: Option<String>, known: &dyn Known, findings: &mut Findings) {
    // Without an operation the fields are wrong, which is told elsewhere.
    let Some(operation) = operation else { return };
    if known.operation(&operation).is_some() {
        return;
    }
    let (field, service, action) = match service {
        Some(service) => ("action", Some(service), operation.get(service.len() + 1..).unwrap_or_default()),
        None => match operation.rsplit_once('.') {
            Some((service, action)) if known.has_service(service) => ("operation", Some(service), action),
            _ => ("operation", None, ""),
        },
    };
    match service {
        Some(service) if known.has_service(service) => {
            let names = known.operations();
            let actions = names.iter().filter_map(|name| name.strip_prefix(service)?.strip_prefix('.'));
            let message = format!("the service `{}` has no action `{}`{}", shown(service), shown(action), meant(action, actions));
            findings.error(format!("{at}/{field}"), "action.unknown", message);
        }
        Some(service) => {
            let names = known.operations();
            let services = names.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).filter(|name| known.has_service(name));
            let close = meant(service, services);
            let message = format!("no service `{}` is registered; until it is, the step cannot be executed{close}", shown(service));
            findings.missing(format!("{at}/service"), "service.not-registered", message);
        }
        None => {
            let message = format!(
                "there is no operation `{}`; until a plugin or a service brings it, the step cannot be executed{}",
                shown(&operation),
                meant(&operation, known.operations())
            );
            findings.missing(format!("{at}/operation"), "operation.unknown", message);
        }
    }
}

fn started(at: &str, workflow: &str, definition: &Definition, known: &dyn Known, findings: &mut Findings) {
    if workflow == definition.name {
        findings.error(at, "subworkflow.cycle", "the workflow starts itself");
        return;
    }
    let Some(first) = known.workflow(workflow) else {
        let message = format!("there is no workflow `{}`; until there is, the step cannot be executed", shown(workflow));
        findings.missing(at, "subworkflow.unknown", message);
        return;
    };
    if let Some(through) = way_back(first, definition, known) {
        let message = if through.len() == 1 {
            "the workflow starts itself".to_owned()
        } else {
            format!("the workflows start each other in a circle: {}", through.join(" → "))
        };
        findings.error(at, "subworkflow.cycle", message);
    }
}

/// The workflows through which one that is started comes back to `definition`, if it does.
fn way_back(first: Arc<Definition>, definition: &Definition, known: &dyn Known) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([first.name.clone()]);
    let mut waiting = vec![(first, Vec::new())];
    while let Some((workflow, mut through)) = waiting.pop() {
        through.push(workflow.name.clone());
        if workflow.name == definition.name {
            return Some(through);
        }
        for next in started_workflows(&workflow) {
            // The latest version of the definition may be another one than this; by its name it is the same workflow.
            let next = if next == definition.name { Some(Arc::new(definition.clone())) } else { known.workflow(&next) };
            if let Some(next) = next.filter(|next| seen.len() < MAX_WORKFLOWS && seen.insert(next.name.clone())) {
                waiting.push((next, through.clone()));
            }
        }
    }
    None
}
