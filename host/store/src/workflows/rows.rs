//! Rows of both databases, and what they mean.

use breakwater_workflow::{
    Claimed, Event, Execution, ExecutionStatus, Fence, Happened, Mail, RecordsError, Signal, StepError, Wanted, Workflow, WorkflowStatus,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RecordsError {
    RecordsError::Store(error.into())
}

pub(crate) fn corrupt(what: impl ToString) -> RecordsError {
    RecordsError::Corrupt(what.to_string())
}

/// A number as it is stored. Only damaged records hold one that is out of range.
pub(crate) fn count(stored: i64) -> Result<u64, RecordsError> {
    u64::try_from(stored).map_err(corrupt)
}

/// A number to store.
pub(crate) fn number(count: u64) -> Result<i64, RecordsError> {
    i64::try_from(count).map_err(failed)
}

/// A number to compare with, where everything above what can be stored is the same.
pub(crate) fn bound(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn text(value: &impl Serialize) -> Result<String, RecordsError> {
    serde_json::to_string(value).map_err(failed)
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, RecordsError> {
    serde_json::from_str(text).map_err(|error| corrupt(format!("{what}: {error}")))
}

fn status(name: &str) -> Result<ExecutionStatus, RecordsError> {
    let found = ExecutionStatus::ALL.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| corrupt(format!("{name:?} is no status of an execution")))
}

fn wanted(name: &str) -> Result<Wanted, RecordsError> {
    let found = [Wanted::Cancel, Wanted::Pause, Wanted::Resume, Wanted::Retry].into_iter().find(|wanted| wanted.name() == name);
    found.ok_or_else(|| corrupt(format!("{name:?} cannot be wanted of an execution")))
}

/// A version as it was written, and the status that its workflow has now.
#[derive(sqlx::FromRow)]
pub(crate) struct WorkflowRow {
    record: String,
    status: Option<String>,
}

impl WorkflowRow {
    pub(crate) fn workflow(self) -> Result<Workflow, RecordsError> {
        let workflow: Workflow = read("a workflow", &self.record)?;
        // One that was removed may not be started any more.
        let Some(name) = self.status else { return Ok(Workflow { status: WorkflowStatus::Archived, ..workflow }) };
        let status = WorkflowStatus::ALL.into_iter().find(|status| status.name() == name);
        let status = status.ok_or_else(|| corrupt(format!("{name:?} is no status of a workflow")))?;
        Ok(Workflow { status, ..workflow })
    }
}

/// An execution.
#[derive(sqlx::FromRow)]
pub(crate) struct ExecutionRow {
    id: String,
    workflow_id: String,
    workflow_name: String,
    workflow_version: i64,
    status: String,
    input: String,
    output: Option<String>,
    error: Option<String>,
    context: String,
    idempotency_key: Option<String>,
    parent: Option<String>,
    created_at_ms: i64,
    started_at_ms: Option<i64>,
    completed_at_ms: Option<i64>,
}

impl ExecutionRow {
    fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn execution(self) -> Result<Execution, RecordsError> {
        let of = format!("execution `{}`", self.id);
        let optional = |text: &Option<String>| text.as_deref().map(|text| read::<Value>(&of, text)).transpose();
        Ok(Execution {
            workflow_version: u32::try_from(self.workflow_version).map_err(corrupt)?,
            status: status(&self.status)?,
            input: read(&of, &self.input)?,
            output: optional(&self.output)?,
            error: self.error.as_deref().map(|text| read::<StepError>(&of, text)).transpose()?,
            context: read(&of, &self.context)?,
            parent: self.parent.as_deref().map(|text| read(&of, text)).transpose()?,
            created_at_ms: count(self.created_at_ms)?,
            started_at_ms: self.started_at_ms.map(count).transpose()?,
            completed_at_ms: self.completed_at_ms.map(count).transpose()?,
            id: self.id,
            workflow_id: self.workflow_id,
            workflow_name: self.workflow_name,
            idempotency_key: self.idempotency_key,
        })
    }
}

/// An execution that was taken over.
#[derive(sqlx::FromRow)]
pub(crate) struct ClaimedRow {
    #[sqlx(flatten)]
    execution: ExecutionRow,
    epoch: i64,
    wanted: Option<String>,
}

impl ClaimedRow {
    pub(crate) fn claimed(self, node: &str) -> Result<Claimed, RecordsError> {
        let execution = self.execution.execution()?;
        let fence = Fence { execution: execution.id.clone(), node: node.to_owned(), epoch: count(self.epoch)? };
        Ok(Claimed { execution, fence, wanted: self.wanted.as_deref().map(wanted).transpose()? })
    }
}

/// Those that can be read. One that is damaged must not keep the others from being gone on with; it stays where it is, and the log names it.
pub(crate) fn undamaged(rows: Vec<ClaimedRow>, node: &str) -> Vec<Claimed> {
    let read = rows.into_iter().map(|row| {
        let id = row.execution.id().to_owned();
        row.claimed(node).map_err(|error| (id, error))
    });
    read.filter_map(|result| {
        result.inspect_err(|(id, error)| tracing::error!(execution = id, %error, "an execution is damaged and cannot go on")).ok()
    })
    .collect()
}

/// seq, at_ms, path, what
pub(crate) type EventRow = (i64, i64, String, String);

pub(crate) fn event((seq, at_ms, path, what): EventRow) -> Result<Event, RecordsError> {
    let what: Happened = read("an event", &what)?;
    Ok(Event { seq: count(seq)?, at_ms: count(at_ms)?, path, what })
}

/// number, name, payload, at_ms, idempotency_key
pub(crate) type SignalRow = (i64, String, String, i64, Option<String>);

pub(crate) fn signal((number, name, payload, at_ms, idempotency_key): SignalRow) -> Result<Signal, RecordsError> {
    Ok(Signal { number: count(number)?, name, payload: read("a signal", &payload)?, at_ms: count(at_ms)?, idempotency_key })
}

/// execution, wanted, signals
pub(crate) type MailRow = (String, Option<String>, i64);

pub(crate) fn mail((execution, wish, signals): MailRow) -> Result<Mail, RecordsError> {
    Ok(Mail { execution, wanted: wish.as_deref().map(wanted).transpose()?, signals: count(signals)? })
}

/// Every status with how many executions have it.
pub(crate) fn counts(rows: Vec<(String, i64)>) -> Result<Vec<(ExecutionStatus, u64)>, RecordsError> {
    let mut counts = ExecutionStatus::ALL.map(|status| (status, 0));
    for (name, executions) in rows {
        let named = status(&name)?;
        for (_, total) in counts.iter_mut().filter(|(status, _)| *status == named) {
            *total = count(executions)?;
        }
    }
    Ok(counts.into())
}
