//! What an execution must fulfil to be accepted, whatever runs it.

use std::collections::BTreeMap;
use std::time::Duration;

use breakwater_core::{Digest, Failure, FailureKind};
use serde_json::{Value, json};

use crate::definition::{Definition, StepType};
use crate::execution::{Execution, ExecutionStatus, NewSignal, Signal, Start};
use crate::records::{RecordsError, WorkflowRecords, is_of_the_host};
use crate::runner::StepRunner;
use crate::validate::size::sequences;
use crate::workflow::{Workflow, WorkflowStatus};

/// The longest id that is looked up, in bytes.
const MAX_ID: usize = 128;
/// The longest idempotency key, in characters.
pub(crate) const MAX_KEY: usize = 255;
/// The longest name of a signal, in bytes.
const MAX_SIGNAL_NAME: usize = 128;
/// The most that a signal brings, in bytes of JSON.
const MAX_SIGNAL: usize = 256 * 1024;
/// The most signals of one execution.
pub const MAX_SIGNALS: u64 = 1000;

/// Finds the workflow that is to be started, if it may be.
///
/// # Errors
/// Those of [`crate::Executor::start`] but for reused keys and executors that have enough to do.
pub async fn admit(records: &dyn WorkflowRecords, runner: &dyn StepRunner, start: &Start) -> Result<Workflow, Failure> {
    if let Some(key) = &start.idempotency_key {
        check_key(key)?;
    }
    let workflow = records.workflow(&start.workflow, None).await.map_err(stored)?.ok_or_else(|| unknown_workflow(&start.workflow))?;
    if start.parent.is_some() && is_of_the_host(&workflow.definition.name) {
        return Err(unknown_workflow(&start.workflow));
    }
    if workflow.status != WorkflowStatus::Active {
        let message = format!("the workflow `{}` is {} and cannot be started", workflow.definition.name, workflow.status.name());
        return Err(Failure::invalid("workflow.inactive", message));
    }
    refuse_what_is_missing(records, runner, &workflow.definition).await?;
    if let Some(schema) = &workflow.definition.input_schema {
        runner.fits(schema, &start.input).map_err(input_invalid)?;
    }
    Ok(workflow)
}

/// An execution that was accepted now.
#[must_use]
pub fn begin(id: String, workflow: Workflow, start: Start, now_ms: u64) -> Execution {
    Execution {
        id,
        workflow_id: workflow.id,
        workflow_name: workflow.definition.name,
        workflow_version: workflow.version,
        status: ExecutionStatus::Pending,
        input: start.input,
        output: None,
        error: None,
        context: start.context,
        idempotency_key: start.idempotency_key,
        parent: start.parent,
        created_at_ms: now_ms,
        started_at_ms: None,
        completed_at_ms: None,
    }
}

/// What tells one input from another.
#[must_use]
pub fn digest(input: &Value) -> Digest {
    Digest::of(&serde_json::to_vec(input).unwrap_or_default())
}

/// Services, plugins and workflows may come after the workflow that uses them, but not after its execution.
async fn refuse_what_is_missing(records: &dyn WorkflowRecords, runner: &dyn StepRunner, definition: &Definition) -> Result<(), Failure> {
    let (mut missing, mut started) = (Vec::new(), BTreeMap::new());
    for sequence in sequences(definition) {
        for (place, step) in sequence.steps.iter().enumerate() {
            let at = sequence.at(place);
            let undo = step.compensate.as_ref().and_then(|undo| Some((format!("{at}/compensate"), undo.service.is_some(), undo.called()?)));
            let called = step.called().map(|called| (at.clone(), step.service.is_some(), called));
            for (at, of_service, operation) in called.into_iter().chain(undo).filter(|(_, _, called)| runner.operation(called).is_none()) {
                missing.push(missing_operation(runner, &step.id, &at, of_service, &operation));
            }
            if let (StepType::Workflow, Some(workflow)) = (step.kind, &step.workflow) {
                started.entry(workflow).or_insert_with(Vec::new).push((step, format!("{at}/workflow")));
            }
        }
    }
    for (workflow, steps) in started {
        let why = match records.workflow(workflow, None).await.map_err(stored)? {
            Some(found) if found.status == WorkflowStatus::Active => continue,
            Some(found) => format!("is {}; activate it first", found.status.name()),
            None => "is not there; create it first".to_owned(),
        };
        missing.extend(steps.into_iter().map(|(step, pointer)| {
            let message = format!("the step `{}` starts the workflow `{workflow}`, which {why}", step.id);
            json!({ "pointer": pointer, "message": message })
        }));
    }
    let Some(first) = missing.first().and_then(|first| first["message"].as_str()) else { return Ok(()) };
    let more = if missing.len() > 1 { format!(" ({} problems)", missing.len()) } else { String::new() };
    let message = format!("the workflow cannot be executed{more}: {first}");
    Err(Failure::invalid("workflow.not-executable", message).with_detail(json!({ "violations": missing })))
}

fn missing_operation(runner: &dyn StepRunner, step: &str, at: &str, of_service: bool, operation: &str) -> Value {
    let service = operation.rsplit_once('.').map(|(service, _)| service);
    let (field, help) = match service {
        Some(service) if runner.has_service(service) => (if of_service { "action" } else { "operation" }, "the service has no such action"),
        Some(_) if of_service => ("service", "register the service first"),
        Some(_) => ("operation", "register the service, or deploy the plugin, that brings it first"),
        None => ("operation", "deploy the plugin that brings it first"),
    };
    json!({ "pointer": format!("{at}/{field}"), "message": format!("the step `{step}` calls `{operation}`, which is not there; {help}") })
}

/// Refuses what can be no id.
///
/// # Errors
/// `execution.unknown` (not found).
pub fn check_id(id: &str) -> Result<(), Failure> {
    if !(1..=MAX_ID).contains(&id.len()) || id.chars().any(char::is_control) { Err(unknown_execution(id)) } else { Ok(()) }
}

/// Refuses signals that are too large or have no usable name or key.
///
/// # Errors
/// `execution.signal-invalid`, `execution.key-invalid` (invalid request), `execution.signal-too-large` (limit).
pub fn check_signal(signal: &NewSignal) -> Result<(), Failure> {
    if !(1..=MAX_SIGNAL_NAME).contains(&signal.name.len()) || signal.name.chars().any(char::is_control) {
        return Err(Failure::invalid("execution.signal-invalid", format!("a signal's name is 1 to {MAX_SIGNAL_NAME} printable bytes")));
    }
    let length = serde_json::to_vec(&signal.payload).map_or(usize::MAX, |text| text.len());
    if length > MAX_SIGNAL {
        let message = format!("a signal brings at most {MAX_SIGNAL} bytes; this one brings {length}");
        return Err(Failure::limit("execution.signal-too-large", message));
    }
    signal.idempotency_key.as_deref().map_or(Ok(()), check_key)
}

/// Refuses a signal whose key has come with another one.
///
/// # Errors
/// `execution.key-reused` (invalid request).
pub fn sent_again(known: &Signal, signal: &NewSignal) -> Result<(), Failure> {
    if (&known.name, &known.payload) == (&signal.name, &signal.payload) {
        return Ok(());
    }
    let message = format!("the idempotency key belongs to the signal `{}` that came before; use a new key for a new signal", known.name);
    Err(Failure::invalid("execution.key-reused", message))
}

/// The failure of a signal to an execution that has had [`MAX_SIGNALS`].
#[must_use]
pub fn too_many_signals() -> Failure {
    Failure::limit("execution.too-many-signals", format!("an execution takes at most {MAX_SIGNALS} signals"))
}

/// The failure of a signal to an execution that has ended.
#[must_use]
pub fn takes_no_signals(status: ExecutionStatus) -> Failure {
    Failure::invalid("execution.state", format!("the execution is {} and takes no signals", status.name()))
}

/// The failure of a start whose key belongs to the execution `id`, which has another input.
#[must_use]
pub fn key_reused(id: &str) -> Failure {
    let message = "the idempotency key belongs to an execution with another input; use a new key for a new execution";
    Failure::invalid("execution.key-reused", message).with_detail(json!({ "execution_id": id }))
}

/// The failure of a start when this process is about to end.
#[must_use]
pub fn stopping() -> Failure {
    Failure::new(FailureKind::Unavailable, "workflow.stopping", "the service is about to end")
}

/// The failure of a start when as many executions as may be are under way.
pub(crate) fn overloaded(max_running: usize) -> Failure {
    let message = format!("{max_running} executions are under way already; try again later");
    Failure::limit("workflow.overloaded", message).retry_after(Duration::from_secs(1))
}

fn check_key(key: &str) -> Result<(), Failure> {
    let is_valid = (1..=MAX_KEY).contains(&key.chars().count()) && key.chars().all(|c| !c.is_control());
    if is_valid {
        return Ok(());
    }
    Err(Failure::invalid("execution.key-invalid", format!("an idempotency key is 1 to {MAX_KEY} printable characters")))
}

fn input_invalid(failure: Failure) -> Failure {
    let first = failure.detail.as_ref().and_then(|detail| detail["violations"].get(0));
    let what = first.and_then(|first| Some((first["pointer"].as_str()?, first["message"].as_str()?)));
    let what = what.map_or_else(|| failure.message.clone(), |(pointer, message)| told_at(pointer, message));
    let message = format!("the input does not fit the workflow: {what}");
    let invalid = Failure::invalid("execution.input-invalid", message);
    match failure.detail {
        Some(detail) => invalid.with_detail(detail),
        None => invalid,
    }
}

/// What is wrong, after the place if it is not the whole.
#[must_use]
pub fn told_at(pointer: &str, message: &str) -> String {
    if pointer.is_empty() { message.to_owned() } else { format!("{pointer}: {message}") }
}

pub(crate) fn unknown_workflow(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = json!({ "resource_type": "workflow", "resource_id": id });
    Failure::new(FailureKind::NotFound, "workflow.unknown", format!("there is no workflow `{id}`")).with_detail(detail)
}

/// The failure of a look at an execution that there is none of.
#[must_use]
pub fn unknown_execution(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = json!({ "resource_type": "execution", "resource_id": id });
    Failure::new(FailureKind::NotFound, "execution.unknown", format!("there is no execution `{id}`")).with_detail(detail)
}

/// The failure of a call whose records failed.
#[must_use]
pub fn stored(error: RecordsError) -> Failure {
    match error {
        RecordsError::Conflict => {
            Failure::invalid("workflow.conflict", "the workflow was changed meanwhile; read it again and repeat the change")
        }
        RecordsError::Absent => Failure::new(FailureKind::NotFound, "execution.unknown", "there is no such execution"),
        error => Failure::new(FailureKind::Unavailable, "workflow.store", "the records of workflows cannot be used at the moment")
            .caused_by(error),
    }
}
