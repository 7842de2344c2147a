//! The shape of a flag. Flags read and write themselves; what is here describes that for the document, and a test compares.

use std::collections::BTreeSet;

use breakwater_operations::services::Flag;
use utoipa::ToSchema;

use crate::json::Known;

impl Known for Flag {
    const FIELDS: &'static [&'static str] = &["enabled", "rollout", "rules", "salt", "description", "updated_at_ms", "version"];
}

/// A feature flag to store.
#[derive(ToSchema)]
#[schema(as = Flag)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: flags read themselves")]
pub(crate) struct FlagRequest {
    /// Off means off for everybody, whatever the rules say.
    enabled: bool,
    /// For which share of the callers that no rule decides about, in percent; 100 when absent. Stable by subject.
    #[schema(minimum = 0, maximum = 100, default = 100)]
    rollout: Option<u8>,
    /// Asked in order; the first that matches decides. At most 64.
    rules: Option<Vec<RuleBody>>,
    /// What shares are drawn by in place of the flag's name.
    salt: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Not looked at: set by the service.
    updated_at_ms: Option<u64>,
    /// Not looked at: set by the service. `If-Match` says which version a change was made from.
    version: Option<u64>,
}

/// A feature flag.
#[derive(ToSchema)]
#[schema(as = ListedFlag)]
#[expect(dead_code, reason = "only its schema is used: flags write themselves")]
pub(crate) struct FlagBody {
    /// Its name.
    name: String,
    /// `declared` in the configuration, or `stored`.
    source: String,
    /// Off means off for everybody, whatever the rules say.
    enabled: bool,
    /// For which share of the callers that no rule decides about, in percent. Stable by subject.
    #[schema(minimum = 0, maximum = 100)]
    rollout: u8,
    /// Asked in order; the first that matches decides.
    rules: Vec<RuleBody>,
    /// What shares are drawn by in place of the flag's name.
    salt: Option<String>,
    /// What it is for.
    description: String,
    /// When it was last stored, in milliseconds since 1970; 0 if never.
    updated_at_ms: u64,
    /// Grows with every change; 0 if it was never stored.
    version: u64,
}

/// What to do about some callers.
#[derive(ToSchema)]
#[schema(as = FlagRule)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: flags read and write themselves")]
pub(crate) struct RuleBody {
    /// All of them must hold.
    when: Vec<ConditionBody>,
    /// What the flag is then.
    then: ThenBody,
}

/// A question about the caller.
#[derive(ToSchema)]
#[schema(as = FlagCondition)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: flags read and write themselves")]
pub(crate) struct ConditionBody {
    /// What is looked at.
    on: TargetBody,
    /// What it must be. A caller without the value fails every test.
    is: TestBody,
    /// Turns the answer around.
    #[schema(default = false)]
    not: Option<bool>,
}

/// What a condition looks at: `"subject"`, `"tenant"` or `{"attribute": "plan"}`.
#[derive(ToSchema)]
#[schema(as = FlagTarget)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used: flags read and write themselves")]
pub(crate) enum TargetBody {
    /// The user or service on whose behalf the call is made.
    Subject,
    /// The organisation it belongs to.
    Tenant,
    /// An attribute of the caller, by name.
    Attribute(String),
}

/// What a condition asks of a value.
#[derive(ToSchema)]
#[schema(as = FlagTest)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used: flags read and write themselves")]
pub(crate) enum TestBody {
    /// It is this text.
    Equals(String),
    /// It is one of these texts.
    OneOf(BTreeSet<String>),
    /// It begins with this text.
    Prefix(String),
}

/// What a flag is for the callers of a rule: `"on"`, `"off"` or `{"rollout": 50}`.
#[derive(ToSchema)]
#[schema(as = FlagThen)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used: flags read and write themselves")]
pub(crate) enum ThenBody {
    /// On.
    On,
    /// Off.
    Off,
    /// On for a share of them, in percent.
    Rollout(u8),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use breakwater_operations::services::{Condition, FlagSource, ListedFlag, Rule, Target, Test, Then};
    use serde_json::{Value, json};

    use super::*;
    use crate::json;

    fn full() -> Flag {
        let condition = |on, is| Condition { on, is, not: true };
        let when = vec![
            condition(Target::Attribute("plan".into()), Test::Equals("free".into())),
            condition(Target::Tenant, Test::OneOf(["acme".to_owned()].into())),
            condition(Target::Subject, Test::Prefix("test-".into())),
        ];
        let rules = [Then::On, Then::Off, Then::Rollout(5)].map(|then| Rule { when: when.clone(), then });
        Flag { rules: rules.into(), salt: Some("wave".into()), description: "d".into(), updated_at_ms: 1, version: 2, ..Flag::on() }
    }

    /// The names in a value, and in the schema of it.
    fn names(value: &Value) -> Vec<&String> {
        value.as_object().unwrap().keys().collect()
    }

    fn properties<'a>(document: &'a Value, schema: &str) -> &'a Value {
        &document["components"]["schemas"][schema]["properties"]
    }

    #[test]
    fn a_flag_is_described_as_it_writes_itself() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let listed = ListedFlag { name: "a".into(), source: FlagSource::Stored, flag: full() };
        let written = serde_json::to_value(&listed).unwrap();
        assert_eq!(names(properties(&document, "ListedFlag")), names(&written));
        assert_eq!(names(properties(&document, "FlagRule")), names(&written["rules"][0]));
        assert_eq!(names(properties(&document, "FlagCondition")), names(&written["rules"][0]["when"][0]));
        for (schema, examples) in [
            ("FlagTarget", [json!("subject"), json!("tenant"), json!({ "attribute": "a" })]),
            ("FlagTest", [json!({ "equals": "a" }), json!({ "one_of": ["a"] }), json!({ "prefix": "a" })]),
            ("FlagThen", [json!("on"), json!("off"), json!({ "rollout": 5 })]),
        ] {
            let variants = document["components"]["schemas"][schema]["oneOf"].as_array().unwrap();
            let described: Vec<_> = variants
                .iter()
                .map(|variant| match variant["enum"].as_array() {
                    Some(words) => words[0].as_str().unwrap().to_owned(),
                    None => names(&variant["properties"])[0].clone(),
                })
                .collect();
            let exemplified: Vec<_> =
                examples.iter().map(|example| example.as_str().map_or_else(|| names(example)[0].clone(), str::to_owned)).collect();
            assert_eq!(described, exemplified, "{schema}");
        }
    }

    #[test]
    fn a_flag_is_read_as_it_is_described() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let described: BTreeMap<_, _> = properties(&document, "Flag").as_object().unwrap().iter().collect();
        assert_eq!(described.keys().map(|name| name.as_str()).collect::<BTreeSet<_>>(), Flag::FIELDS.iter().copied().collect());
        let flag = full();
        assert_eq!(json::read::<Flag>(&serde_json::to_vec(&flag).unwrap()).unwrap(), flag);
        let failure = json::read::<Flag>(br#"{"enabled": true, "rules": [{"when": [], "then": "perhaps"}]}"#).unwrap_err();
        assert_eq!(
            (&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]),
            ("request.field-invalid", &json!("/rules/0/then"))
        );
        assert_eq!(json::read::<Flag>(br#"{"enabled": true, "rolout": 5}"#).unwrap_err().code, "request.unknown-field");
    }
}
