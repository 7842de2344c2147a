//! Schemas that somebody wrote for the host to keep: everything that is wrong with one is told at once, and what could cost more than a
//! value is worth is refused before it is compiled.

mod nodes;
mod references;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

use crate::convert::truncated;
use nodes::Nodes;
pub(super) use references::Weight;

/// The largest schema, as JSON, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// How deep a schema may nest.
pub const MAX_SCHEMA_DEPTH: usize = 64;
/// The most values of an `enum`.
pub const MAX_ENUM: usize = 1000;
/// The most patterns of a schema.
pub const MAX_PATTERNS: usize = 64;
/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 1024;
/// The most `$ref`s that may be followed one after another.
pub const MAX_REFERENCES: usize = 32;
/// The most subschemas that stand one inside of another, references followed.
pub const MAX_NESTED: usize = 128;
/// The most subschemas that are held against a value and the parts that lead to one of its leaves.
pub const MAX_APPLIED: u64 = 10_000;

/// What a compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1 << 19;
/// The most violations of one kind that are told, and how long each may be.
const MAX_VIOLATIONS: usize = 16;
const MAX_VIOLATION: usize = 256;

/// The dialect that is spoken.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What is wrong at one place of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaViolation {
    /// A JSON Pointer into the schema.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl SchemaViolation {
    fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: truncated(message.into(), MAX_VIOLATION) }
    }

    /// The same, in a schema that stands at `place` of something larger.
    #[must_use]
    pub fn below(self, place: &str) -> Self {
        Self { pointer: format!("{place}{}", self.pointer), ..self }
    }
}

/// Compiles a schema with its formats checked.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn compile(schema: &Value) -> Result<(Validator, Weight), Vec<SchemaViolation>> {
    let weight = inspected(schema)?;
    let built = options().should_validate_formats(true).build(schema);
    let validator = built.map_err(|error| vec![SchemaViolation::new(error.instance_path().as_str(), error.to_string())])?;
    Ok((validator, weight))
}

fn options() -> jsonschema::ValidationOptions<'static> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE);
    jsonschema::options().offline().with_draft(jsonschema::Draft::Draft202012).with_pattern_options(patterns)
}

/// What holding values against the schema costs.
fn inspected(schema: &Value) -> Result<Weight, Vec<SchemaViolation>> {
    // What is too large or too deep is not walked through.
    let mut found = Vec::new();
    if serde_json::to_vec(schema).map_or(usize::MAX, |text| text.len()) > MAX_SCHEMA_BYTES {
        found.push(SchemaViolation::new("", format!("has at most {MAX_SCHEMA_BYTES} bytes of JSON")));
    }
    if let Some(pointer) = nodes::too_deep(schema, MAX_SCHEMA_DEPTH) {
        found.push(SchemaViolation::new(pointer, format!("nests deeper than {MAX_SCHEMA_DEPTH} levels")));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let meta = jsonschema::draft202012::meta::validator();
    let errors = meta.iter_errors(schema).take(MAX_VIOLATIONS);
    found.extend(errors.map(|error| SchemaViolation::new(error.instance_path().as_str(), error.to_string())));
    let nodes = Nodes::of(schema);
    found.extend(keywords(&nodes));
    found.extend(patterns(&nodes));
    let (weight, wrong) = references::weigh(&nodes);
    found.extend(wrong.into_iter().take(MAX_VIOLATIONS));
    // A value of a wrong type is told once, however many vocabularies it is wrong for.
    let mut told = Vec::new();
    for violation in found {
        if !told.contains(&violation) {
            told.push(violation);
        }
    }
    if told.is_empty() { Ok(weight) } else { Err(told) }
}

/// Keywords that reach out of the schema, or whose values are too many.
fn keywords(nodes: &Nodes<'_>) -> Vec<SchemaViolation> {
    let mut found = Vec::new();
    for (pointer, node) in nodes.all() {
        let mut refuse = |keyword: &str, message: String| found.push(SchemaViolation::new(format!("{pointer}/{keyword}"), message));
        if node.get("enum").and_then(Value::as_array).is_some_and(|values| values.len() > MAX_ENUM) {
            refuse("enum", format!("has at most {MAX_ENUM} values"));
        }
        if node.get("$schema").is_some_and(|dialect| dialect.as_str().map(|text| text.trim_end_matches('#')) != Some(DIALECT)) {
            refuse("$schema", format!("is {DIALECT}, the only dialect that is spoken"));
        }
        if !pointer.is_empty() && node.get("$id").is_some() {
            refuse("$id", "stands at the root of a schema only".to_owned());
        }
        for keyword in ["$dynamicRef", "$recursiveRef"] {
            if node.get(keyword).is_some() {
                refuse(keyword, "is not followed; use `$ref`".to_owned());
            }
        }
    }
    found.truncate(MAX_VIOLATIONS);
    found
}

/// Patterns that are too many, too long, or none that take linear time.
fn patterns(nodes: &Nodes<'_>) -> Vec<SchemaViolation> {
    let mut patterns: Vec<(String, &str)> = Vec::new();
    for (pointer, node) in nodes.all() {
        patterns.extend(node.get("pattern").and_then(Value::as_str).map(|pattern| (format!("{pointer}/pattern"), pattern)));
        let of_names = node.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        patterns
            .extend(of_names.map(|(pattern, _)| (format!("{pointer}/patternProperties/{}", nodes::escaped(pattern)), pattern.as_str())));
    }
    if patterns.len() > MAX_PATTERNS {
        return vec![SchemaViolation::new("", format!("has at most {MAX_PATTERNS} patterns"))];
    }
    let wrong = patterns.into_iter().filter_map(|(pointer, pattern)| {
        if pattern.len() > MAX_PATTERN {
            return Some(SchemaViolation::new(pointer, format!("has at most {MAX_PATTERN} bytes")));
        }
        let built = options().build(&json!({ "pattern": pattern }));
        built.err().map(|_| SchemaViolation::new(pointer, "is no regular expression of this service, or one that is too large"))
    });
    wrong.take(MAX_VIOLATIONS).collect()
}

#[cfg(test)]
mod tests;
