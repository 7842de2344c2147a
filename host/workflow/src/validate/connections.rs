//! Whether what a step puts out can be what the next one takes.

use std::sync::Arc;

use serde_json::Value;

use super::Known;
use super::compatible::{Fit, misfits};
use super::findings::{Findings, shown};
use super::graph::Graph;
use super::size::{Sequence, sequences};
use crate::definition::{Definition, Step, StepType};

/// Where the input of a step comes from, and its schema.
struct Source {
    schema: Arc<Value>,
    /// As a message says it.
    name: String,
}

pub(super) fn check(definition: &Definition, known: &dyn Known, findings: &mut Findings) {
    let sequences = sequences(definition);
    let graphs: Vec<Graph> = sequences.iter().map(|sequence| Graph::of(sequence.steps)).collect();
    let schemas = Schemas { definition, known, sequences: &sequences, graphs: &graphs };
    for (number, sequence) in sequences.iter().enumerate() {
        for (place, step) in sequence.steps.iter().enumerate() {
            if findings.is_full() {
                return;
            }
            let Some(wanted) = schemas.input(step).filter(|_| step.input.is_none()) else { continue };
            let Some(source) = schemas.source(number, place) else { continue };
            for misfit in misfits(&source.schema, &wanted) {
                let message = format!("`{}` gets {}: {}", shown(&step.id), source.name, misfit.message);
                match misfit.fit {
                    Fit::Never => findings.error(sequence.at(place), "schema.incompatible", message),
                    Fit::Perhaps => findings.warning(sequence.at(place), "schema.not-promised", message),
                }
            }
        }
    }
}

struct Schemas<'a> {
    definition: &'a Definition,
    known: &'a dyn Known,
    sequences: &'a [Sequence<'a>],
    graphs: &'a [Graph],
}

impl Schemas<'_> {
    /// What a step takes, if that is known.
    fn input(&self, step: &Step) -> Option<Arc<Value>> {
        match step.kind {
            StepType::Action => Some(Arc::new(self.known.operation(&step.called()?)?.input_schema)),
            StepType::Workflow => self.known.workflow(step.workflow.as_deref()?)?.input_schema.clone().map(Arc::new),
            _ => None,
        }
    }

    /// What a step gets that has no expression for it, if it comes from one place whose schema is known.
    fn source(&self, mut sequence: usize, mut place: usize) -> Option<Source> {
        // Each turn goes back by a step, and no step is met twice unless there is a loop of steps that pass their input on.
        for _ in 0..=super::MAX_STEPS {
            let before = self.graphs.get(sequence)?.before(place);
            let (before, around) = match (before.as_slice(), place) {
                ([], 0) => (None, self.sequences.get(sequence)?.within),
                // What a fallback leads to gets an error and the input.
                ([(before, false)], 1..) => (Some((sequence, *before)), None),
                _ => return None,
            };
            let Some((at, step)) = before.or(around) else {
                let schema = self.definition.input_schema.clone()?;
                return Some(Source { schema: Arc::new(schema), name: "the input of the workflow".to_owned() });
            };
            let giving = self.sequences.get(at)?.steps.get(step)?;
            match (before.is_some(), giving.kind) {
                (true, StepType::Action) if giving.when.is_none() => {
                    let schema = self.known.operation(&giving.called()?)?.output_schema;
                    return Some(Source { schema: Arc::new(schema), name: format!("the output of `{}`", shown(&giving.id)) });
                }
                // They pass on what they get, whether or not they are passed over; a branch begins with what its step gets.
                (true, StepType::Choice | StepType::Timer) | (false, StepType::Parallel) if giving.input.is_none() => {
                    (sequence, place) = (at, step);
                }
                _ => return None,
            }
        }
        None
    }
}
