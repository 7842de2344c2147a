//! What an adapter says of itself, checked once.

use std::collections::BTreeSet;

use breakwater_core::{OperationEffect, OperationSpec};
use serde_json::Value;

use crate::bindings::exports::breakwater::plugin::adapter;
use crate::error::PluginError;
use crate::schema::OperationSchema;

/// The most operations of one plugin.
const MAX_OPERATIONS: usize = 64;
/// The longest name of an operation, level or permission, summary and schema, in bytes.
pub(crate) const MAX_NAME: usize = 64;
const MAX_PERMISSION: usize = 128;
const MAX_SUMMARY: usize = 256;
const MAX_SCHEMA: usize = 64 << 10;

/// Turns what `describe` returned into operations, or says what is wrong with it.
pub(crate) fn operations(described: Vec<adapter::Operation>) -> Result<Vec<OperationSchema>, PluginError> {
    let wrong = |what: String| Err(PluginError::DescribeInvalid(what));
    if described.is_empty() || described.len() > MAX_OPERATIONS {
        return wrong(format!("an adapter offers 1 to {MAX_OPERATIONS} operations, not {}", described.len()));
    }
    let mut names = BTreeSet::new();
    let mut operations = Vec::with_capacity(described.len());
    for operation in described {
        let shown: String = operation.name.escape_debug().take(MAX_NAME).collect();
        if !is_kebab(&operation.name) {
            return wrong(format!("`{shown}` is no name: 1 to {MAX_NAME} lower-case letters and digits in words joined by `-`"));
        }
        if !names.insert(operation.name.clone()) {
            return wrong(format!("`{shown}` is offered twice"));
        }
        if operation.summary.trim().is_empty() || operation.summary.len() > MAX_SUMMARY {
            return wrong(format!("the summary of `{shown}` is 1 to {MAX_SUMMARY} bytes"));
        }
        if operation.permission.as_deref().is_some_and(|permission| !is_permission(permission)) {
            return wrong(format!("the permission of `{shown}` is 1 to {MAX_PERMISSION} letters, digits and `:.-_`"));
        }
        operations.push(OperationSchema::compile(OperationSpec {
            input_schema: schema(&shown, "input", &operation.input_schema)?,
            output_schema: schema(&shown, "output", &operation.output_schema)?,
            effect: effect(operation.effect),
            name: operation.name,
            summary: operation.summary,
            idempotent: operation.idempotent,
            permission: operation.permission,
        })?);
    }
    Ok(operations)
}

fn schema(operation: &str, which: &str, text: &str) -> Result<Value, PluginError> {
    let wrong = |what: String| PluginError::DescribeInvalid(format!("the {which} schema of `{operation}` {what}"));
    if text.len() > MAX_SCHEMA {
        return Err(wrong(format!("has at most {MAX_SCHEMA} bytes")));
    }
    serde_json::from_str(text).map_err(|error| wrong(format!("is not JSON: {error}")))
}

fn effect(effect: adapter::Effect) -> OperationEffect {
    match effect {
        adapter::Effect::Read => OperationEffect::Read,
        adapter::Effect::Create => OperationEffect::Create,
        adapter::Effect::Update => OperationEffect::Update,
        adapter::Effect::Delete => OperationEffect::Delete,
    }
}

/// Lower-case words joined by `-`, starting with a letter.
pub(crate) fn is_kebab(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let starts_with_letter = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    name.len() <= MAX_NAME && starts_with_letter && name.split('-').all(word)
}

fn is_permission(permission: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_');
    (1..=MAX_PERMISSION).contains(&permission.len()) && permission.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, input_schema: &str) -> adapter::Operation {
        adapter::Operation {
            name: name.into(),
            summary: "An operation.".into(),
            input_schema: input_schema.into(),
            output_schema: "{}".into(),
            effect: adapter::Effect::Update,
            idempotent: true,
            permission: Some("operation:a".into()),
        }
    }

    #[test]
    fn a_description_becomes_operations() {
        let operations = operations(vec![described("a-b", r#"{"type":"object"}"#)]).unwrap();
        let spec = operations.first().unwrap().spec();
        assert_eq!((spec.name.as_str(), spec.effect, spec.idempotent), ("a-b", OperationEffect::Update, true));
        assert_eq!(spec.input_schema, serde_json::json!({ "type": "object" }));
    }

    #[test]
    fn a_description_that_breaks_a_rule_is_refused() {
        let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(MAX_SCHEMA));
        let permission = |permission: &str| adapter::Operation { permission: Some(permission.into()), ..described("a", "{}") };
        for wrong in [
            vec![],
            vec![described("A", "{}")],
            vec![described("", "{}")],
            vec![described("a_b", "{}")],
            vec![described("a--b", "{}")],
            vec![described(&"a".repeat(65), "{}")],
            vec![described("a", "{}"), described("a", "{}")],
            vec![described("a", "{")],
            vec![described("a", r#"{"type":"nothing"}"#)],
            vec![described("a", r#"{"$ref":"https://example.invalid/schema.json"}"#)],
            vec![described("a", &long)],
            vec![adapter::Operation { summary: " ".into(), ..described("a", "{}") }],
            vec![adapter::Operation { output_schema: "no".into(), ..described("a", "{}") }],
            vec![permission("")],
            vec![permission("a b")],
            vec![permission(&"a".repeat(129))],
            (0..65).map(|number| described(&format!("s{number}"), "{}")).collect(),
        ] {
            assert_eq!(operations(wrong).map(|_| ()).unwrap_err().code(), "plugin.describe-invalid");
        }
    }
}
