//! Probes with everything they need.

use breakwater_core::{AspectRatio, Attachment, Detection, FailureKind, Rect};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ranking::RankFixture;
use crate::error::PluginError;
use crate::manifest::{CallFixtureEntry, ExchangeEntry, FixtureEntries, PlanFixtureEntry};

/// A probe.
#[derive(Debug, Clone, PartialEq)]
pub enum Fixture {
    /// Of a strategy.
    Plan(PlanFixture),
    /// Of an operation.
    Call(CallFixture),
    /// Of a ranker.
    Rank(RankFixture),
}

/// A probe of a strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFixture {
    /// For messages, such as `fixtures/portrait.png center_faces 4:6`.
    pub name: String,
    /// An encoded picture.
    pub image: Bytes,
    /// The strategy asked for.
    pub strategy: String,
    /// The ratio asked for.
    pub ratio: AspectRatio,
    /// Parameters; an object.
    pub parameters: Value,
    /// Detections given along; `None` to ask the host's detectors.
    pub detections: Option<Vec<Detection>>,
    /// What the plan must be, where that is known.
    pub expect: Option<Expectation>,
}

/// What a probe's plan must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// The rectangle.
    pub crop: Rect,
    /// How many pixels each edge may be off.
    pub tolerance: u32,
}

/// A probe of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFixture {
    /// For messages, such as `generate-resume fixtures/resume.json`.
    pub name: String,
    /// The operation.
    pub operation: String,
    /// The level; of fallbacks only.
    pub level: Option<String>,
    /// The kind of the failure before a fallback.
    pub cause: FailureKind,
    /// The input.
    pub input: Value,
    /// What is attached to it.
    pub attachments: Vec<Attachment>,
    /// The exact output; `None` for any that fits the schema.
    pub expect: Option<Value>,
    /// The code with which it must fail.
    pub fails: Option<String>,
    /// Feature flags that are on.
    pub flags: Vec<String>,
    /// Requests it must make, each exactly once.
    pub exchanges: Vec<Exchange>,
}

/// A request that a probe must make, and its recorded answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Who is asked.
    pub target: Target,
    /// Such as `POST`.
    pub method: String,
    /// What the body must be as JSON; `None` for any body.
    pub body: Option<Value>,
    /// The answer's status.
    pub status: u16,
    /// The answer's body.
    pub answer: Bytes,
    /// The answer's media type.
    pub media_type: String,
}

/// Who a recorded request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A named upstream.
    Upstream {
        /// Its name.
        name: String,
        /// Path and query.
        path: String,
    },
    /// A whole URL.
    Url(String),
}

/// The fixtures of a manifest with their files.
pub(super) fn read(entries: &FixtureEntries, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<Vec<Fixture>, PluginError> {
    match entries {
        FixtureEntries::Plans(plans) => plans.iter().map(|entry| plan(entry, &read).map(Fixture::Plan)).collect(),
        FixtureEntries::Calls(calls) => calls.iter().map(|entry| call(entry, &read).map(Fixture::Call)).collect(),
        FixtureEntries::Rankings(rankings) => rankings.iter().map(|entry| RankFixture::read(entry, &read).map(Fixture::Rank)).collect(),
    }
}

fn plan(entry: &PlanFixtureEntry, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<PlanFixture, PluginError> {
    Ok(PlanFixture {
        name: format!("{} {} {}", entry.image, entry.strategy, entry.ratio),
        image: read(&entry.image)?,
        strategy: entry.strategy.clone(),
        ratio: entry.ratio,
        parameters: entry.parameters.clone(),
        detections: entry.detections.as_deref().map(|name| json(name, &read)).transpose()?,
        expect: entry.expect.map(|expect| Expectation { crop: expect.crop, tolerance: expect.tolerance }),
    })
}

fn call(entry: &CallFixtureEntry, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<CallFixture, PluginError> {
    let attachments = entry
        .attachments
        .iter()
        .map(|attachment| Ok(Attachment { media_type: attachment.media_type.clone(), bytes: read(&attachment.file)? }));
    let level = entry.level.as_ref().map(|level| format!(" {level}")).unwrap_or_default();
    Ok(CallFixture {
        name: format!("{}{level} {}", entry.operation, entry.input),
        operation: entry.operation.clone(),
        level: entry.level.clone(),
        cause: entry.cause.unwrap_or(FailureKind::Unavailable),
        input: json(&entry.input, &read)?,
        attachments: attachments.collect::<Result<_, PluginError>>()?,
        expect: entry.expect.as_deref().map(|name| json(name, &read)).transpose()?,
        fails: entry.fails.clone(),
        flags: entry.flags.clone(),
        exchanges: entry.upstream.iter().map(|entry| exchange(entry, &read)).collect::<Result<_, _>>()?,
    })
}

fn exchange(entry: &ExchangeEntry, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<Exchange, PluginError> {
    let target = match &entry.url {
        Some(url) => Target::Url(url.clone()),
        None => Target::Upstream { name: entry.upstream.clone().unwrap_or_default(), path: entry.path.clone().unwrap_or_default() },
    };
    Ok(Exchange {
        target,
        method: entry.method.clone(),
        body: entry.body.as_deref().map(|name| json(name, &read)).transpose()?,
        status: entry.status,
        answer: entry.answer.as_deref().map(&read).transpose()?.unwrap_or_default(),
        media_type: entry.media_type.clone(),
    })
}

pub(super) fn json<T: DeserializeOwned>(name: &str, read: impl Fn(&str) -> Result<Bytes, PluginError>) -> Result<T, PluginError> {
    serde_json::from_slice(&read(name)?).map_err(|error| PluginError::ManifestInvalid(format!("{name}: {error}")))
}
