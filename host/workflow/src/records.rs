//! What must survive a crash: definitions, executions and their journals, as the store keeps them.
//!
//! Several processes may share the records. An execution has at most one owner at a time; each change of owner raises its epoch, and what an
//! earlier owner still writes is refused ([`RecordsError::Fenced`]).

use std::error::Error;
use std::time::Duration;

use breakwater_core::{BoxFuture, Digest};
use serde_json::Value;

use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Signal, StepError};
use crate::workflow::{Workflow, WorkflowStatus};

/// Why the records could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The store failed: it cannot be reached, its disk is full, or the like.
    #[error("the store failed")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored is not what was written.
    #[error("a record is damaged: {0}")]
    Corrupt(String),
    /// Another process owns the execution now.
    #[error("another process owns the execution")]
    Fenced,
    /// The workflow was changed, or another of its name was stored, since it was read.
    #[error("it was changed meanwhile")]
    Conflict,
    /// There is no such workflow or execution.
    #[error("there is none")]
    Absent,
}

/// Part of a list, by descending time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Entries before it.
    pub skip: u64,
    /// Its length, 1 or more.
    pub take: u32,
}

/// Part of a list, and how long the whole is.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// The part; empty past the end.
    pub items: Vec<T>,
    /// Of the whole.
    pub total: u64,
}

/// How the names of workflows begin that the host brings along. Those that users define cannot begin so, and lists leave them out.
pub const RESERVED: char = '_';

/// Whether a workflow of this name is the host's own.
#[must_use]
pub fn is_of_the_host(name: &str) -> bool {
    name.starts_with(RESERVED)
}

/// Which executions are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionFilter {
    /// Only of the workflow with this id; when absent, of every workflow that is not the host's own.
    pub workflow_id: Option<String>,
    /// Only with this status.
    pub status: Option<ExecutionStatus>,
}

/// Whether an execution was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// It was, and belongs to the process that made it.
    New(Fence),
    /// One with the same key and input is there.
    Existing(Box<Execution>),
    /// One with the same key and another input is there: its id.
    KeyReused(String),
}

/// Who owns an execution: what is written must come from the owner of this epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The execution.
    pub execution: String,
    /// The process.
    pub node: String,
    /// Which ownership of it.
    pub epoch: u64,
}

/// What a journal gets in one piece: all of it, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Who writes.
    pub fence: Fence,
    /// What happened, with the numbers that follow those that are stored.
    pub events: Vec<Event>,
    /// What became of the execution, if that changed.
    pub change: Option<Change>,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its status.
    pub status: ExecutionStatus,
    /// Its result.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// When, in milliseconds since 1970: `started_at_ms` of one that runs for the first time, `completed_at_ms` of one that ended. One that
    /// goes on after its end has no `completed_at_ms` any more.
    pub at_ms: u64,
}

/// What somebody wants of an execution, kept until its owner has seen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// That it ends.
    Cancel,
    /// That no further step begins.
    Pause,
    /// That it goes on.
    Resume,
    /// That it goes on from what failed.
    Retry,
}

impl Wanted {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }
}

/// What has come for an execution that a process owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The execution.
    pub execution: String,
    /// What somebody wants of it, if anything.
    pub wanted: Option<Wanted>,
    /// How many signals have come.
    pub signals: u64,
}

/// An execution that a process has taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The execution, as it is stored.
    pub execution: Execution,
    /// The new ownership.
    pub fence: Fence,
    /// What somebody wants of it.
    pub wanted: Option<Wanted>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, RecordsError>>;

/// Keeps workflows and executions. A write that was answered survives a crash of the process and of the machine.
pub trait WorkflowRecords: Send + Sync + 'static {
    /// Adds a version: of a new workflow when `workflow.version` is 1, otherwise of one whose latest is the version before. The status and
    /// the name are those of the workflow from then on.
    ///
    /// Fails with [`RecordsError::Conflict`] when its latest version is another one or its name belongs to another workflow.
    fn put_workflow<'a>(&'a self, workflow: &'a Workflow) -> Answer<'a, ()>;

    /// The latest version of a workflow by its id or, if no id is so, by its name; or one version of it.
    fn workflow<'a>(&'a self, id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>>;

    /// The latest version of each workflow but for those of the host's own.
    fn workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Answer<'_, Part<Workflow>>;

    /// Forgets a workflow; its versions stay until no execution is left that needs them. Whether there was one.
    fn remove_workflow<'a>(&'a self, id: &'a str) -> Answer<'a, bool>;

    /// Adds an execution with status [`ExecutionStatus::Pending`], owned by `node`; `digest` is of its input. Keys are those of a workflow.
    fn create<'a>(&'a self, execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created>;

    /// An execution.
    fn execution<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Execution>>;

    /// The executions that fit.
    fn executions<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>>;

    /// How many executions there are by status.
    fn counts(&self) -> Answer<'_, Vec<(ExecutionStatus, u64)>>;

    /// What happened in an execution after event `after`, by number; at most `take`.
    fn events<'a>(&'a self, id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>>;

    /// Writes appends, at most one for each execution, each for itself: one that is refused leaves the others alone. They come together because
    /// a disk is asked only once then.
    fn append<'a>(&'a self, appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>>;

    /// Says what somebody wants of an execution, until [`Self::seen`]. A later wish replaces an earlier one, but nothing replaces `Cancel`.
    /// One that has ended and is retried belongs to nobody from then on, so that [`Self::claim`] finds it.
    ///
    /// Fails with [`RecordsError::Absent`].
    fn want<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, ()>;

    /// The owner has seen to what was wanted.
    fn seen<'a>(&'a self, fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()>;

    /// Adds a signal, whether or not anybody waits for it yet, and gives it as it is kept. Of those with one key only the first is: what is
    /// given for a later one is the first, whatever the later one brings.
    ///
    /// Fails with [`RecordsError::Absent`].
    fn signal<'a>(&'a self, id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal>;

    /// The signal that was sent under a key.
    fn signal_of_key<'a>(&'a self, id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>>;

    /// The signals of an execution after number `after`.
    fn signals<'a>(&'a self, id: &'a str, after: u64) -> Answer<'a, Vec<Signal>>;

    /// What has come for the executions of a process: those with a wish, and those with signals.
    fn mail<'a>(&'a self, node: &'a str) -> Answer<'a, Vec<Mail>>;

    /// Says that a process lives, for at least `lease`.
    fn beat<'a>(&'a self, node: &'a str, lease: Duration) -> Answer<'a, ()>;

    /// Says that a process ends: what it owned belongs to nobody.
    fn leave<'a>(&'a self, node: &'a str) -> Answer<'a, ()>;

    /// Takes over executions that are not at their end and whose owner is none, has left, or has not been heard of within its lease, oldest
    /// first. Paused ones stay where they are unless somebody wants something of them.
    fn claim<'a>(&'a self, node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>>;

    /// Forgets executions that ended before a time, with their journals and signals, and versions that nothing needs any more; at most `take`
    /// executions. How many.
    fn forget(&self, ended_before_ms: u64, take: u32) -> Answer<'_, u64>;
}
