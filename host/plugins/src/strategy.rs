//! What a plugin says of itself, checked once; and the parameters of its strategies, checked on every call.

use std::collections::BTreeSet;

use breakwater_core::{Failure, FailureKind, Strategy};
use jsonschema::Validator;
use serde_json::Value;

use crate::bindings::crop::exports::breakwater::plugin::crop_strategy;
use crate::convert::kind_from_guest;
use crate::error::PluginError;
use crate::schema::{compile, violated, violations};

/// The most strategies of one plugin.
const MAX_STRATEGIES: usize = 64;
/// The longest name, summary and parameter schema, in bytes.
const MAX_NAME: usize = 64;
const MAX_SUMMARY: usize = 256;
const MAX_SCHEMA: usize = 16 << 10;

/// A strategy with its compiled schema.
pub(crate) struct Offer {
    pub(crate) strategy: Strategy,
    validator: Validator,
}

impl Offer {
    /// Compiles the schema of a strategy, which may come from a record.
    pub(crate) fn of(strategy: Strategy) -> Result<Self, PluginError> {
        let validator = compile(&strategy.parameters)
            .map_err(|error| PluginError::DescribeInvalid(format!("the parameters of `{}`: {error}", strategy.name)))?;
        Ok(Self { strategy, validator })
    }

    /// Whether a call may pass these parameters.
    pub(crate) fn check(&self, parameters: &Value) -> Result<(), Failure> {
        let violations = violations(&self.validator, parameters);
        if violations.is_empty() {
            return Ok(());
        }
        let what = format!("the parameters do not fit the strategy `{}`", self.strategy.name);
        Err(violated(FailureKind::InvalidRequest, "strategy.parameters-invalid", &what, violations))
    }
}

/// Turns what `describe` returned into strategies, or says what is wrong with it.
pub(crate) fn offers(described: Vec<crop_strategy::Strategy>) -> Result<Vec<Offer>, PluginError> {
    let wrong = |what: String| Err(PluginError::DescribeInvalid(what));
    if described.is_empty() || described.len() > MAX_STRATEGIES {
        return wrong(format!("a plugin offers 1 to {MAX_STRATEGIES} strategies, not {}", described.len()));
    }
    let mut names = BTreeSet::new();
    let mut offers = Vec::with_capacity(described.len());
    for strategy in described {
        let shown: String = strategy.name.escape_debug().take(MAX_NAME).collect();
        if !is_name(&strategy.name) {
            return wrong(format!("`{shown}` is no name: 1 to {MAX_NAME} lower-case letters, digits and `_`, starting with a letter"));
        }
        if !names.insert(strategy.name.clone()) {
            return wrong(format!("`{shown}` is offered twice"));
        }
        if strategy.summary.trim().is_empty() || strategy.summary.len() > MAX_SUMMARY {
            return wrong(format!("the summary of `{shown}` is 1 to {MAX_SUMMARY} bytes"));
        }
        if strategy.parameters.len() > MAX_SCHEMA {
            return wrong(format!("the schema of `{shown}` has at most {MAX_SCHEMA} bytes"));
        }
        let schema: Value = match serde_json::from_str(&strategy.parameters) {
            Ok(schema) => schema,
            Err(error) => return wrong(format!("the schema of `{shown}` is not JSON: {error}")),
        };
        if schema.get("type") != Some(&Value::from("object")) {
            return wrong(format!("the schema of `{shown}` must have \"type\": \"object\""));
        }
        let needs: BTreeSet<_> = strategy.needs.into_iter().map(kind_from_guest).collect();
        let needs = needs.into_iter().collect();
        offers.push(Offer::of(Strategy { name: strategy.name, summary: strategy.summary, parameters: schema, needs })?);
    }
    Ok(offers)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= MAX_NAME && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, schema: &str) -> crop_strategy::Strategy {
        crop_strategy::Strategy { name: name.into(), summary: "A strategy.".into(), parameters: schema.into(), needs: Vec::new() }
    }

    #[test]
    fn parameters_that_do_not_fit_are_named_by_pointer() {
        let schema = r#"{"type":"object","properties":{"top":{"type":"number","maximum":1}},"additionalProperties":false}"#;
        let offer = offers(vec![described("center", schema)]).unwrap().remove(0);
        assert!(offer.check(&serde_json::json!({ "top": 0.5 })).is_ok());
        let failure = offer.check(&serde_json::json!({ "top": 2 })).unwrap_err();
        assert_eq!(&*failure.code, "strategy.parameters-invalid");
        assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/top");
        assert!(offer.check(&serde_json::json!({ "topp": 2 })).is_err());
        assert!(offer.check(&serde_json::json!([])).is_err());
    }

    #[test]
    fn a_description_that_breaks_a_rule_is_refused() {
        let object = r#"{"type":"object"}"#;
        let far = r#"{"type":"object","$ref":"https://example.invalid/schema.json"}"#;
        let long = format!(r#"{{"type":"object","title":"{}"}}"#, "x".repeat(MAX_SCHEMA));
        for wrong in [
            vec![],
            vec![described("Center", object)],
            vec![described("", object)],
            vec![described(&"a".repeat(65), object)],
            vec![described("center", object), described("center", object)],
            vec![described("center", "{")],
            vec![described("center", r#"{"type":"array"}"#)],
            vec![described("center", r#"{"type":"object","properties":{"a":{"type":"nothing"}}}"#)],
            vec![described("center", far)],
            vec![described("center", &long)],
            (0..65).map(|number| described(&format!("s{number}"), object)).collect(),
        ] {
            assert_eq!(offers(wrong).map(|_| ()).unwrap_err().code(), "plugin.describe-invalid");
        }
    }
}
