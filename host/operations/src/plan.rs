//! `plan-crop`: where to cut. A strategy plugin is asked first; if it fails, the host takes the centre, and the answer says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{AspectRatio, CallContext, CropPlan, Detection, Failure, Outcome, Payload, PlanRequest, ServedBy, Size};
use breakwater_plugins::{Generation, Snapshot};
use breakwater_vision::Image;
use serde_json::Value;

use crate::chain::{self, Ask, Asking, Chain, Provider, is_about_the_request};
use crate::json;
use crate::json::plan::PlanCropInput;
use crate::operation::PLAN_CROP;
use crate::operations::Operations;
use crate::{source, strategies};

/// Used when a call names no strategy.
pub const DEFAULT_STRATEGY: &str = "center_faces";

/// Kept back for the centre crop: it takes microseconds, but a busy machine may take longer to come to it.
const CENTER_RESERVE: Duration = Duration::from_millis(20);

/// The largest strategy parameters, as JSON text, in bytes.
pub const MAX_PARAMETERS: usize = 64 << 10;

/// The most detections a call may bring.
pub const MAX_DETECTIONS: usize = 1000;

/// The longest label of a detection a call may bring, in bytes.
const MAX_LABEL: usize = 64;

/// The most landmarks of one detection a call may bring.
const MAX_LANDMARKS: usize = 16;

/// What `plan-crop` takes.
#[derive(Clone)]
pub struct PlanInput {
    /// The decoded picture.
    pub image: Arc<Image>,
    /// What the strategy is asked.
    pub request: PlanRequest,
    /// Detections the caller brought; empty lets the strategy detect as it needs.
    pub given: Vec<Detection>,
}

/// Which plugin planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginIdentity {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Digest of the generation: code, configuration and grants.
    pub digest: breakwater_core::Digest,
    /// Digest of the component alone.
    pub code_digest: breakwater_core::Digest,
}

impl PluginIdentity {
    /// Of a generation.
    #[must_use]
    pub fn of(generation: &Generation) -> Self {
        Self {
            id: generation.id().to_string(),
            version: generation.version().to_owned(),
            digest: generation.digest(),
            code_digest: generation.code_digest(),
        }
    }

    pub(crate) fn served_by(&self) -> ServedBy {
        ServedBy::Plugin { id: self.id.clone(), version: self.version.clone(), digest: self.code_digest }
    }
}

/// The generation that offers a strategy in the call's snapshot.
///
/// # Errors
/// `strategy.unknown`, with the known names and the closest one.
pub(crate) fn strategy<'a>(snapshot: &'a Snapshot, name: &str) -> Result<(&'a breakwater_core::Strategy, &'a Arc<Generation>), Failure> {
    snapshot.strategy(name).ok_or_else(|| {
        let known = snapshot.strategies().map(|(strategy, _)| strategy.name.clone()).collect();
        strategies::unknown(name, known)
    })
}

impl Operations {
    /// Asks the generation, then the centre.
    pub(crate) async fn plan(
        &self,
        context: &CallContext,
        generation: &Arc<Generation>,
        input: PlanInput,
    ) -> Result<Outcome<CropPlan>, Failure> {
        let started = Instant::now();
        let deadline = context.tightened(PLAN_CROP.timeout).deadline;
        let (size, ratio) = (input.image.size(), input.request.ratio);
        let ask: Ask<'_, CropPlan> = Box::new(move |Asking { deadline, .. }| {
            Box::pin(async move {
                // Not one level deeper: no guest waits for this one, so it may queue for a place.
                let asking = CallContext { deadline, ..context.clone() };
                let asked = Instant::now();
                let planned = generation.plan(&asking, &input.image, &input.given, &input.request).await;
                let result = planned.as_ref().map(drop).map_err(|failure| failure.kind);
                self.metrics().plugin_call(generation.id().as_str(), result, asked.elapsed());
                planned.map(Some)
            })
        });
        let served_by = PluginIdentity::of(generation).served_by();
        let timeout = PLAN_CROP.timeout;
        let plugin = Provider { served_by, level: None, timeout, reserve: Duration::ZERO, ends: is_about_the_request, ask };
        let chain = Chain { effect: PLAN_CROP.effect, providers: vec![plugin, center(size, ratio)], refused: None };
        let result = chain::run(chain, deadline).await;
        self.count_call(PLAN_CROP.name, started, result.as_ref().map(|outcome| (&outcome.served_by, outcome.is_degraded())));
        result
    }

    /// `plan-crop` by name: decodes as much as strategies look at, asks, and says where to cut.
    pub(crate) async fn plan_here(
        &self,
        context: &CallContext,
        plugins: &Snapshot,
        input: PlanCropInput,
    ) -> Result<Outcome<Payload>, Failure> {
        check_detections(&input.detections)?;
        let name = input.strategy.unwrap_or_else(|| DEFAULT_STRATEGY.to_owned());
        let (strategy, generation) = strategy(plugins, &name)?;
        let request = PlanRequest { strategy: name, ratio: input.ratio, parameters: checked_parameters(input.parameters)? };
        let bytes = self.load(context, input.image).await?;
        let smallest = |info: &breakwater_vision::Info| Ok(source::smallest_for_analysis(info.size));
        let (image, _) = source::decode(self.cpu(), bytes, self.limits(), context.deadline, smallest).await?;
        let found =
            if input.detections.is_empty() { self.prefetch(&image, &strategy.needs, context).await } else { input.detections.clone() };
        let size = image.size();
        let outcome = self.plan(context, generation, PlanInput { image, request, given: input.detections }).await?;
        Ok(outcome.map(|plan| json::plan::output(&plan, size, &found)))
    }
}

/// The centre crop of the host: the last provider, which cannot fail.
fn center<'a>(size: Size, ratio: AspectRatio) -> Provider<'a, CropPlan> {
    Provider {
        served_by: ServedBy::Host { name: "center".to_owned() },
        level: None,
        timeout: PLAN_CROP.timeout,
        reserve: CENTER_RESERVE,
        ends: is_about_the_request,
        ask: Box::new(move |_| Box::pin(async move { Ok(Some(CropPlan::centered(size, ratio))) })),
    }
}

/// Refuses detections that no detector could have given.
///
/// # Errors
/// `detections.too-many` (limit) or `detections.invalid`, with the position.
pub(crate) fn check_detections(given: &[Detection]) -> Result<(), Failure> {
    if given.len() > MAX_DETECTIONS {
        let message = format!("a call may bring at most {MAX_DETECTIONS} detections");
        return Err(Failure::limit("detections.too-many", message));
    }
    for (index, detection) in given.iter().enumerate() {
        let problem = if !detection.bounds.is_valid() {
            "box"
        } else if !(0.0..=1.0).contains(&detection.confidence) {
            "confidence"
        } else if detection.label.len() > MAX_LABEL {
            "label"
        } else if detection.landmarks.len() > MAX_LANDMARKS
            || !detection.landmarks.iter().all(|point| point.x.is_finite() && point.y.is_finite())
        {
            "landmarks"
        } else {
            continue;
        };
        let message = format!("the {problem} of detection {index} is not one a detector could give");
        let detail =
            serde_json::json!({ "violations": [{ "pointer": format!("/detection_results/{index}/{problem}"), "message": message }] });
        return Err(Failure::invalid("detections.invalid", message).with_detail(detail));
    }
    Ok(())
}

/// Parameters are an object of bounded size; absent ones are an empty object.
///
/// # Errors
/// `strategy.parameters-invalid`, or `strategy.parameters-too-large` (limit).
pub(crate) fn checked_parameters(parameters: Option<Value>) -> Result<Value, Failure> {
    let parameters = match parameters {
        None | Some(Value::Null) => return Ok(Value::Object(serde_json::Map::new())),
        Some(object @ Value::Object(_)) => object,
        Some(_) => return Err(Failure::invalid("strategy.parameters-invalid", "strategy parameters are a JSON object")),
    };
    if parameters.to_string().len() > MAX_PARAMETERS {
        let message = format!("strategy parameters have at most {MAX_PARAMETERS} bytes as JSON");
        return Err(Failure::limit("strategy.parameters-too-large", message));
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use breakwater_core::{Deadline, DetectionKind, FailureKind, Point};
    use serde_json::json;

    use super::*;
    use crate::testing::detection;

    #[test]
    fn detections_no_detector_could_give_are_refused_with_their_place() {
        let good = detection(DetectionKind::Face, 0.9);
        assert!(check_detections(std::slice::from_ref(&good)).is_ok());
        let mut infinite = good.clone();
        infinite.bounds.x = f32::INFINITY;
        let mut sure = good.clone();
        sure.confidence = 1.5;
        let mut wordy = good.clone();
        wordy.label = "x".repeat(65);
        let mut marked = good.clone();
        marked.landmarks = vec![Point { x: f32::NAN, y: 0.0 }];
        for (bad, place) in [(infinite, "box"), (sure, "confidence"), (wordy, "label"), (marked, "landmarks")] {
            let failure = check_detections(&[good.clone(), bad]).unwrap_err();
            assert_eq!(failure.code, "detections.invalid");
            assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], format!("/detection_results/1/{place}"));
        }
        let failure = check_detections(&vec![good; MAX_DETECTIONS + 1]).unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Limit, "detections.too-many"));
    }

    #[test]
    fn parameters_are_an_object_of_bounded_size() {
        assert_eq!(checked_parameters(None).unwrap(), json!({}));
        assert_eq!(checked_parameters(Some(json!(null))).unwrap(), json!({}));
        assert_eq!(checked_parameters(Some(json!({ "a": 1 }))).unwrap(), json!({ "a": 1 }));
        assert_eq!(checked_parameters(Some(json!([1]))).unwrap_err().code, "strategy.parameters-invalid");
        let large = json!({ "a": "x".repeat(MAX_PARAMETERS) });
        assert_eq!(checked_parameters(Some(large)).unwrap_err().code, "strategy.parameters-too-large");
    }

    #[tokio::test]
    async fn the_center_of_the_host_always_answers() {
        let (size, ratio) = (Size::new(1, 20_000), AspectRatio::new(16, 9).unwrap());
        let deadline = Deadline::after(Duration::from_secs(1));
        let chain = Chain { effect: PLAN_CROP.effect, providers: vec![center(size, ratio)], refused: None };
        let outcome = chain::run(chain, deadline).await.unwrap();
        assert_eq!(outcome.value.check(size, ratio), Ok(()));
        assert_eq!(outcome.served_by.label(), "host:center");
    }
}
