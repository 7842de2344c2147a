//! What a flag is: the shape of the HTTP API and of the store.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A feature flag. The crate's documentation says how it is evaluated.
///
/// ```
/// # use breakwater_flags::Flag;
/// let flag: Flag = serde_json::from_str(r#"{
///     "enabled": true,
///     "rollout": 10,
///     "rules": [
///         { "when": [{ "on": "tenant", "is": { "one_of": ["acme", "globex"] } }], "then": "on" },
///         { "when": [{ "on": { "attribute": "plan" }, "is": { "equals": "free" } }], "then": "off" },
///         { "when": [{ "on": "subject", "is": { "prefix": "test-" }, "not": true }], "then": { "rollout": 50 } }
///     ],
///     "description": "Résumés written by the model"
/// }"#).unwrap();
/// assert_eq!(flag.rules.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Flag {
    /// Off means off for everybody, whatever the rules say.
    pub enabled: bool,
    /// For which share of the callers that no rule decides about, in percent: 0 to 100. 100 when it is not given.
    #[serde(default = "everybody")]
    pub rollout: u8,
    /// Asked in order; the first that matches decides. At most [`crate::MAX_RULES`].
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What shares are drawn by in place of the flag's name. Flags with the same salt turn on for the same callers first; a new salt
    /// draws anew. At most [`crate::MAX_SALT_LENGTH`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// What it is for. At most [`crate::MAX_DESCRIPTION_LENGTH`] bytes.
    #[serde(default)]
    pub description: String,
    /// When it was last stored, in milliseconds since 1970; 0 if never. Set by the service.
    #[serde(default)]
    pub updated_at_ms: u64,
    /// Grows with every change, also over a removal; 0 if it was never stored. Set by the service; a change says which version it was
    /// made from.
    #[serde(default)]
    pub version: u64,
}

const fn everybody() -> u8 {
    100
}

impl Flag {
    /// On for everybody.
    #[must_use]
    pub fn on() -> Self {
        Self { enabled: true, ..Self::off() }
    }

    /// Off for everybody.
    #[must_use]
    pub fn off() -> Self {
        Self {
            enabled: false,
            rollout: everybody(),
            rules: Vec::new(),
            salt: None,
            description: String::new(),
            updated_at_ms: 0,
            version: 0,
        }
    }
}

/// What to do about some callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Rule {
    /// All of them must hold. At least one, at most [`crate::MAX_CONDITIONS`].
    pub when: Vec<Condition>,
    /// What the flag is then.
    pub then: Then,
}

/// A question about the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Condition {
    /// What is looked at.
    pub on: Target,
    /// What it must be. Case counts. A caller without the value fails every test.
    pub is: Test,
    /// Turns the answer around: it then also holds for callers without the value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// The user or service on whose behalf the call is made.
    Subject,
    /// The organisation it belongs to.
    Tenant,
    /// An attribute of the caller, by name.
    Attribute(String),
}

/// What a condition asks of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Test {
    /// It is this text.
    Equals(String),
    /// It is one of these texts. At least one, at most [`crate::MAX_VALUES`].
    OneOf(BTreeSet<String>),
    /// It begins with this text, which is not empty.
    Prefix(String),
}

/// What a flag is for the callers of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Then {
    /// On.
    On,
    /// Off.
    Off,
    /// On for a share of them, in percent: 0 to 100. Drawn as the flag's own share is, so that whoever is in 10 % here is in 10 % there.
    Rollout(u8),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flag_reads_and_writes_as_documented() {
        let text = json!({
            "enabled": true,
            "rollout": 10,
            "rules": [
                { "when": [{ "on": "tenant", "is": { "one_of": ["acme"] } }, { "on": "subject", "is": { "prefix": "a" } }], "then": "on" },
                { "when": [{ "on": { "attribute": "plan" }, "is": { "equals": "free" }, "not": true }], "then": { "rollout": 50 } },
            ],
            "salt": "wave-1",
            "description": "d",
            "updated_at_ms": 7,
            "version": 3,
        });
        let flag: Flag = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(flag.rules[1].then, Then::Rollout(50));
        assert_eq!(flag.rules[1].when[0].on, Target::Attribute("plan".into()));
        assert_eq!(serde_json::to_value(&flag).unwrap(), text);
    }

    #[test]
    fn the_shortest_flag_is_for_everybody() {
        assert_eq!(serde_json::from_str::<Flag>(r#"{ "enabled": true }"#).unwrap(), Flag::on());
        assert_eq!(serde_json::from_str::<Flag>(r#"{ "enabled": false }"#).unwrap(), Flag::off());
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        let rule = |rule: serde_json::Value| json!({ "enabled": true, "rules": [rule] });
        let condition = |condition: serde_json::Value| rule(json!({ "when": [condition], "then": "on" }));
        for text in [
            json!({}),
            json!({ "enabled": "yes" }),
            json!({ "enabled": true, "rolout": 5 }),
            json!({ "enabled": true, "rollout": -1 }),
            json!({ "enabled": true, "rollout": 256 }),
            json!({ "enabled": true, "rollout": 2.5 }),
            rule(json!({ "when": [], "then": "maybe" })),
            rule(json!({ "when": [], "then": "on", "else": "off" })),
            condition(json!({ "on": "planet", "is": { "equals": "x" } })),
            condition(json!({ "on": "subject", "is": { "matches": "x" } })),
            condition(json!({ "on": "subject", "is": { "equals": "x", "prefix": "y" } })),
            condition(json!({ "on": "subject", "is": { "equals": "x" }, "nor": true })),
        ] {
            assert!(serde_json::from_value::<Flag>(text.clone()).is_err(), "{text}");
        }
    }
}
