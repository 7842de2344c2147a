//! Whether a definition makes sense, found out before it is stored: every problem with the place it is at.
//!
//! [`parse`] reads a document, [`validate`] looks at what it says. Both are bounded in time and depth, whatever they are given.

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
mod size;
mod visible;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::definition::Definition;
use crate::runner::StepOperation;
use findings::Findings;
pub use operations::started_workflows;
pub use shape::parse;

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
}

/// What the host knows when a definition is looked at.
pub trait Known {
    /// The operation of this name: `service.action`, one of the host, or one of a plugin.
    fn operation(&self, name: &str) -> Option<StepOperation>;

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
