//! Parameters of strategies, held against the strategies' own schemas before a batch begins: what is wrong with them is wrong with every image.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use breakwater_core::{Failure, OperationEffect, OperationSpec, Strategy};
use breakwater_plugins::OperationSchema;
use serde_json::Value;

use super::ProcessingOptions;
use super::violations::Violations;
use crate::invoke::HostSnapshot;
use crate::operation::CROP_IMAGE;
use crate::operations::Operations;
use crate::plan::{DEFAULT_STRATEGY, checked_parameters};

/// Where parameters stand among the options.
const PLACE: &str = "/strategy_parameters";

/// The strategies that there are now. The schema of each that is named is compiled once.
pub(super) struct Strategies {
    snapshot: Arc<HostSnapshot>,
    /// Whether nobody but the host's own code would be asked: what a service elsewhere takes is known there only.
    is_answered_here: bool,
    compiled: HashMap<String, OperationSchema>,
}

impl Strategies {
    pub(super) fn of(operations: &Operations) -> Result<Self, Failure> {
        let snapshot = operations.current();
        let is_answered_here = operations.is_answered_here(snapshot.table.get(CROP_IMAGE.name)?);
        Ok(Self { snapshot, is_answered_here, compiled: HashMap::new() })
    }

    /// What of the parameters does not fit the strategy, with places below the options. Nothing is known of a strategy that is not there.
    pub(super) fn violations(&mut self, options: &ProcessingOptions) -> Result<Violations, Failure> {
        let name = options.strategy.as_deref().unwrap_or(DEFAULT_STRATEGY);
        let Some((strategy, _)) = self.snapshot.plugins.strategy(name).filter(|_| self.is_answered_here) else {
            return Ok(Violations::default());
        };
        let parameters = checked_parameters(options.parameters.clone())?;
        let schema = match self.compiled.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(compiled(strategy)?),
        };
        Ok(against(schema, &parameters))
    }
}

fn compiled(strategy: &Strategy) -> Result<OperationSchema, Failure> {
    let spec = OperationSpec {
        name: strategy.name.clone(),
        summary: strategy.summary.clone(),
        input_schema: strategy.parameters.clone(),
        output_schema: Value::Bool(true),
        effect: OperationEffect::Read,
        idempotent: true,
        permission: None,
    };
    // Its plugin could not have been deployed with a schema that is none.
    OperationSchema::compile(spec).map_err(|error| Failure::internal(format!("the schema of a strategy cannot be compiled: {error}")))
}

fn against(schema: &OperationSchema, parameters: &Value) -> Violations {
    let mut wrong = Violations::default();
    if let Err(failure) = schema.check_input(parameters) {
        wrong.put_below(PLACE, Violations::of(&failure));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_that_do_not_fit_are_told_by_their_places_among_the_options() {
        let parameters = json!({
            "type": "object",
            "properties": { "x": { "type": "number", "maximum": 1 } },
            "additionalProperties": false
        });
        let strategy = Strategy { name: "center".into(), summary: "A strategy.".into(), parameters, needs: Vec::new() };
        let schema = compiled(&strategy).unwrap();
        assert!(against(&schema, &json!({ "x": 0.5 })).is_empty() && against(&schema, &json!({})).is_empty());
        let failure = against(&schema, &json!({ "x": 7, "q": 1 })).into_failure("c", |first| first.pointer.clone());
        let detail = failure.detail.unwrap();
        let mut pointers: Vec<_> = detail["violations"].as_array().unwrap().iter().map(|one| one["pointer"].clone()).collect();
        pointers.sort_by_key(Value::to_string);
        assert_eq!(pointers, ["/strategy_parameters", "/strategy_parameters/x"]);
    }
}
