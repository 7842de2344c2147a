//! What a walk over a definition needs of whoever runs it.

use breakwater_core::{BoxFuture, Failure, OperationEffect};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::execution::{Event, Execution, Signal, Start};
use crate::journal::JournalError;
use crate::records::Change;
use crate::runner::StepAnswer;

/// One attempt of a step, as the walk asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The operation: `service.action`, one of the host, or one of a plugin.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// The same for every attempt at this step of this execution, also after a crash; goes downstream.
    pub idempotency_key: String,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Counts from 1.
    pub number: u32,
}

/// A workflow that a step starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// What it is started with; its key names the step.
    pub start: Start,
    /// When the execution of the step was last retried by hand, in milliseconds since 1970: what ended before then begins anew.
    pub retried_at_ms: Option<u64>,
    /// How often that was.
    pub retries: u32,
}

/// Time, effects and messages, as an executor provides them.
///
/// The walk is the same everywhere. It decides only by what it is given here and by what the definition says, so that an executor which
/// answers the same way again sees the same walk again. A future that is dropped is not wanted any more.
pub(crate) trait World: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Waits until a time, in milliseconds since 1970.
    fn until(&self, at_ms: u64) -> BoxFuture<'_, ()>;

    /// Cancelled when this process begins nothing more, and another one will go on.
    fn stopping(&self) -> &CancellationToken;

    /// Waits until one more step may be at work. What it gives is held for as long as the step is. None when this process ends.
    fn slot(&self) -> BoxFuture<'_, Option<Slot>>;

    /// What an operation does to the world, which decides how often it is tried. Only asked about one that was called.
    fn effect(&self, operation: &str) -> OperationEffect;

    /// Makes an attempt.
    fn call(&self, attempt: Attempt) -> BoxFuture<'_, Result<StepAnswer, Failure>>;

    /// The signals that have come so far.
    fn signals(&self) -> BoxFuture<'_, Result<Vec<Signal>, JournalError>>;

    /// How many workflows have started each other above this one.
    fn depth(&self) -> BoxFuture<'_, Result<usize, Failure>>;

    /// Starts a workflow, or finds the one that was started for the same step, and gives its execution's id.
    fn begin_child(&self, child: Child) -> BoxFuture<'_, Result<String, Failure>>;

    /// Waits until a workflow that was started has ended.
    fn child_ended<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>>;

    /// Ends a workflow that was started, unless it has ended.
    fn cancel_child<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ()>;
}

/// The right to have a step at work.
pub(crate) type Slot = Box<dyn Send>;

/// Is told everything that happens in an execution whose journal somebody else keeps.
pub trait Observer: Send + Sync + 'static {
    /// What happened, and what became of the execution if that changed.
    fn observe(&self, events: &[Event], change: Option<&Change>);
}
