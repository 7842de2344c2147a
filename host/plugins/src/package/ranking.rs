//! Probes of rankers, with what they are to rank.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::fixture::json;
use crate::error::PluginError;
use crate::manifest::RankFixtureEntry;
use crate::ranking::{RankCandidate, Ranked};

/// A probe of a ranker.
#[derive(Debug, Clone, PartialEq)]
pub struct RankFixture {
    /// For messages, such as `fixtures/shoes.json`.
    pub name: String,
    /// Parameters; null for none.
    pub parameters: Value,
    /// How much categories count.
    pub category_weights: BTreeMap<String, f32>,
    /// How much quality counts.
    pub quality_weight: f32,
    /// What is to be ranked.
    pub candidates: Vec<FixtureCandidate>,
    /// The ranking; `None` for any.
    pub expect: Option<Vec<Ranked>>,
    /// How much each score may be off.
    pub tolerance: f32,
    /// The code with which it must fail.
    pub fails: Option<String>,
}

/// What a probe's product is like.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureCandidate {
    /// The product's id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// Empty when it has none.
    #[serde(default)]
    pub category: String,
    /// Names and values.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// 0..=1; 1 when absent.
    #[serde(default = "best")]
    pub quality: f32,
    /// -1..=1.
    pub similarity: f32,
    /// A larger number came later.
    #[serde(default)]
    pub created: u64,
}

const fn best() -> f32 {
    1.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    parameters: Value,
    #[serde(default)]
    category_weights: BTreeMap<String, f32>,
    #[serde(default)]
    quality_weight: f32,
    candidates: Vec<FixtureCandidate>,
}

impl FixtureCandidate {
    pub(crate) fn view(&self) -> RankCandidate<'_> {
        RankCandidate {
            id: &self.id,
            title: &self.title,
            category: &self.category,
            attributes: &self.attributes,
            quality: self.quality,
            similarity: self.similarity,
            created: self.created,
        }
    }
}

impl RankFixture {
    pub(super) fn read(entry: &RankFixtureEntry, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<Self, PluginError> {
        let Input { parameters, category_weights, quality_weight, candidates } = json(&entry.input, &read)?;
        Ok(Self {
            name: entry.input.clone(),
            parameters,
            category_weights,
            quality_weight,
            candidates,
            expect: entry.expect.as_deref().map(|name| json(name, &read)).transpose()?,
            tolerance: entry.tolerance,
            fails: entry.fails.clone(),
        })
    }
}
