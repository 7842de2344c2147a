//! How large a definition is, and a walk over its sequences that goes no deeper than it may be.

use super::findings::{Findings, escaped};
use super::{MAX_BRANCHES, MAX_CHOICES, MAX_NESTING, MAX_STEPS};
use crate::definition::{Definition, Step};

/// Steps that follow each other, and where they stand.
pub(crate) struct Sequence<'a> {
    pub(crate) steps: &'a [Step],
    /// Of the list.
    pub(super) pointer: String,
    /// Of the step that they are within, if they are within one.
    pub(super) within: Option<(usize, usize)>,
    /// Whether they are within a map, however deep.
    pub(super) in_map: bool,
    /// Counts from 1.
    pub(super) depth: usize,
}

impl Sequence<'_> {
    /// Where one of its steps stands.
    pub(crate) fn at(&self, step: usize) -> String {
        format!("{}/{step}", self.pointer)
    }
}

/// Every sequence, those around others before those within. `within` of one is the place of another in this list, and of a step in that.
pub(crate) fn sequences(definition: &Definition) -> Vec<Sequence<'_>> {
    let outermost = Sequence { steps: &definition.steps, pointer: "/steps".to_owned(), within: None, in_map: false, depth: 1 };
    let mut found = vec![outermost];
    let mut next = 0;
    while let Some(sequence) = found.get(next) {
        let mut inner = Vec::new();
        for (place, step) in sequence.steps.iter().enumerate() {
            let (at, depth, within) = (sequence.at(place), sequence.depth + 1, Some((next, place)));
            if !step.steps.is_empty() {
                inner.push(Sequence { steps: &step.steps, pointer: format!("{at}/steps"), within, in_map: true, depth });
            }
            for (name, steps) in &step.branches {
                let pointer = format!("{at}/branches/{}", escaped(name));
                inner.push(Sequence { steps, pointer, within, in_map: sequence.in_map, depth });
            }
        }
        // What is too deep is found by its own depth and not gone into.
        if sequence.depth <= MAX_NESTING {
            found.extend(inner);
        }
        next += 1;
    }
    found
}

/// Whether everything that takes longer with the size of a definition may look at this one.
pub(super) fn is_bounded(definition: &Definition, findings: &mut Findings) -> bool {
    let mut bounded = true;
    let mut steps = 0;
    for sequence in sequences(definition) {
        steps += sequence.steps.len();
        if sequence.depth > MAX_NESTING {
            findings.error(&sequence.pointer, "definition.too-deep", format!("steps may stand in each other {MAX_NESTING} deep"));
            bounded = false;
        }
        for (place, step) in sequence.steps.iter().enumerate() {
            if step.branches.len() > MAX_BRANCHES {
                let message = format!("a step has at most {MAX_BRANCHES} branches; this one has {}", step.branches.len());
                findings.error(format!("{}/branches", sequence.at(place)), "definition.too-large", message);
                bounded = false;
            }
            if step.choices.len() > MAX_CHOICES {
                let message = format!("a step has at most {MAX_CHOICES} choices; this one has {}", step.choices.len());
                findings.error(format!("{}/choices", sequence.at(place)), "definition.too-large", message);
                bounded = false;
            }
        }
    }
    if steps > MAX_STEPS {
        let message = format!("a workflow has at most {MAX_STEPS} steps, those within others too; this one has {steps}");
        findings.error("/steps", "definition.too-large", message);
        bounded = false;
    }
    bounded
}
