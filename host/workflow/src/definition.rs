//! What a workflow is: steps, how they follow each other, and what they pass on.
//!
//! A definition is data. Its document is what a caller wrote; unknown fields are refused, and everything else that can be wrong with it is
//! found by [`crate::validate`] before it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::retry::StepRetry;

/// The steps of a sequence in the order of the document. The first is the entry.
pub type Steps = Vec<Step>;

/// What a caller writes of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it is called by: unique among the workflows. Lower-case letters, digits, `-`, `_` and `.`, at most 128.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What is done. The first step is the entry.
    pub steps: Steps,
    /// JSON Schema (2020-12) of what an execution is started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// Expression for the result; the output of the last step when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How long an execution may take from its start, in milliseconds; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Anything else; stored and returned, never interpreted.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// What a step does. Written as `type`; may be left out for `action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepType {
    /// Calls `action` of `service`, or an `operation` of this host: one of its own, or one of a plugin.
    #[default]
    Action,
    /// Goes on at the first of `choices` whose condition holds, or at `next`. Passes its input on.
    Choice,
    /// Runs `branches` beside each other. Its output holds the output of each by name.
    Parallel,
    /// Runs `steps` for each of `items`. Its output is the list of their outputs, in the order of the items.
    Map,
    /// Waits until `signal` comes. Its output is what the signal brings.
    Signal,
    /// Waits for `wait_ms`, or until `until`. Passes its input on.
    Timer,
    /// Starts another workflow and waits for its result.
    Workflow,
}

impl StepType {
    /// Every type.
    pub const ALL: [Self; 7] = [Self::Action, Self::Choice, Self::Parallel, Self::Map, Self::Signal, Self::Timer, Self::Workflow];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Choice => "choice",
            Self::Parallel => "parallel",
            Self::Map => "map",
            Self::Signal => "signal",
            Self::Timer => "timer",
            Self::Workflow => "workflow",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Names it within the whole workflow. Letters, digits, `-` and `_`, at most 64.
    pub id: String,
    /// What it does.
    #[serde(default, rename = "type", skip_serializing_if = "is_action")]
    pub kind: StepType,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Of an action: the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of an action: what the service is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Of an action, instead of `service` and `action`: an operation of the host or of a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Expression for the input; what the step before put out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Expression; when it gives false, null or nothing, the step is passed over and its input is passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Which step follows; none ends the sequence.
    #[serde(default)]
    pub next: Option<String>,
    /// How often it is tried again; as its operation's effect says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<StepRetry>,
    /// How long one attempt, a wait for a signal or another workflow may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What is done instead of failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What undoes it when the execution fails or is cancelled later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Compensation>,
    /// Of a choice: conditions in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Of a parallel step: the branches by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, Steps>,
    /// Of a map: expression for the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Of a map: what is done with each item, which is the first step's input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Steps,
    /// Of a map: items at once, 1 to 256; 8 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Of a map: whether an item that fails leaves the others alone. Its place in the output is then `{"error": {code, message}}`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_error: bool,
    /// Of a signal: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Of a timer: how long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Of a timer: expression for when it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Of a workflow step: the name or id of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// How often one execution may come by here, when steps lead back to it; 1 to 10000, 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_visits: Option<u32>,
}

/// One way on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Expression. It holds unless it gives false, null, or something empty.
    pub when: String,
    /// Where to go on; null ends the sequence.
    #[serde(default)]
    pub next: Option<String>,
}

/// What is done when a step has failed for good: exactly one of the fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// This is its output. May be `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub output: Option<Value>,
    /// Goes on at this step, with `{error: {code, message}, input}` as its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What undoes a step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compensation {
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What it is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Instead: an operation of the host or of a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Expression for the input; `{input, output}` of the step when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

impl Step {
    /// The operation that an action calls: `service.action`, or the one that is named. None for other steps and for an action that names
    /// neither, which [`crate::validate`] refuses.
    #[must_use]
    pub fn called(&self) -> Option<String> {
        if self.kind != StepType::Action {
            return None;
        }
        operation_of(self.service.as_deref(), self.action.as_deref(), self.operation.as_deref())
    }
}

impl Compensation {
    /// The operation that it calls, as [`Step::called`].
    #[must_use]
    pub fn called(&self) -> Option<String> {
        operation_of(self.service.as_deref(), self.action.as_deref(), self.operation.as_deref())
    }
}

fn operation_of(service: Option<&str>, action: Option<&str>, operation: Option<&str>) -> Option<String> {
    match (service, action, operation) {
        (Some(service), Some(action), None) => Some(format!("{service}.{action}")),
        (None, None, Some(operation)) => Some(operation.to_owned()),
        _ => None,
    }
}

fn is_action(kind: &StepType) -> bool {
    *kind == StepType::Action
}

/// A `null` that is written is a value.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
