//! Runs workflows: what every executor offers, whatever keeps its journal.

use std::time::Duration;

use breakwater_core::{BoxFuture, Failure};

use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Start};
use crate::records::{ExecutionFilter, Part, Range, Wanted};

type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Whether an execution was started now.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The execution.
    pub execution: Execution,
    /// Whether it was there already, under the same key and with the same input.
    pub existing: bool,
}

/// Runs workflows durably. A step is recorded exactly once; its effect happens at least once, with one idempotency key for all attempts.
///
/// Failures of every method: `workflow.store` (unavailable) when the records cannot be used, `execution.unknown` (not found) for an id that
/// is none.
pub trait Executor: Send + Sync + 'static {
    /// Accepts an execution: once this is answered, it survives a crash.
    ///
    /// Fails with `workflow.unknown` (not found), `workflow.inactive` (invalid request), `execution.key-reused` (invalid request): the key
    /// belongs to an execution with another input, `workflow.invalid` (invalid request): it names operations that there are not,
    /// `execution.input-invalid` (invalid request), `workflow.overloaded` (limit): too many executions are under way.
    fn start(&self, start: Start) -> Answer<'_, Started>;

    /// An execution.
    fn get<'a>(&'a self, id: &'a str) -> Answer<'a, Execution>;

    /// The executions that fit, the newest first.
    fn list<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>>;

    /// How many executions there are by status.
    fn counts(&self) -> Answer<'_, Vec<(ExecutionStatus, u64)>>;

    /// What happened in an execution after event `after`, in order.
    fn history<'a>(&'a self, id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>>;

    /// Waits until an execution has ended or `patience` is over, and says how it is then.
    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> Answer<'a, Execution>;

    /// The paths of the steps at which an execution is, as far as this process runs it.
    fn current_steps(&self, id: &str) -> Vec<String>;

    /// Waits until something happened in an execution after event `after`, it has ended, or `patience` is over; the number of its last event.
    fn changed<'a>(&'a self, id: &'a str, after: u64, patience: Duration) -> Answer<'a, u64>;

    /// Pauses, resumes, cancels or retries an execution, and says how it is then. What it is already is no failure.
    ///
    /// Fails with `execution.state` (invalid request) when that cannot be done to one in its state.
    fn command<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, Execution>;

    /// Sends a signal. One that comes before anybody waits for it is kept. One whose key has come already is taken to be that one, also
    /// when the execution has ended since.
    ///
    /// Fails with `execution.state` (invalid request) when the execution has ended, `execution.key-reused` (invalid request) when what came
    /// under its key was another signal.
    fn signal<'a>(&'a self, id: &'a str, signal: NewSignal) -> Answer<'a, ()>;
}
