//! Rankers: what one says of itself, what it is asked, and what it may answer.

use std::collections::{BTreeMap, BTreeSet};

use breakwater_core::{Failure, FailureKind};
use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bindings::ranker::exports::breakwater::plugin::ranker;
use crate::error::PluginError;
use crate::schema::{compile, violated, violations};

/// The most candidates of one call.
pub const MAX_CANDIDATES: usize = 10_000;
/// The most bytes of all texts of one call together: they are copied into the guest's memory.
const MAX_TEXT: usize = 16 << 20;
/// The most categories with a weight, and the largest weight.
const MAX_WEIGHTS: usize = 1000;
const MAX_WEIGHT: f32 = 100.0;
/// The longest summary and parameter schema, in bytes.
const MAX_SUMMARY: usize = 256;
const MAX_SCHEMA: usize = 16 << 10;

/// What a ranker says of itself. Its name is the plugin's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankerInfo {
    /// One sentence for people.
    pub summary: String,
    /// JSON Schema of the parameters, an object schema.
    pub parameters: Value,
}

/// What a ranker is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankRequest<'a> {
    /// What the caller gave; null means none.
    pub parameters: &'a Value,
    /// How much a category counts, 0..=100; 1 for those that are not named. At most 1000.
    pub category_weights: &'a BTreeMap<String, f32>,
    /// How much quality counts beside similarity, 0..=1.
    pub quality_weight: f32,
}

/// One thing that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCandidate<'a> {
    /// The product's id.
    pub id: &'a str,
    /// For people.
    pub title: &'a str,
    /// Empty when it has none.
    pub category: &'a str,
    /// Names and values.
    pub attributes: &'a BTreeMap<String, String>,
    /// How good it is, 0..=1.
    pub quality: f32,
    /// Cosine with what was searched for, -1..=1.
    pub similarity: f32,
    /// A larger number came later.
    pub created: u64,
}

/// A candidate that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranked {
    /// Its place in the list of candidates that was given.
    pub index: u32,
    /// Higher is better; finite.
    pub score: f32,
}

/// A ranker with its compiled schema.
pub(crate) struct RankerOffer {
    pub(crate) info: RankerInfo,
    validator: Validator,
}

impl RankerOffer {
    /// Compiles the schema of a ranker, which may come from a record.
    pub(crate) fn of(info: RankerInfo) -> Result<Self, PluginError> {
        let validator = compile(&info.parameters).map_err(|error| PluginError::DescribeInvalid(format!("the parameters: {error}")))?;
        Ok(Self { info, validator })
    }

    /// What `describe` returned, or what is wrong with it.
    pub(crate) fn described(described: ranker::Description) -> Result<Self, PluginError> {
        let wrong = |what: String| Err(PluginError::DescribeInvalid(what));
        if described.summary.trim().is_empty() || described.summary.len() > MAX_SUMMARY {
            return wrong(format!("the summary is 1 to {MAX_SUMMARY} bytes"));
        }
        if described.parameters.len() > MAX_SCHEMA {
            return wrong(format!("the schema of the parameters has at most {MAX_SCHEMA} bytes"));
        }
        let parameters: Value = match serde_json::from_str(&described.parameters) {
            Ok(schema) => schema,
            Err(error) => return wrong(format!("the schema of the parameters is not JSON: {error}")),
        };
        if parameters.get("type") != Some(&Value::from("object")) {
            return wrong("the schema of the parameters must have \"type\": \"object\"".to_owned());
        }
        Self::of(RankerInfo { summary: described.summary, parameters })
    }

    /// Whether a call may ask this, and what the guest is told of it.
    pub(crate) fn check(&self, request: &RankRequest<'_>, candidates: &[RankCandidate<'_>]) -> Result<ranker::Request, Failure> {
        let count = candidates.len();
        if count > MAX_CANDIDATES {
            return Err(Failure::limit("ranker.too-many-candidates", format!("{count} candidates; at most {MAX_CANDIDATES} are ranked")));
        }
        let text: usize = candidates.iter().map(RankCandidate::text).sum();
        if text > MAX_TEXT {
            return Err(Failure::limit(
                "ranker.input-too-large",
                format!("the candidates have {text} bytes; at most {MAX_TEXT} are ranked"),
            ));
        }
        let RankRequest { parameters, category_weights, quality_weight } = *request;
        let weighs = category_weights.values().all(|weight| (0.0..=MAX_WEIGHT).contains(weight));
        if !weighs || category_weights.len() > MAX_WEIGHTS || !(0.0..=1.0).contains(&quality_weight) {
            let message = format!("weights of categories are 0 to {MAX_WEIGHT}, at most {MAX_WEIGHTS} of them; that of quality is 0 to 1");
            return Err(Failure::invalid("ranker.weights-invalid", message));
        }
        let none = Value::Object(serde_json::Map::new());
        let parameters = if parameters.is_null() { &none } else { parameters };
        let violations = violations(&self.validator, parameters);
        if !violations.is_empty() {
            let what = "the parameters do not fit the ranker";
            return Err(violated(FailureKind::InvalidRequest, "ranker.parameters-invalid", what, violations));
        }
        let weight = |(category, weight): (&String, &f32)| ranker::CategoryWeight { category: category.clone(), weight: *weight };
        Ok(ranker::Request {
            parameters: parameters.to_string(),
            category_weights: category_weights.iter().map(weight).collect(),
            quality_weight,
        })
    }
}

impl RankCandidate<'_> {
    /// Bytes of its texts.
    fn text(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.id.len() + self.title.len() + self.category.len() + attributes
    }

    pub(crate) fn to_guest(self) -> ranker::Candidate {
        ranker::Candidate {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            category: self.category.to_owned(),
            attributes: self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            quality: self.quality,
            similarity: self.similarity,
            created: self.created,
        }
    }
}

/// What a guest answered, by falling score, or the rule that it breaks.
pub(crate) fn checked(answered: &[ranker::Ranked], candidates: usize) -> Result<Vec<Ranked>, String> {
    if answered.len() > candidates {
        return Err(format!("{} entries for {candidates} candidates", answered.len()));
    }
    let mut seen = BTreeSet::new();
    let mut ranked = Vec::with_capacity(answered.len());
    for &ranker::Ranked { index, score } in answered {
        if index as usize >= candidates {
            return Err(format!("it ranks candidate {index} of {candidates}"));
        }
        if !seen.insert(index) {
            return Err(format!("it ranks candidate {index} twice"));
        }
        if !score.is_finite() {
            return Err(format!("the score of candidate {index} is not finite"));
        }
        ranked.push(Ranked { index, score });
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(index: u32, score: f32) -> ranker::Ranked {
        ranker::Ranked { index, score }
    }

    #[test]
    fn an_answer_is_ordered_by_falling_score_and_its_own_order() {
        let order = |answered: &[ranker::Ranked]| -> Vec<u32> { checked(answered, 4).unwrap().iter().map(|one| one.index).collect() };
        assert_eq!(order(&[ranked(0, 0.1), ranked(3, 0.5), ranked(1, 0.5), ranked(2, -1.0)]), [3, 1, 0, 2]);
        assert_eq!(order(&[ranked(2, 0.1)]), [2]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn an_answer_that_breaks_a_rule_is_refused() {
        for (answered, says) in [
            (vec![ranked(2, 0.0)], "candidate 2 of 2"),
            (vec![ranked(1, 0.0), ranked(1, 1.0)], "twice"),
            (vec![ranked(0, f32::NAN)], "not finite"),
            (vec![ranked(0, f32::INFINITY)], "not finite"),
            (vec![ranked(0, 0.0), ranked(1, 0.0), ranked(0, 0.0)], "3 entries"),
        ] {
            let what = checked(&answered, 2).unwrap_err();
            assert!(what.contains(says), "{what}");
        }
    }

    #[test]
    fn a_description_that_breaks_a_rule_is_refused() {
        let described = |summary: &str, parameters: &str| ranker::Description { summary: summary.into(), parameters: parameters.into() };
        let long = format!(r#"{{"type":"object","title":"{}"}}"#, "x".repeat(MAX_SCHEMA));
        assert!(RankerOffer::described(described("Ranks.", r#"{"type":"object"}"#)).is_ok());
        for (summary, parameters) in [
            ("", r#"{"type":"object"}"#),
            (&"x".repeat(MAX_SUMMARY + 1), r#"{"type":"object"}"#),
            ("Ranks.", "{"),
            ("Ranks.", r#"{"type":"array"}"#),
            ("Ranks.", r#"{"type":"object","$ref":"https://example.invalid/a.json"}"#),
            ("Ranks.", &long),
        ] {
            let error = RankerOffer::described(described(summary, parameters)).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), "plugin.describe-invalid", "{summary} {parameters}");
        }
    }

    #[test]
    fn what_no_ranker_takes_never_reaches_one() {
        let schema = r#"{"type":"object","properties":{"boost":{"type":"number"}},"additionalProperties":false}"#;
        let offer = RankerOffer::described(ranker::Description { summary: "Ranks.".into(), parameters: schema.into() }).unwrap();
        let (bare, none) = (BTreeMap::new(), BTreeMap::new());
        let long = "x".repeat(1 << 20);
        let one = RankCandidate { id: "a", title: "", category: "", attributes: &bare, quality: 1.0, similarity: 0.5, created: 1 };
        let large = RankCandidate { title: &long, ..one };
        let ask = |parameters: &Value, weights: &BTreeMap<String, f32>, quality_weight: f32, candidates: &[RankCandidate<'_>]| {
            let request = RankRequest { parameters, category_weights: weights, quality_weight };
            offer.check(&request, candidates).map(|request| request.parameters).map_err(|failure| failure.code.into_owned())
        };
        let null = Value::Null;
        assert_eq!(ask(&null, &none, 0.0, &[one; MAX_CANDIDATES]).unwrap(), "{}");
        assert_eq!(ask(&null, &none, 0.0, &[one; MAX_CANDIDATES + 1]).unwrap_err(), "ranker.too-many-candidates");
        assert!(ask(&null, &none, 0.0, &[large; 15]).is_ok());
        assert_eq!(ask(&null, &none, 0.0, &[large; 16]).unwrap_err(), "ranker.input-too-large");
        assert_eq!(ask(&serde_json::json!({ "boost": 2 }), &none, 1.0, &[one]).unwrap(), r#"{"boost":2}"#);
        assert_eq!(ask(&serde_json::json!({ "bost": 2 }), &none, 1.0, &[one]).unwrap_err(), "ranker.parameters-invalid");
        for (weight, quality) in [(-0.1, 0.0), (100.5, 0.0), (f32::NAN, 0.0), (1.0, 1.1), (1.0, f32::NAN)] {
            assert_eq!(ask(&null, &[("a".to_owned(), weight)].into(), quality, &[one]).unwrap_err(), "ranker.weights-invalid");
        }
        let many = (0..=MAX_WEIGHTS).map(|number| (number.to_string(), 1.0)).collect();
        assert_eq!(ask(&null, &many, 0.0, &[one]).unwrap_err(), "ranker.weights-invalid");
    }
}
