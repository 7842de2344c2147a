//! What goes through the cluster: inputs and answers of the workflow and of its activities, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use breakwater_core::{Effect, Failure, FailureKind, OperationEffect};
use breakwater_workflow::course::Child;
use breakwater_workflow::{Definition, Event, Execution, Signal, Start, StepAnswer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an execution begins with, or goes on with in a new run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beginning {
    pub(crate) execution: Execution,
    /// The version of the workflow that it runs: the cluster keeps it, so that nothing else is needed to go on.
    pub(crate) definition: Definition,
    /// How many workflows have started each other above it.
    #[serde(default)]
    pub(crate) depth: usize,
    /// What happened in earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) past: Vec<Event>,
    /// The signals of earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) signals: Vec<Signal>,
    /// When its first step began, if that was in an earlier run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at_ms: Option<u64>,
    /// Whether it has failed and is tried again from there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) retried: bool,
}

/// One attempt of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepInput {
    pub(crate) execution: String,
    pub(crate) operation: String,
    pub(crate) input: Value,
    #[serde(default)]
    pub(crate) context: BTreeMap<String, Value>,
    pub(crate) idempotency_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) attempt: u32,
}

/// How an attempt ended. A failure is an answer too: how often a step is tried is the definition's business, not the cluster's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StepOutput {
    pub(crate) effect: OperationEffect,
    #[serde(flatten)]
    pub(crate) end: StepEnd,
}

/// What an attempt came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StepEnd {
    Answered {
        output: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served_by: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        degraded: bool,
    },
    Failed(SentFailure),
}

impl StepEnd {
    pub(crate) fn of(result: Result<StepAnswer, Failure>) -> Self {
        match result {
            Ok(StepAnswer { output, served_by, degraded }) => Self::Answered { output, served_by, degraded },
            Err(failure) => Self::Failed(SentFailure::of(&failure)),
        }
    }

    pub(crate) fn result(self) -> Result<StepAnswer, Failure> {
        match self {
            Self::Answered { output, served_by, degraded } => Ok(StepAnswer { output, served_by, degraded }),
            Self::Failed(failure) => Err(failure.failure()),
        }
    }
}

/// A failure as it is kept. What is only for the log stays where it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SentFailure {
    kind: FailureKind,
    code: String,
    message: String,
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    effect: Effect,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

impl SentFailure {
    pub(crate) fn of(failure: &Failure) -> Self {
        if failure.kind == FailureKind::Internal {
            tracing::error!(failure = failure.chain(), "a step failed by a defect");
        }
        let message = if failure.kind == FailureKind::Internal { "internal error".to_owned() } else { failure.message.clone() };
        Self {
            kind: failure.kind,
            code: failure.code.clone().into_owned(),
            message,
            retryable: failure.retryable,
            retry_after_ms: failure.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            effect: failure.effect,
            detail: failure.detail.clone(),
        }
    }

    pub(crate) fn failure(self) -> Failure {
        let mut failure = Failure::new(self.kind, self.code, self.message);
        failure.retryable = self.retryable;
        failure.retry_after = self.retry_after_ms.map(Duration::from_millis);
        failure.effect = self.effect;
        failure.detail = self.detail;
        failure
    }
}

/// A workflow that a step starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChildInput {
    workflow: String,
    input: Value,
    #[serde(default)]
    context: BTreeMap<String, Value>,
    idempotency_key: Option<String>,
    parent: Option<(String, String)>,
    pub(crate) retried_at_ms: Option<u64>,
    pub(crate) retries: u32,
    pub(crate) depth: usize,
}

impl ChildInput {
    pub(crate) fn of(child: Child, depth: usize) -> Self {
        let Child { start: Start { workflow, input, context, idempotency_key, parent }, retried_at_ms, retries } = child;
        Self { workflow, input, context, idempotency_key, parent, retried_at_ms, retries, depth }
    }

    pub(crate) fn start(&self) -> Start {
        Start {
            workflow: self.workflow.clone(),
            input: self.input.clone(),
            context: self.context.clone(),
            idempotency_key: self.idempotency_key.clone(),
            parent: self.parent.clone(),
        }
    }
}

/// What is to be done for a step that starts a workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChildPlan {
    /// It begins, or goes on from where it failed.
    Begin(Box<Beginning>),
    /// It has run already.
    Ended(Box<Execution>),
    /// It cannot begin.
    Refused(SentFailure),
}

/// What somebody wants of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Command {
    Pause,
    Resume,
}

/// Which part of a history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRange {
    pub(crate) after: u64,
    pub(crate) take: u32,
}

/// Part of a history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HistoryPart {
    pub(crate) events: Vec<Event>,
    /// The number of the last event.
    pub(crate) last: u64,
    /// Signals, when the whole history is asked for.
    #[serde(default)]
    pub(crate) signals: Vec<Signal>,
}

/// Refuses what is too large to begin with.
///
/// # Errors
/// `execution.input-too-large` (limit).
pub(crate) fn fits(beginning: &Beginning) -> Result<(), Failure> {
    let length = length(beginning);
    if length <= MAX_PIECE {
        return Ok(());
    }
    let message = format!("an execution on a cluster may begin with {MAX_PIECE} bytes of definition, input and past; these are {length}");
    Err(Failure::limit("execution.input-too-large", message))
}

/// The failure of a step or an execution that puts out more than fits.
pub(crate) fn output_too_large(whose: &str, length: usize) -> Failure {
    let message =
        format!("the output of {whose} may be {MAX_PIECE} bytes on a cluster; this one is {length}; hand large things on by reference");
    Failure::limit("workflow.output-too-large", message)
}

/// The length of something in JSON.
pub(crate) fn length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |text| text.len())
}

/// The most that is sent in one piece, in bytes: the cluster refuses more than 2 MiB.
pub(crate) const MAX_PIECE: usize = 1_900_000;
