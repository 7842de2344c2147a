//! Probes of strategies.

use std::sync::Arc;

use breakwater_core::{
    AspectRatio, Bounds, CallContext, CropPlan, Detection, DetectionKind, FailureKind, PlanRequest, Point, Principal, Rect,
};
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;

use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::package::{Expectation, PlanFixture};
use crate::ports::on_pool;
use crate::services::Services;

/// A bright disc on a gradient, 96 by 64 pixels: for plugins without fixtures.
const PICTURE: &[u8] = include_bytes!("../probe_picture.png");

/// Runs a fixture.
pub(super) async fn probe(
    generation: &Generation,
    fixture: &PlanFixture,
    services: &Services,
    limits: &GuestLimits,
) -> Result<(), PluginError> {
    let plan = run(generation, fixture, services, limits).await?;
    fixture.expect.as_ref().map_or(Ok(()), |expected| compare(fixture, &plan, expected))
}

/// One of the strategies must answer on the built-in picture.
pub(super) async fn probe_builtin(generation: &Generation, services: &Services, limits: &GuestLimits) -> Result<(), PluginError> {
    let strategies: Vec<_> = generation.strategies().map(|strategy| strategy.name.clone()).collect();
    let mut outcome = Ok(());
    for strategy in strategies {
        let answer = builtin(generation, strategy, services, limits).await;
        if answer.is_ok() {
            return answer;
        }
        outcome = outcome.and(answer);
    }
    outcome
}

async fn run(generation: &Generation, fixture: &PlanFixture, services: &Services, limits: &GuestLimits) -> Result<CropPlan, PluginError> {
    let failed = |failure: String| PluginError::ProbeFailed { probe: fixture.name.clone(), failure };
    let context = CallContext::root(Principal::System, limits.timeout);
    let image = decode(fixture.image.clone(), services.image_limits, services, &context).await.map_err(failed)?;
    let request = PlanRequest { strategy: fixture.strategy.clone(), ratio: fixture.ratio, parameters: fixture.parameters.clone() };
    let given = fixture.detections.as_deref().unwrap_or_default();
    generation.probe(&context, &image, given, &request).await.map_err(|fault| failed(fault.failure.chain()))
}

/// A strategy may refuse the built-in picture as unsuitable: that is an answer too.
async fn builtin(generation: &Generation, strategy: String, services: &Services, limits: &GuestLimits) -> Result<(), PluginError> {
    let probe = format!("of `{strategy}` on the built-in picture");
    let failed = |failure: String| PluginError::ProbeFailed { probe: probe.clone(), failure };
    let context = CallContext::root(Principal::System, limits.timeout);
    let image = decode(Bytes::from_static(PICTURE), Limits::default(), services, &context).await.map_err(failed)?;
    let ratio = AspectRatio::new(1, 1).map_err(|error| failed(error.to_string()))?;
    let request = PlanRequest { strategy, ratio, parameters: serde_json::json!({}) };
    match generation.probe(&context, &image, &subjects(), &request).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.failure.kind == FailureKind::InvalidRequest => Ok(()),
        Err(fault) => Err(failed(fault.failure.chain())),
    }
}

async fn decode(bytes: Bytes, limits: Limits, services: &Services, context: &CallContext) -> Result<Arc<Image>, String> {
    let work = move || Image::decode(bytes, Detail::Full, &limits);
    let decoded = on_pool(&*services.ports.cpu, context.deadline, work).await.map_err(|failure| failure.chain())?;
    decoded.map(Arc::new).map_err(|error| error.to_string())
}

/// One face, one person and one thing where the disc is.
fn subjects() -> [Detection; 3] {
    let bounds = Bounds { x: 48.0, y: 14.0, width: 24.0, height: 24.0 };
    let landmarks = [(55.0, 22.0), (65.0, 22.0), (60.0, 27.0), (56.0, 32.0), (64.0, 32.0)].map(|(x, y)| Point { x, y }).to_vec();
    let found = |kind, label: &str, landmarks| Detection { kind, label: label.to_owned(), confidence: 0.9, bounds, landmarks };
    [
        found(DetectionKind::Face, "face", landmarks),
        found(DetectionKind::Person, "person", Vec::new()),
        found(DetectionKind::Object, "sports ball", Vec::new()),
    ]
}

fn compare(fixture: &PlanFixture, plan: &CropPlan, expected: &Expectation) -> Result<(), PluginError> {
    let edges = |rect: Rect| [rect.x, rect.y, rect.x.saturating_add(rect.width), rect.y.saturating_add(rect.height)];
    let off = edges(plan.crop).into_iter().zip(edges(expected.crop)).map(|(got, wanted)| got.abs_diff(wanted)).max().unwrap_or(0);
    if off <= expected.tolerance {
        return Ok(());
    }
    let (got, wanted, tolerance) = (plan.crop, expected.crop, expected.tolerance);
    let failure = format!("planned {got}, expected {wanted} within {tolerance} pixels");
    Err(PluginError::ProbeFailed { probe: fixture.name.clone(), failure })
}
