//! Durable workflows: what they are, whether they make sense, and how they run so that a crash loses nothing.
//!
//! A [`definition`] is data: steps that call operations, branch, run beside each other, wait. [`records`] says what the store keeps.
//! The embedded executor writes an event before every effect and another after it; after a crash it walks the definition again,
//! takes every step that has its result from the journal, and goes on where the journal ends.
//!
//! Promise: a step is recorded exactly once, its effect happens at least once, and all attempts at it carry the same idempotency key.

#![forbid(unsafe_code)]

pub mod admission;
pub mod clock;
mod closest;
pub mod course;
pub mod definition;
pub mod embedded;
pub mod execution;
pub mod executor;
pub mod expression;
mod journal;
mod log;
mod memory;
pub mod records;
pub mod retry;
pub mod runner;
mod split;
pub mod validate;
mod walk;
mod wanted;
pub mod workflow;
mod world;

pub use clock::Clock;
pub use definition::{Definition, Step, StepType};
pub use embedded::{EmbeddedConfig, EmbeddedExecutor};
pub use execution::{Event, Execution, ExecutionStatus, Happened, NewSignal, Signal, Start, StepError};
pub use executor::{Executor, Started};
pub use expression::{Expression, ExpressionError, Scope};
pub use memory::MemoryWorkflowRecords;
pub use records::{Append, Change, Claimed, Created, ExecutionFilter, Fence, Mail, Part, Range, RecordsError, Wanted, WorkflowRecords};
pub use runner::{StepAnswer, StepCall, StepOperation, StepRunner};
pub use split::SplitExecutor;
pub use validate::{Known, Problem, Report};
pub use workflow::{Workflow, WorkflowStatus};
