//! Whether a definition makes sense, found out before it is stored: every problem with the place it is at.
//!
//! [`read`] reads a document, [`validate`] looks at what it says. Both are bounded in time and depth, whatever they are given.

mod compatible;
mod connections;
mod expressions;
mod fields;
mod findings;
mod flow;
mod graph;
mod ids;
mod operations;
mod shape;
pub(crate) mod size;
mod visible;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::definition::Definition;
use crate::runner::StepOperation;
use findings::Findings;
pub use operations::started_workflows;
pub use shape::{Reading, parse, read};

/// Steps of a definition, those within others too.
pub const MAX_STEPS: usize = 1000;
/// How deep sequences may stand in each other; the outermost is the first.
pub const MAX_NESTING: usize = 8;
/// Branches of one step.
pub const MAX_BRANCHES: usize = 64;
/// Choices of one step.
pub const MAX_CHOICES: usize = 256;
/// The largest document, in bytes of JSON: 1 MiB.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// Problems of one kind, errors or warnings, that are listed.
pub const MAX_PROBLEMS: usize = 1000;
/// The longest of all times of a definition, in milliseconds: ten years.
pub const MAX_WAIT_MS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// Something that is wrong with a definition, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where in the document: a JSON Pointer; the empty one is the whole.
    pub pointer: String,
    /// What kind of problem. Stable.
    pub code: &'static str,
    /// What is wrong, and what may have been meant.
    pub message: String,
}

/// Problems that do not depend on anything else in the document.
const CERTAIN: [&str; 16] = [
    "action.unknown",
    "branch.name-invalid",
    "definition.name-invalid",
    "expression.invalid",
    "expression.unknown-name",
    "expression.unknown-step",
    "field.out-of-range",
    "next.unknown",
    "operation.unknown",
    "schema.invalid",
    "service.not-registered",
    "step.id-ambiguous",
    "step.id-doubled",
    "step.id-invalid",
    "subworkflow.cycle",
    "subworkflow.unknown",
];

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The definition cannot be stored with these.
    pub errors: Vec<Problem>,
    /// It can be stored with these, and perhaps not be executed.
    pub warnings: Vec<Problem>,
}

impl Report {
    /// Whether there are no errors.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// What is wrong with a document whose definition, as far as it is one, has this report: that it has not the shape of one, and of the
    /// report what is so whatever the misshapen parts were meant to be.
    #[must_use]
    pub fn besides(self, misshapen: Vec<Problem>) -> Self {
        if misshapen.is_empty() {
            return self;
        }
        let room = MAX_PROBLEMS.saturating_sub(misshapen.len());
        let certain = self.errors.into_iter().filter(|problem| CERTAIN.contains(&problem.code)).take(room);
        let mut errors: Vec<Problem> = certain.chain(misshapen).collect();
        errors.sort_by(|left, right| findings::order(&left.pointer, &right.pointer));
        Self { errors, warnings: Vec::new() }
    }
}

/// What the host knows when a definition is looked at.
pub trait Known {
    /// The operation of this name: `service.action`, one of the host, or one of a plugin.
    fn operation(&self, name: &str) -> Option<StepOperation>;

    /// The names of all operations, for what was probably meant.
    fn operations(&self) -> Vec<String>;

    /// Whether a service of this name is registered.
    fn has_service(&self, name: &str) -> bool;

    /// The latest definition of a workflow by its id or name. What [`started_workflows`] names, and what is named there in turn.
    fn workflow(&self, id: &str) -> Option<Arc<Definition>>;

    /// What is wrong with a JSON Schema (2020-12), if anything.
    fn schema_problem(&self, schema: &Value) -> Option<String>;
}

/// Looks at a definition. With `strict`, naming services, operations and workflows that are not there is an error; otherwise it is a
/// warning, since they may still come.
#[must_use]
pub fn validate(definition: &Definition, known: &dyn Known, strict: bool) -> Report {
    let mut findings = Findings::new(strict);
    if !size::is_bounded(definition, &mut findings) {
        // What follows is made for definitions of a bounded size.
        return findings.report();
    }
    fields::check(definition, known, &mut findings);
    ids::check(definition, &mut findings);
    flow::check(definition, &mut findings);
    expressions::check(definition, &mut findings);
    operations::check(definition, known, &mut findings);
    connections::check(definition, known, &mut findings);
    findings.report()
}

#[cfg(test)]
mod tests;
