//! `detect-objects`: what is in a picture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{CallContext, Detection, DetectionKind, Failure, Outcome, Reason, ServedBy, Size};
use breakwater_telemetry::Stage;
use breakwater_vision::Image;

use crate::detectors::{self, Detectors, Found};
use crate::json;
use crate::operation::DETECT_OBJECTS;
use crate::operations::Operations;
use crate::source::{self, ImageSource};
use crate::typed::Typed;

/// What is looked for when a call does not say.
pub const DEFAULT_KINDS: [DetectionKind; 2] = [DetectionKind::Face, DetectionKind::Person];

/// The confidence below which nothing is reported when a call does not say. Models report nothing below their own floor (0.5 for
/// faces, 0.3 for people and objects), so lower thresholds do not add faces.
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// What `detect-objects` takes.
#[derive(Debug, Clone)]
pub struct DetectInput {
    /// The picture.
    pub image: ImageSource,
    /// What to look for; empty means [`DEFAULT_KINDS`].
    pub kinds: Vec<DetectionKind>,
    /// The least confidence reported, 0..=1; [`DEFAULT_THRESHOLD`] when absent.
    pub threshold: Option<f32>,
}

/// What `detect-objects` gives.
#[derive(Debug, Clone)]
pub struct DetectOutput {
    /// By falling confidence, in pixels of the original after orientation.
    pub detections: Vec<Detection>,
    /// Size of the original after orientation.
    pub size: Size,
    /// What was looked for and could be looked for.
    pub kinds: Vec<DetectionKind>,
    /// Where the models run.
    pub device: String,
    /// How long each stage took.
    pub timings: DetectTimings,
}

/// How long each stage of a detection took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DetectTimings {
    /// Getting the bytes.
    pub read: Duration,
    /// Decoding.
    pub decode: Duration,
    /// Running the models, waiting for a batch included.
    pub detect: Duration,
    /// All of it.
    pub total: Duration,
}

impl Operations {
    /// Finds what is in a picture. Several kinds are searched for at the same time. When some kinds fail and others do not, the
    /// answer holds what was found and is degraded.
    ///
    /// # Errors
    /// `detect.threshold-invalid`, what loading and decoding fail with, or the first detector's failure when every kind failed and no
    /// other provider of the operation answers.
    pub async fn detect(&self, context: &CallContext, input: DetectInput) -> Result<Outcome<DetectOutput>, Failure> {
        let input = DetectInput { image: self.fetched(context, input.image).await?, ..input };
        let (context, snapshot) = self.enter(context);
        let entry = snapshot.table.get(DETECT_OBJECTS.name)?;
        let here = async |context: CallContext| self.detect_here(&context, input.clone()).await;
        let failed =
            match self.typed(&context, entry, |outcome: &Outcome<DetectOutput>| (&outcome.served_by, outcome.is_degraded()), here).await {
                Typed::Ended(result) => return result,
                Typed::Continues(failed) => failed,
            };
        let payload = json::detect::to_payload(&input);
        let outcome = self.answer(context, Arc::clone(&snapshot), DETECT_OBJECTS.name, payload, failed).await?;
        let history = outcome.clone().map(drop);
        let output = json::detect::from_payload(outcome.value, outcome.elapsed)?;
        Ok(history.map(|()| output))
    }

    /// With the detectors of the host.
    pub(crate) async fn detect_here(&self, context: &CallContext, input: DetectInput) -> Result<Outcome<DetectOutput>, Failure> {
        let result = self.find(context, input, Instant::now()).await;
        if let Ok(outcome) = &result {
            self.metrics().stage(Stage::Decode, outcome.value.timings.decode);
            self.metrics().stage(Stage::Detect, outcome.value.timings.detect);
        }
        result
    }

    async fn find(&self, context: &CallContext, input: DetectInput, started: Instant) -> Result<Outcome<DetectOutput>, Failure> {
        let deadline = context.deadline;
        let threshold = checked_threshold(input.threshold)?;
        let kinds = distinct(if input.kinds.is_empty() { &DEFAULT_KINDS } else { &input.kinds });

        let bytes = self.load(context, input.image).await?;
        let read = started.elapsed();
        let smallest = |info: &breakwater_vision::Info| Ok(source::smallest_for_analysis(info.size));
        let (image, decode) = source::decode(self.cpu(), bytes, self.limits(), deadline, smallest).await?;

        let detecting = Instant::now();
        let served_by = served_by(self.detectors().as_ref(), &image, &kinds);
        let found = detectors::search(self.detectors().as_ref(), &image, &kinds, deadline).await;
        let timings = DetectTimings { read, decode, detect: detecting.elapsed(), total: started.elapsed() };

        let Merged { detections, kinds, reasons } = merge(&kinds, found, threshold, self.detectors().as_ref())?;
        let device = self.detectors().device().name;
        let value = DetectOutput { detections, size: image.size(), kinds, device, timings };
        let attempts = 1 + u32::try_from(reasons.len()).unwrap_or(u32::MAX - 1);
        Ok(Outcome { reasons, attempts, elapsed: started.elapsed(), ..Outcome::new(value, served_by) })
    }
}

fn checked_threshold(threshold: Option<f32>) -> Result<f32, Failure> {
    let threshold = threshold.unwrap_or(DEFAULT_THRESHOLD);
    if (0.0..=1.0).contains(&threshold) {
        Ok(threshold)
    } else {
        Err(Failure::invalid("detect.threshold-invalid", "the confidence threshold is a number from 0 to 1"))
    }
}

fn distinct(kinds: &[DetectionKind]) -> Vec<DetectionKind> {
    let mut seen = kinds.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// Who answers: the cache only if it knows every kind.
fn served_by(detectors: &dyn Detectors, image: &Image, kinds: &[DetectionKind]) -> ServedBy {
    let mut names: Vec<_> = kinds.iter().map(|kind| detectors.model(*kind)).collect();
    names.dedup();
    let name = names.join("+");
    if kinds.iter().all(|kind| detectors.has_cached(image, *kind)) {
        ServedBy::Cache { name }
    } else {
        ServedBy::Model { name, device: detectors.device().name }
    }
}

struct Merged {
    detections: Vec<Detection>,
    kinds: Vec<DetectionKind>,
    reasons: Vec<Reason>,
}

fn merge(kinds: &[DetectionKind], found: Vec<Found>, threshold: f32, detectors: &dyn Detectors) -> Result<Merged, Failure> {
    let mut merged = Merged { detections: Vec::new(), kinds: Vec::new(), reasons: Vec::new() };
    let mut first_failure = None;
    for (kind, result) in kinds.iter().zip(found) {
        match result {
            Ok(detections) => {
                merged.kinds.push(*kind);
                merged.detections.extend(detections.iter().filter(|detection| detection.confidence >= threshold).cloned());
            }
            Err(failure) => {
                merged.reasons.push(Reason::of(format!("model:{}", detectors.model(*kind)), &failure));
                first_failure.get_or_insert(failure);
            }
        }
    }
    match first_failure {
        Some(failure) if merged.kinds.is_empty() => Err(failure),
        _ => {
            merged.detections.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
            Ok(merged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeDetectors, detection};

    #[test]
    fn detectors_never_see_less_than_they_can_use() {
        const { assert!(crate::source::ANALYSIS_EDGE >= breakwater_inference::yunet::MAX_EDGE) };
    }

    #[test]
    fn kinds_are_searched_for_once_each() {
        use DetectionKind::{Face, Person};
        assert_eq!(distinct(&[Person, Face, Person]), [Face, Person]);
    }

    #[test]
    fn a_threshold_is_a_number_from_zero_to_one() {
        assert_eq!(checked_threshold(None).unwrap(), DEFAULT_THRESHOLD);
        for threshold in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
            assert_eq!(checked_threshold(Some(threshold)).unwrap_err().code, "detect.threshold-invalid");
        }
    }

    #[test]
    fn what_is_below_the_threshold_is_left_out_and_the_rest_is_sorted_over_all_kinds() {
        use DetectionKind::{Face, Person};
        let faces: Arc<[Detection]> = [detection(Face, 0.9), detection(Face, 0.4)].into();
        let people: Arc<[Detection]> = [detection(Person, 0.95), detection(Person, 0.5)].into();
        let merged = merge(&[Face, Person], vec![Ok(faces), Ok(people)], 0.5, &FakeDetectors).unwrap();
        let confidences: Vec<_> = merged.detections.iter().map(|found| found.confidence).collect();
        assert_eq!(confidences, [0.95, 0.9, 0.5]);
        assert!(merged.reasons.is_empty());
    }

    #[test]
    fn one_kind_that_works_is_a_degraded_answer_and_none_is_a_failure() {
        use DetectionKind::{Face, Person};
        let down = || Err(Failure::new(breakwater_core::FailureKind::Unavailable, "detector.unavailable", "down"));
        let faces: Arc<[Detection]> = [detection(Face, 0.9)].into();
        let merged = merge(&[Face, Person], vec![Ok(faces), down()], 0.5, &FakeDetectors).unwrap();
        assert_eq!((merged.kinds, merged.detections.len()), (vec![Face], 1));
        assert_eq!((merged.reasons[0].provider.as_str(), merged.reasons[0].code.as_str()), ("model:fake-person", "detector.unavailable"));
        let failure = merge(&[Face, Person], vec![down(), down()], 0.5, &FakeDetectors).err().unwrap();
        assert_eq!(failure.code, "detector.unavailable");
    }
}
