//! Fixtures: how a plugin wants to be tried out before it serves anybody.

use std::collections::BTreeSet;

use breakwater_core::{AspectRatio, FailureKind, Rect};
use serde::Deserialize;

use crate::world::World;

/// The fixtures of a manifest, as its world has them.
#[derive(Debug, Clone, PartialEq)]
pub enum FixtureEntries {
    /// Of a crop plugin.
    Plans(Vec<PlanFixtureEntry>),
    /// Of an adapter or a fallback.
    Calls(Vec<CallFixtureEntry>),
    /// Of a ranker.
    Rankings(Vec<RankFixtureEntry>),
}

/// One probe of a ranker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankFixtureEntry {
    /// A JSON file with `candidates`, each with what a candidate has, and if need be `parameters`, `category_weights`, `quality_weight`.
    pub input: String,
    /// A JSON file with the ranking: a list of `index` and `score` by falling score. Absent: any ranking will do.
    pub expect: Option<String>,
    /// How much each score may be off.
    #[serde(default = "rounding")]
    pub tolerance: f32,
    /// The code with which it must fail, instead of `expect`.
    pub fails: Option<String>,
}

/// What two ways to add up single-precision numbers may differ by.
const fn rounding() -> f32 {
    1e-5
}

/// One probe of a strategy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFixtureEntry {
    /// The picture, relative to the manifest.
    pub image: String,
    /// The strategy asked for.
    pub strategy: String,
    /// The ratio asked for, such as `4:6`.
    #[serde(deserialize_with = "ratio")]
    pub ratio: AspectRatio,
    /// Parameters; an empty object when absent.
    #[serde(default = "no_parameters")]
    pub parameters: serde_json::Value,
    /// A file with detections to give along: a JSON array. Absent: the host's detectors are asked.
    pub detections: Option<String>,
    /// What the plan must be.
    pub expect: Option<ExpectEntry>,
}

/// What a probe's plan must be.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectEntry {
    /// The rectangle.
    pub crop: Rect,
    /// How many pixels each edge may be off.
    #[serde(default)]
    pub tolerance: u32,
}

/// One probe of an operation, with recorded answers of the services it asks: nothing leaves the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFixtureEntry {
    /// The operation.
    pub operation: String,
    /// The fallback's level; of fallbacks only.
    pub level: Option<String>,
    /// Of fallbacks: the kind of the failure before it. Absent: `unavailable`.
    pub cause: Option<FailureKind>,
    /// A JSON file with the input.
    pub input: String,
    /// What is attached to it.
    #[serde(default)]
    pub attachments: Vec<AttachmentEntry>,
    /// A JSON file with the exact output. Absent: any output that fits the schema will do.
    pub expect: Option<String>,
    /// The code with which it must fail, instead of `expect`.
    pub fails: Option<String>,
    /// Feature flags that are on.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Requests it must make, each exactly once, and what they are answered. In no order; of equal ones the first is answered first.
    #[serde(default)]
    pub upstream: Vec<ExchangeEntry>,
}

/// A file that is attached to a probe's input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentEntry {
    /// Relative to the manifest.
    pub file: String,
    /// Such as `image/jpeg`.
    pub media_type: String,
}

/// A request that a probe must make, and its recorded answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeEntry {
    /// The upstream's name, with `path`.
    pub upstream: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// Instead of both: the whole URL.
    pub url: Option<String>,
    /// Such as `POST`.
    pub method: String,
    /// A JSON file that the request's body must be equal to as JSON. Absent: any body.
    pub body: Option<String>,
    /// The answer's status, 100 to 599. Of 400 or more it reaches the guest as the failure `upstream.status`.
    #[serde(default = "ok")]
    pub status: u16,
    /// A file with the answer's body. Absent: none.
    pub answer: Option<String>,
    /// The answer's media type.
    #[serde(default = "json")]
    pub media_type: String,
}

const fn ok() -> u16 {
    200
}

fn json() -> String {
    "application/json".to_owned()
}

fn no_parameters() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn ratio<'de, D: serde::Deserializer<'de>>(from: D) -> Result<AspectRatio, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

impl FixtureEntries {
    /// Every file that they name, relative to the manifest, each once.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&str> {
        match self {
            Self::Plans(plans) => {
                plans.iter().flat_map(|plan| std::iter::once(&plan.image).chain(&plan.detections)).map(String::as_str).collect()
            }
            Self::Calls(calls) => calls.iter().flat_map(CallFixtureEntry::files).collect(),
            Self::Rankings(rankings) => {
                rankings.iter().flat_map(|entry| std::iter::once(&entry.input).chain(&entry.expect)).map(String::as_str).collect()
            }
        }
    }

    /// Says what is wrong with them.
    pub(super) fn check(&self, world: World) -> Result<(), String> {
        match self {
            Self::Plans(plans) => match plans.iter().find(|plan| !plan.parameters.is_object()) {
                Some(plan) => Err(format!("the parameters for `{}` are not a table", plan.strategy)),
                None => Ok(()),
            },
            Self::Calls(calls) => calls.iter().try_for_each(|call| call.check(world)),
            Self::Rankings(rankings) => match rankings.iter().find(|entry| entry.expect.is_some() && entry.fails.is_some()) {
                Some(entry) => Err(format!("`{}`: it either has a ranking to expect or fails", entry.input)),
                None => Ok(()),
            },
        }
    }
}

impl CallFixtureEntry {
    fn files(&self) -> impl Iterator<Item = &str> {
        let attached = self.attachments.iter().map(|attachment| &attachment.file);
        let exchanged = self.upstream.iter().flat_map(|exchange| exchange.body.iter().chain(&exchange.answer));
        std::iter::once(&self.input).chain(attached).chain(&self.expect).chain(exchanged).map(String::as_str)
    }

    fn check(&self, world: World) -> Result<(), String> {
        let name = &self.operation;
        if self.level.is_some() != (world == World::Fallback) {
            return Err(format!("`{name}`: a fallback's fixture names its level, an adapter's has none"));
        }
        if self.expect.is_some() && self.fails.is_some() {
            return Err(format!("`{name}`: it either has an output to expect or fails"));
        }
        self.upstream.iter().try_for_each(|exchange| exchange.check().map_err(|what| format!("`{name}`: {what}")))
    }
}

impl ExchangeEntry {
    fn check(&self) -> Result<(), String> {
        match (&self.upstream, &self.path, &self.url) {
            (Some(_), Some(path), None) if path.starts_with('/') => {}
            (None, None, Some(_)) => {}
            _ => return Err("a request has an upstream and a path that starts with `/`, or a url".to_owned()),
        }
        if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&self.method.as_str()) {
            return Err(format!("`{}` is no method", self.method));
        }
        if !(100..=599).contains(&self.status) {
            return Err(format!("a status is 100 to 599, not {}", self.status));
        }
        Ok(())
    }
}
