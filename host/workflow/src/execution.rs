//! One run of a workflow, and everything that happened in it.

use std::collections::BTreeMap;

use breakwater_core::{Failure, FailureKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// Accepted; nothing was done yet.
    #[default]
    Pending,
    /// At work, or waiting for a signal or a timer.
    Running,
    /// It has a result.
    Completed,
    /// A step failed for good, or time ran out. It may be retried.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// No further step begins until it is resumed.
    Paused,
}

impl ExecutionStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Paused];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Paused => "PAUSED",
        }
    }

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Why a step or an execution failed, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepError {
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// Its stable code.
    pub code: String,
    /// What was wrong.
    pub message: String,
    /// Machine-readable detail, if there was any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Which step it was, if it was a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

impl StepError {
    /// What is kept of a failure. The message of a defect stays in the log.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        let message = if failure.kind == FailureKind::Internal { "internal error".to_owned() } else { failure.message.clone() };
        Self { kind: failure.kind, code: failure.code.clone().into_owned(), message, detail: failure.detail.clone(), step: None }
    }

    /// As a failure again, for whoever asks for the result.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(self.kind, self.code.clone(), self.message.clone());
        match &self.detail {
            Some(detail) => failure.with_detail(detail.clone()),
            None => failure,
        }
    }
}

/// What an execution is started with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Start {
    /// The workflow's id or name.
    pub workflow: String,
    /// The input of the entry.
    pub input: Value,
    /// What the caller attached, such as `project_id` and `request_id`: stored, returned and propagated with every call.
    pub context: BTreeMap<String, Value>,
    /// Starting twice with one key and one input is starting once. At most 255 printable characters; of one workflow.
    pub idempotency_key: Option<String>,
    /// The execution that started this one, with the path of the step.
    pub parent: Option<(String, String)>,
}

/// An execution as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Names it; sorts by time (UUID version 7).
    pub id: String,
    /// The workflow.
    pub workflow_id: String,
    /// Its name when the execution began.
    pub workflow_name: String,
    /// The version that it runs, whatever the workflow becomes.
    pub workflow_version: u32,
    /// How far it is.
    pub status: ExecutionStatus,
    /// What it was started with.
    pub input: Value,
    /// Its result, once it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed, or that it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// What the caller attached.
    #[serde(default)]
    pub context: BTreeMap<String, Value>,
    /// The key it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The execution that started this one, with the path of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<(String, String)>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When its first step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at_ms: Option<u64>,
}

/// Something that happened in an execution. What happened is never changed; it is how an execution goes on after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts within the execution, from 1, without gaps.
    pub seq: u64,
    /// In milliseconds since 1970.
    pub at_ms: u64,
    /// Where: `extract-text`, `fan-out/left/analyze`, `each/17/resize`; a further visit of a step is `poll#2`, what undoes one is `book~undo`.
    /// Empty for the execution itself.
    pub path: String,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Happened {
    /// An attempt is about to be made: written before its effect. Of a timer, a signal and another workflow it is the begin of the wait.
    Started {
        /// Counts from 1 since the step began or was retried by hand.
        attempt: u32,
        /// When the wait ends, in milliseconds since 1970: of a timer, or of a step with a timeout that waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at_ms: Option<u64>,
    },
    /// An attempt failed and another will be made.
    AttemptFailed {
        /// Why.
        error: StepError,
        /// When the next one begins, in milliseconds since 1970.
        retry_at_ms: u64,
    },
    /// The step has an output.
    Completed {
        /// The output.
        output: Value,
        /// Who gave it, such as `plugin:crop-people@0.1.0`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served_by: Option<String>,
        /// Whether it came from a fallback.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        degraded: bool,
        /// The signal that brought it: no other step gets that one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u64>,
    },
    /// The step failed for good.
    Failed {
        /// Why.
        error: StepError,
    },
    /// The step was passed over because its condition did not hold.
    Skipped,
    /// A choice or a fallback decided where to go on.
    Chosen {
        /// The step; none ends the sequence.
        next: Option<String>,
        /// The input of what follows.
        output: Value,
    },
    /// The execution was paused.
    Paused,
    /// It goes on.
    Resumed,
    /// Failed steps are tried again.
    Retried,
    /// Somebody asked for its end.
    CancelRequested,
    /// Another process of the service goes on with it.
    Adopted {
        /// Which process.
        node: String,
    },
}

/// A signal that somebody sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewSignal {
    /// Its name.
    pub name: String,
    /// What it brings.
    pub payload: Value,
    /// The same for every try at sending it to one execution: only the first that arrives counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl NewSignal {
    /// One that counts every time it is sent.
    pub fn new(name: impl Into<String>, payload: Value) -> Self {
        Self { name: name.into(), payload, idempotency_key: None }
    }

    /// One that counts once.
    #[must_use]
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }
}

/// A signal that has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Counts the signals of the execution, from 1, in the order in which they came.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// What it brings.
    pub payload: Value,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The key it was sent under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl Signal {
    /// What came as number `number`.
    #[must_use]
    pub fn of(sent: NewSignal, number: u64, at_ms: u64) -> Self {
        let NewSignal { name, payload, idempotency_key } = sent;
        Self { number, name, payload, at_ms, idempotency_key }
    }
}
