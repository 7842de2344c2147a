//! What a step asks of the host.

use std::collections::BTreeMap;
use std::time::Duration;

use breakwater_core::{BoxFuture, CallSnapshot, Failure, OperationEffect};
use serde_json::Value;

/// An operation as a step sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOperation {
    /// JSON Schema (2020-12) of its input.
    pub input_schema: Value,
    /// JSON Schema (2020-12) of its output.
    pub output_schema: Value,
    /// What it does to the world; decides how often a step is tried again.
    pub effect: OperationEffect,
    /// Whether it may be done twice without harm.
    pub idempotent: bool,
}

/// One attempt of a step.
#[derive(Debug, Clone)]
pub struct StepCall<'a> {
    /// The operation: `service.action`, one of the host, or one of a plugin.
    pub operation: &'a str,
    /// Its input.
    pub input: Value,
    /// What the caller of the execution attached.
    pub context: &'a BTreeMap<String, Value>,
    /// The same for every attempt at this step of this execution, also after a crash; goes downstream.
    pub idempotency_key: &'a str,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Counts from 1, without those that ended with a process. Attempts after the first draw on the retry budget of whatever they go to.
    pub attempt: u32,
    /// What the host looked like when this process took the execution up: every step sees the same generations of plugins.
    pub snapshot: &'a CallSnapshot,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepAnswer {
    /// Its output.
    pub output: Value,
    /// Who gave it.
    pub served_by: Option<String>,
    /// Whether it is degraded.
    pub degraded: bool,
}

/// Calls operations for steps. Implemented above, so that nothing here knows operations.
pub trait StepRunner: Send + Sync + 'static {
    /// The operation of this name, if there is one now.
    fn operation(&self, name: &str) -> Option<StepOperation>;

    /// Whether a service of this name is registered: what is not may still come.
    fn has_service(&self, name: &str) -> bool;

    /// Whether a value fits a JSON Schema (2020-12).
    ///
    /// # Errors
    /// A failure whose detail lists `violations` with JSON Pointers, or one that says that the schema is none.
    fn fits(&self, schema: &Value, value: &Value) -> Result<(), Failure>;

    /// What the host looks like now.
    fn snapshot(&self) -> CallSnapshot;

    /// Makes one attempt.
    fn call<'a>(&'a self, call: StepCall<'a>) -> BoxFuture<'a, Result<StepAnswer, Failure>>;
}
