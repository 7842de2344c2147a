//! JSON Schemas that come from guests: compiled once, held against every value.

mod strict;

use breakwater_core::{Failure, FailureKind, OperationSpec};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::convert::truncated;
use crate::error::PluginError;

use strict::Weight;
pub use strict::{
    MAX_APPLIED, MAX_ENUM, MAX_NESTED, MAX_PATTERN, MAX_PATTERNS, MAX_REFERENCES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, SchemaViolation,
};

/// The most violations of a schema that are reported, and how long each may be.
const MAX_VIOLATIONS: usize = 16;
const MAX_VIOLATION: usize = 256;
/// The most frames that holding a value against a schema may take, where each round of its references takes some.
const MAX_FRAMES: usize = 2048;
/// The most work that is done to find every violation of a value, where references could make it endless.
const MAX_SEARCH: u64 = 1_000_000;

/// Compiles a schema without references to other documents, and with patterns that take linear time: it comes from a guest.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20);
    jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| truncated(error.to_string(), MAX_VIOLATION))
}

/// What about a value does not fit, each with the JSON Pointer of the place; empty when all of it fits.
pub(crate) fn violations(validator: &Validator, value: &Value) -> Vec<Value> {
    if validator.is_valid(value) { Vec::new() } else { listed(validator, value) }
}

fn listed(validator: &Validator, value: &Value) -> Vec<Value> {
    let violation = |error: jsonschema::ValidationError<'_>| {
        let message = truncated(error.to_string(), MAX_VIOLATION);
        serde_json::json!({ "pointer": error.instance_path().as_str(), "message": message })
    };
    validator.iter_errors(value).take(MAX_VIOLATIONS).map(violation).collect()
}

/// A failure that lists violations in its detail and the first of them in its message.
pub(crate) fn violated(kind: FailureKind, code: &'static str, what: &str, violations: Vec<Value>) -> Failure {
    let text = |key: &str| violations.first().and_then(|first| first.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (first, pointer) = (text("message"), text("pointer"));
    let place = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    Failure::new(kind, code, format!("{what}: {place}{first}")).with_detail(serde_json::json!({ "violations": violations }))
}

/// A schema that values are held against.
struct Compiled {
    validator: Validator,
    /// Of a schema that was inspected.
    weight: Option<Weight>,
}

impl Compiled {
    /// Whether a value fits is always found out soon, since what was found out about a part is kept; what about it does not, only where
    /// looking for it cannot take for ever.
    fn violations(&self, value: &Value) -> Vec<Value> {
        let whole = |message: &str| vec![serde_json::json!({ "pointer": "", "message": message })];
        let rounds = self.weight.filter(|weight| weight.is_recursive).map(|weight| (weight, depth(value)));
        if rounds.is_some_and(|(weight, depth)| weight.nested.saturating_mul(depth as usize) > MAX_FRAMES) {
            return whole("nests too deep for the schema");
        }
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let search = rounds.map_or(Some(1), |(weight, depth)| weight.applied.checked_pow(depth));
        if search.is_some_and(|search| search <= MAX_SEARCH) {
            return listed(&self.validator, value);
        }
        whole("does not fit the schema; it nests too deep to say where")
    }
}

/// How deep a value nests.
fn depth(value: &Value) -> u32 {
    let (mut deepest, mut open) = (0, vec![(value, 0)]);
    while let Some((value, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    deepest
}

/// Everything that is wrong with a schema (2020-12) that somebody wrote: keywords, references, patterns, and what could cost more than a
/// value is worth.
#[must_use]
pub fn schema_violations(schema: &Value) -> Vec<SchemaViolation> {
    strict::compile(schema).err().unwrap_or_default()
}

/// An operation with its schemas compiled.
pub struct OperationSchema {
    spec: OperationSpec,
    input: Compiled,
    output: Compiled,
}

impl OperationSchema {
    /// Compiles the schemas of an operation. They may not refer to other documents.
    ///
    /// # Errors
    /// [`PluginError::DescribeInvalid`] with what is wrong with which schema.
    pub fn compile(spec: OperationSpec) -> Result<Self, PluginError> {
        let compiled = |which: &str, schema: &Value| {
            let validator =
                compile(schema).map_err(|error| PluginError::DescribeInvalid(format!("the {which} schema of `{}`: {error}", spec.name)))?;
            Ok::<_, PluginError>(Compiled { validator, weight: None })
        };
        let (input, output) = (compiled("input", &spec.input_schema)?, compiled("output", &spec.output_schema)?);
        Ok(Self { spec, input, output })
    }

    /// Compiles schemas that somebody wrote for the host to keep, with formats checked.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place below `/input_schema` or `/output_schema`.
    pub fn compile_strictly(spec: OperationSpec) -> Result<Self, Vec<SchemaViolation>> {
        let mut wrong = Vec::new();
        let mut compiled = |place: &str, schema: &Value| match strict::compile(schema) {
            Ok((validator, weight)) => Some(Compiled { validator, weight: Some(weight) }),
            Err(violations) => {
                wrong.extend(violations.into_iter().map(|violation| violation.below(place)));
                None
            }
        };
        match (compiled("/input_schema", &spec.input_schema), compiled("/output_schema", &spec.output_schema)) {
            (Some(input), Some(output)) => Ok(Self { spec, input, output }),
            _ => Err(wrong),
        }
    }

    /// The operation.
    #[must_use]
    pub fn spec(&self) -> &OperationSpec {
        &self.spec
    }

    /// Whether the operation takes this input.
    ///
    /// # Errors
    /// `operation.input-invalid` (invalid request) with JSON Pointers under `violations` in the detail.
    pub fn check_input(&self, input: &Value) -> Result<(), Failure> {
        let violations = self.input.violations(input);
        if violations.is_empty() {
            return Ok(());
        }
        let what = format!("the input does not fit the operation `{}`", self.spec.name);
        Err(violated(FailureKind::InvalidRequest, "operation.input-invalid", &what, violations))
    }

    /// What about an answer does not fit, each with a JSON Pointer; empty when all of it fits.
    #[must_use]
    pub fn output_violations(&self, output: &Value) -> Vec<Value> {
        self.output.violations(output)
    }

    /// Whether a plugin may answer this.
    ///
    /// # Errors
    /// `plugin.output-invalid` (rejected) with JSON Pointers under `violations` in the detail.
    pub fn check_output(&self, output: &Value) -> Result<(), Failure> {
        let violations = self.output.violations(output);
        if violations.is_empty() {
            return Ok(());
        }
        let what = format!("the plugin's answer does not fit the operation `{}`", self.spec.name);
        Err(violated(FailureKind::Rejected, "plugin.output-invalid", &what, violations))
    }
}

impl std::fmt::Debug for OperationSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperationSchema").field("operation", &self.spec.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use breakwater_core::OperationEffect;
    use serde_json::json;

    use super::*;

    fn spec(input_schema: Value, output_schema: Value) -> OperationSpec {
        OperationSpec {
            name: "resume".to_owned(),
            summary: "Writes one.".to_owned(),
            input_schema,
            output_schema,
            effect: OperationEffect::Create,
            idempotent: false,
            permission: None,
        }
    }

    #[test]
    fn violations_are_named_by_pointer() {
        let input = json!({ "type": "object", "properties": { "jobs": { "items": { "type": "string" } } }, "required": ["name"] });
        let schema = OperationSchema::compile(spec(input, json!({ "type": "array" }))).unwrap();
        assert!(schema.check_input(&json!({ "name": "a", "jobs": [] })).is_ok());
        let failure = schema.check_input(&json!({ "jobs": ["a", 1] })).unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "operation.input-invalid"));
        let pointers: Vec<_> =
            failure.detail.as_ref().unwrap()["violations"].as_array().unwrap().iter().map(|v| v["pointer"].clone()).collect();
        assert!(pointers.contains(&json!("/jobs/1")) && pointers.contains(&json!("")), "{pointers:?}");
        let failure = schema.check_output(&json!({})).unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Rejected, "plugin.output-invalid"));
    }

    #[test]
    fn what_is_reported_is_bounded() {
        let schema = OperationSchema::compile(spec(json!({ "items": { "type": "string", "maxLength": 1 } }), json!({}))).unwrap();
        let many: Vec<_> = (0..100).map(|_| "x".repeat(10_000)).collect();
        let failure = schema.check_input(&json!(many)).unwrap_err();
        assert_eq!(failure.detail.as_ref().unwrap()["violations"].as_array().unwrap().len(), MAX_VIOLATIONS);
        assert!(failure.detail.unwrap().to_string().len() < 32 << 10);
    }

    #[test]
    fn a_schema_that_reaches_out_or_is_none_is_refused() {
        for wrong in [
            json!({ "$ref": "https://example.invalid/schema.json" }),
            json!({ "type": "nothing" }),
            json!({ "pattern": "(" }),
            json!({ "pattern": "(?=a)" }),
            json!(3),
        ] {
            assert!(OperationSchema::compile(spec(wrong.clone(), json!({}))).is_err(), "{wrong}");
            assert_eq!(OperationSchema::compile(spec(json!({}), wrong)).unwrap_err().code(), "plugin.describe-invalid");
        }
    }

    /// What a hostile schema may do is fail; a stack that overflows would end the process.
    #[test]
    fn a_schema_that_refers_to_itself_does_not_recurse_for_ever() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#" }] }),
            json!({ "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } }, "$ref": "#/$defs/a" }),
            json!({ "$dynamicAnchor": "x", "allOf": [{ "$dynamicRef": "#x" }] }),
        ] {
            if let Ok(schema) = OperationSchema::compile(spec(schema, json!({}))) {
                drop(schema.check_input(&json!({ "a": 1 })));
            }
        }
    }
}
