//! Actions with their schemas compiled, once for each version of a service.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Digest, OperationSpec};
use breakwater_plugins::OperationSchema;
use breakwater_upstream::{ActionCompiler, ActionDefinition, CompiledActions, DefinitionViolation, ServiceDefinition, ServiceEntry};
use serde_json::{Value, json};

use super::{DEFAULT_TIMEOUT, operation_name};

/// The most patterns of all schemas of a service together: each may take a while to compile.
const MAX_PATTERNS: usize = 256;

/// Compiles the schemas of services.
#[derive(Debug, Clone, Copy, Default)]
pub struct SchemaCompiler;

/// One action, compiled.
struct Compiled {
    schema: Arc<OperationSchema>,
    /// Of both schemas.
    digest: Digest,
}

impl ActionCompiler for SchemaCompiler {
    fn compile(&self, definition: &ServiceDefinition) -> Result<CompiledActions, Vec<DefinitionViolation>> {
        let schemas = definition.actions.iter().flat_map(|action| [&action.input_schema, &action.output_schema]).flatten();
        if schemas.map(patterns).sum::<usize>() > MAX_PATTERNS {
            let message = format!("have at most {MAX_PATTERNS} patterns in their schemas together");
            return Err(vec![DefinitionViolation { pointer: "/actions".to_owned(), message }]);
        }
        let (mut compiled, mut wrong) = (Vec::new(), Vec::new());
        for (index, action) in definition.actions.iter().enumerate() {
            let spec = spec(definition, action);
            let digest = digest(&spec);
            match OperationSchema::compile_strictly(spec) {
                Ok(schema) => compiled.push(Compiled { schema: Arc::new(schema), digest }),
                Err(violations) => wrong.extend(violations.into_iter().map(|violation| {
                    let violation = violation.below(&format!("/actions/{index}"));
                    DefinitionViolation { pointer: violation.pointer, message: violation.message }
                })),
            }
        }
        if wrong.is_empty() { Ok(Arc::new(compiled)) } else { Err(wrong) }
    }
}

/// How many patterns a schema has, counted generously. Needs no stack.
fn patterns(schema: &Value) -> usize {
    let (mut count, mut open) = (0, vec![schema]);
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                count += usize::from(fields.get("pattern").is_some_and(Value::is_string));
                count += fields.get("patternProperties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    count
}

fn spec(service: &ServiceDefinition, action: &ActionDefinition) -> OperationSpec {
    let anything = || json!({});
    let described = [&action.description, &service.description].into_iter().find(|text| !text.is_empty());
    OperationSpec {
        name: operation_name(&service.name, &action.name),
        summary: described.cloned().unwrap_or_else(|| format!("The action `{}` of the service `{}`.", action.name, service.name)),
        input_schema: action.input_schema.clone().unwrap_or_else(anything),
        output_schema: action.output_schema.clone().unwrap_or_else(anything),
        effect: action.effect,
        idempotent: action.idempotent,
        permission: None,
    }
}

/// Names the schemas of an operation: what is kept under another digest cannot be read.
pub(crate) fn digest(spec: &OperationSpec) -> Digest {
    Digest::of(format!("{} {}", spec.input_schema, spec.output_schema).as_bytes())
}

/// An action of a version of a service.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    entry: Arc<ServiceEntry>,
    index: usize,
    pub(crate) schema: Arc<OperationSchema>,
    pub(crate) schema_digest: Digest,
}

impl Action {
    pub(crate) fn service(&self) -> &ServiceDefinition {
        &self.entry.definition
    }

    pub(crate) fn definition(&self) -> Option<&ActionDefinition> {
        self.entry.definition.actions.get(self.index)
    }

    /// The longest it may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.definition().and_then(|action| action.timeout_ms).map_or(DEFAULT_TIMEOUT, Duration::from_millis)
    }

    /// Changes with whatever could answer differently.
    pub(crate) fn revision(&self) -> String {
        format!("service {} {}", self.entry.definition.id, self.entry.definition.version)
    }
}

/// Every action of a service; none of one that another release stored and this one cannot use.
pub(crate) fn actions(entry: &Arc<ServiceEntry>) -> impl Iterator<Item = Action> {
    let compiled = entry.compiled.as_ref().and_then(|compiled| compiled.downcast_ref::<Vec<Compiled>>());
    compiled.into_iter().flatten().enumerate().map(|(index, compiled)| Action {
        entry: Arc::clone(entry),
        index,
        schema: Arc::clone(&compiled.schema),
        schema_digest: compiled.digest,
    })
}

#[cfg(test)]
mod tests {
    use breakwater_upstream::{ServiceDraft, ServiceStatus};

    use super::*;

    pub(crate) fn definition(actions: Value) -> ServiceDefinition {
        let draft: ServiceDraft = serde_json::from_value(json!({ "name": "text", "endpoint": "http://a", "actions": actions })).unwrap();
        ServiceDefinition {
            id: "1".to_owned(),
            name: draft.name,
            description: draft.description,
            endpoint: draft.endpoint,
            actions: draft.actions,
            metadata: draft.metadata,
            status: ServiceStatus::Active,
            version: 1,
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[test]
    fn every_wrong_schema_is_named_by_its_place_in_the_definition() {
        let wrong = definition(json!([
            { "name": "a", "input_schema": { "properties": { "x": { "type": "strnig" } } }, "output_schema": { "pattern": "(" } },
            { "name": "b", "output_schema": { "$ref": "#/nowhere" } },
        ]));
        let found = SchemaCompiler.compile(&wrong).err().unwrap();
        let pointers: Vec<_> = found.iter().map(|violation| violation.pointer.as_str()).collect();
        for pointer in ["/actions/0/input_schema/properties/x/type", "/actions/0/output_schema/pattern", "/actions/1/output_schema/$ref"] {
            assert!(pointers.contains(&pointer), "{pointer} in {pointers:?}");
        }
    }

    #[test]
    fn patterns_are_counted_over_all_actions() {
        let action =
            |index: usize| json!({ "name": format!("a{index}"), "input_schema": { "allOf": vec![json!({ "pattern": "a" }); 32] } });
        let of = |count: usize| definition((0..count).map(action).collect());
        assert!(SchemaCompiler.compile(&of(8)).is_ok());
        assert_eq!(SchemaCompiler.compile(&of(9)).err().unwrap()[0].pointer, "/actions");
    }

    #[test]
    fn an_action_takes_its_name_its_time_and_what_it_does_from_its_definition() {
        let definition =
            definition(json!([{ "name": "extract", "effect": "read", "timeout_ms": 1500 }, { "name": "b", "description": "B." }]));
        let compiled = SchemaCompiler.compile(&definition).ok();
        let found: Vec<Action> = actions(&Arc::new(ServiceEntry { definition, compiled })).collect();
        let spec = found[0].schema.spec();
        assert_eq!((spec.name.as_str(), spec.effect), ("text.extract", breakwater_core::OperationEffect::Read));
        assert_eq!(spec.summary, "The action `extract` of the service `text`.");
        assert_eq!((found[0].timeout(), found[1].timeout()), (Duration::from_millis(1500), DEFAULT_TIMEOUT));
        assert_eq!((found[1].schema.spec().summary.as_str(), &found[1].schema.spec().input_schema), ("B.", &json!({})));
    }
}
