//! A definition made ready to be walked: every expression parsed once.

use std::collections::HashMap;

use breakwater_core::Failure;
use serde_json::Value;

use crate::definition::{Definition, Step};
use crate::execution::StepError;
use crate::expression::{Expression, Scope};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: Definition,
    expressions: HashMap<String, Expression>,
}

impl Plan {
    /// # Errors
    /// `workflow.invalid` (invalid request): an expression cannot be read, which is found out before a definition is stored.
    pub(crate) fn of(definition: Definition) -> Result<Self, Failure> {
        let mut expressions = HashMap::new();
        let mut texts: Vec<String> = definition.output.iter().cloned().collect();
        for_each(&definition.steps, &mut |step| {
            texts.extend([&step.input, &step.when, &step.items, &step.until].into_iter().flatten().cloned());
            texts.extend(step.choices.iter().map(|choice| choice.when.clone()));
            texts.extend(step.compensate.iter().filter_map(|compensation| compensation.input.clone()));
        });
        for text in texts {
            let parsed = Expression::parse(&text);
            let parsed = parsed.map_err(|error| Failure::invalid("workflow.invalid", format!("the expression `{text}`: {error}")))?;
            expressions.insert(text, parsed);
        }
        Ok(Self { definition, expressions })
    }

    /// What an expression of the definition gives.
    pub(crate) fn value(&self, text: &str, scope: &Scope) -> Result<Value, StepError> {
        self.expression(text)?.evaluate(scope).map_err(|error| wrong(text, &error.to_string()))
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, text: &str, scope: &Scope) -> Result<bool, StepError> {
        self.expression(text)?.holds(scope).map_err(|error| wrong(text, &error.to_string()))
    }

    fn expression(&self, text: &str) -> Result<&Expression, StepError> {
        self.expressions.get(text).ok_or_else(|| wrong(text, "it was not read with the definition"))
    }
}

fn wrong(text: &str, why: &str) -> StepError {
    StepError::of(&Failure::invalid("workflow.expression", format!("the expression `{text}`: {why}")))
}

/// Every step of a definition, also those within others.
pub(crate) fn for_each(steps: &[Step], work: &mut impl FnMut(&Step)) {
    let mut waiting: Vec<&Step> = steps.iter().collect();
    while let Some(step) = waiting.pop() {
        work(step);
        waiting.extend(&step.steps);
        waiting.extend(step.branches.values().flatten());
    }
}
