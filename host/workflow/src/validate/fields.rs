//! Whether each step has the fields of its type, no others, and values within their ranges.

use std::ops::RangeInclusive;

use super::findings::{Findings, escaped};
use super::size::{Sequence, sequences};
use super::{Known, MAX_WAIT_MS};
use crate::definition::{Compensation, Definition, Step, StepType};
use crate::retry::StepRetry;

/// The longest wait between two attempts, in milliseconds: a day.
const MAX_DELAY_MS: u64 = 24 * 3600 * 1000;

pub(super) fn check(definition: &Definition, known: &dyn Known, findings: &mut Findings) {
    within(findings, "/timeout_ms", definition.timeout_ms, 1..=MAX_WAIT_MS);
    if let Some(problem) = definition.input_schema.as_ref().and_then(|schema| known.schema_problem(schema)) {
        findings.error("/input_schema", "schema.invalid", problem);
    }
    if definition.steps.is_empty() {
        findings.error("/steps", "definition.no-steps", "a workflow has at least one step");
    }
    for sequence in sequences(definition) {
        for (place, step) in sequence.steps.iter().enumerate() {
            step_fields(&sequence, place, step, findings);
        }
    }
}

fn step_fields(sequence: &Sequence<'_>, place: usize, step: &Step, findings: &mut Findings) {
    let at = sequence.at(place);
    for (field, is_there) in given(step) {
        if is_there && !of_type(step.kind).contains(&field) {
            let types: Vec<&str> = StepType::ALL.into_iter().filter(|kind| of_type(*kind).contains(&field)).map(StepType::name).collect();
            let message = format!("a step of type `{}` has no `{field}`; it belongs to {}", step.kind.name(), types.join(", "));
            findings.error(format!("{at}/{field}"), "field.not-of-type", message);
        }
    }
    match step.kind {
        StepType::Action => called(&at, [&step.service, &step.action, &step.operation], findings),
        StepType::Choice if step.choices.is_empty() => missing(&at, "choices", step.kind, findings),
        StepType::Parallel if step.branches.is_empty() => missing(&at, "branches", step.kind, findings),
        StepType::Map if step.steps.is_empty() => missing(&at, "steps", step.kind, findings),
        StepType::Signal if step.signal.is_none() => missing(&at, "signal", step.kind, findings),
        StepType::Workflow if step.workflow.is_none() => missing(&at, "workflow", step.kind, findings),
        StepType::Timer => match (step.wait_ms, &step.until) {
            (None, None) => findings.error(&at, "field.missing", "a step of type `timer` needs `wait_ms` or `until`"),
            (Some(_), Some(_)) => findings.error(&at, "field.conflict", "a timer has either `wait_ms` or `until`"),
            _ => {}
        },
        _ => {}
    }
    for name in step.branches.iter().filter(|(_, steps)| steps.is_empty()).map(|(name, _)| name) {
        findings.error(format!("{at}/branches/{}", escaped(name)), "definition.no-steps", "a branch has at least one step");
    }
    within(findings, format!("{at}/timeout_ms"), step.timeout_ms, 1..=MAX_WAIT_MS);
    within(findings, format!("{at}/wait_ms"), step.wait_ms, 0..=MAX_WAIT_MS);
    within(findings, format!("{at}/concurrency"), step.concurrency.map(u64::from), 1..=256);
    within(findings, format!("{at}/max_visits"), step.max_visits.map(u64::from), 1..=10_000);
    if let Some(retry) = &step.retry {
        within(findings, format!("{at}/retry/max_retries"), retry.max_retries.map(u64::from), 0..=u64::from(StepRetry::MAX_RETRIES));
        within(findings, format!("{at}/retry/base_ms"), retry.base_ms, 0..=MAX_DELAY_MS);
        within(findings, format!("{at}/retry/max_delay_ms"), retry.max_delay_ms, 0..=MAX_DELAY_MS);
        if let (Some(base), Some(most)) = (retry.base_ms, retry.max_delay_ms)
            && base > most
        {
            findings.error(format!("{at}/retry"), "field.conflict", format!("`base_ms` ({base}) is longer than `max_delay_ms` ({most})"));
        }
    }
    if let Some(fallback) = &step.fallback
        && fallback.output.is_some() == fallback.next.is_some()
    {
        findings.error(format!("{at}/fallback"), "field.conflict", "a fallback has either `output` or `next`");
    }
    if let Some(Compensation { service, action, operation, .. }) = &step.compensate {
        called(&format!("{at}/compensate"), [service, action, operation], findings);
    }
}

/// Which operation is called: a service and its action, or one operation.
fn called(at: &str, [service, action, operation]: [&Option<String>; 3], findings: &mut Findings) {
    match (service, action, operation) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (_, _, Some(_)) => findings.error(at, "field.conflict", "it calls either `action` of `service`, or `operation`"),
        (Some(_), None, None) => findings.error(at, "field.missing", "`service` needs an `action`"),
        (None, Some(_), None) => findings.error(at, "field.missing", "`action` needs a `service`"),
        (None, None, None) => findings.error(at, "field.missing", "`service` and `action` say what is called, or `operation` does"),
    }
}

fn missing(at: &str, field: &str, kind: StepType, findings: &mut Findings) {
    findings.error(at, "field.missing", format!("a step of type `{}` needs `{field}`", kind.name()));
}

fn within(findings: &mut Findings, pointer: impl Into<String>, value: Option<u64>, range: RangeInclusive<u64>) {
    if let Some(value) = value.filter(|value| !range.contains(value)) {
        findings.error(pointer, "field.out-of-range", format!("{value} is not between {} and {}", range.start(), range.end()));
    }
}

/// The fields that steps of a type have beside those that all have.
const fn of_type(kind: StepType) -> &'static [&'static str] {
    match kind {
        StepType::Action => &["service", "action", "operation", "retry", "timeout_ms", "compensate"],
        StepType::Choice => &["choices"],
        StepType::Parallel => &["branches", "compensate"],
        StepType::Map => &["items", "steps", "concurrency", "continue_on_error", "compensate"],
        StepType::Signal => &["signal", "timeout_ms", "compensate"],
        StepType::Timer => &["wait_ms", "until"],
        StepType::Workflow => &["workflow", "timeout_ms", "compensate"],
    }
}

/// The fields that not all steps have, and whether this one has them.
fn given(step: &Step) -> [(&'static str, bool); 16] {
    [
        ("service", step.service.is_some()),
        ("action", step.action.is_some()),
        ("operation", step.operation.is_some()),
        ("retry", step.retry.is_some()),
        ("timeout_ms", step.timeout_ms.is_some()),
        ("compensate", step.compensate.is_some()),
        ("choices", !step.choices.is_empty()),
        ("branches", !step.branches.is_empty()),
        ("items", step.items.is_some()),
        ("steps", !step.steps.is_empty()),
        ("concurrency", step.concurrency.is_some()),
        ("continue_on_error", step.continue_on_error),
        ("signal", step.signal.is_some()),
        ("wait_ms", step.wait_ms.is_some()),
        ("until", step.until.is_some()),
        ("workflow", step.workflow.is_some()),
    ]
}
