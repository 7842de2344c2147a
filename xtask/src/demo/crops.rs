//! One crop over HTTP, and what the service said about it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use breakwater_tests::client::{Client, Field};
use breakwater_tests::photographs::Photograph;
use serde::Deserialize;
use serde_json::Value;

/// Long edge of the pictures, in pixels: they are looked at side by side.
const LONG_EDGE: u32 = 320;

/// A picture and the decision behind it.
pub(super) struct Crop {
    pub(super) photograph: String,
    pub(super) strategy: String,
    pub(super) ratio: (u32, u32),
    pub(super) faces: Vec<Area<f32>>,
    pub(super) area: Area<u32>,
    pub(super) score: f32,
    pub(super) reasons: Vec<Term>,
    pub(super) milliseconds: f32,
    pub(super) served_by: String,
    pub(super) degraded: bool,
    pub(super) picture: Vec<u8>,
    /// The service's answer as it came.
    pub(super) answer: Value,
}

#[derive(Deserialize, Clone, Copy)]
pub(super) struct Area<T> {
    pub(super) x: T,
    pub(super) y: T,
    pub(super) width: T,
    pub(super) height: T,
}

#[derive(Deserialize)]
pub(super) struct Term {
    pub(super) name: String,
    pub(super) weight: f32,
    pub(super) value: f32,
}

/// The part of an answer of `/v1/crop` that the demo shows.
#[derive(Deserialize)]
struct Decision {
    crop: Area<u32>,
    output_path: String,
    score: f32,
    reasons: Vec<Term>,
    detections: Vec<Detection>,
    served_by: String,
    degraded: bool,
    timings_ms: Timings,
}

#[derive(Deserialize)]
struct Timings {
    total: f32,
}

#[derive(Deserialize)]
struct Detection {
    kind: String,
    #[serde(rename = "box")]
    area: Area<f32>,
}

impl Crop {
    /// `astronaut-4x6-center_faces.jpg`.
    pub(super) fn file_name(&self) -> String {
        let stem = self.photograph.split('.').next().unwrap_or(&self.photograph);
        format!("{stem}-{}x{}-{}.jpg", self.ratio.0, self.ratio.1, self.strategy)
    }
}

/// Names of all strategies the service offers.
pub(super) async fn strategies(client: &Client) -> Result<Vec<String>> {
    let answer = client.get("/v1/strategies").await?;
    let body = answer.json()?;
    let list =
        body.get("strategies").and_then(Value::as_array).with_context(|| format!("/v1/strategies answered {}", answer.beginning()))?;
    Ok(list.iter().filter_map(|strategy| Some(strategy.get("name")?.as_str()?.to_owned())).collect())
}

/// Crops a photograph.
pub(super) async fn crop(client: &Client, media: &Path, photograph: &Photograph, strategy: &str, ratio: (u32, u32)) -> Result<Crop> {
    let ratio_text = format!("{}:{}", ratio.0, ratio.1);
    let edge = if ratio.0 >= ratio.1 { "width" } else { "height" };
    let fields: [Field<'_>; 4] =
        [("target_aspect_ratio", &ratio_text), ("crop_strategy", &strategy), ("output_format", &"jpeg"), (edge, &LONG_EDGE)];
    let answer = client.crop(&photograph.bytes, &fields).await?;
    if answer.status != 200 {
        bail!("{} with {strategy} at {ratio_text} answered {}: {}", photograph.name, answer.status, answer.beginning());
    }
    let body = answer.json()?;
    let decision =
        Decision::deserialize(&body).with_context(|| format!("an answer without the promised fields: {}", answer.beginning()))?;
    let written = media.join(decision.output_path.trim_start_matches('/'));
    let picture = fs::read(&written).with_context(|| format!("the service did not write {}", written.display()))?;
    let faces = decision.detections.into_iter().filter(|found| found.kind == "face").map(|found| found.area).collect();
    Ok(Crop {
        photograph: photograph.name.clone(),
        strategy: strategy.to_owned(),
        ratio,
        faces,
        area: decision.crop,
        score: decision.score,
        reasons: decision.reasons,
        milliseconds: decision.timings_ms.total,
        served_by: decision.served_by,
        degraded: decision.degraded,
        picture,
        answer: body,
    })
}
