//! The detectors as operations and plugins see them: what finds things, what it runs on, whether it works.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Detection, DetectionKind, Failure};
use breakwater_inference::{DeviceReport, Inference};
use breakwater_plugins::Detect;
use breakwater_vision::Image;
use futures_util::future::{BoxFuture, join_all};

/// Detectors and what is known about them.
pub trait Detectors: Detect {
    /// Names of the models that find this kind, such as `yunet`.
    fn model(&self, kind: DetectionKind) -> String;
    /// Whether this image was searched for this kind before, so that asking again costs nothing.
    fn has_cached(&self, image: &Image, kind: DetectionKind) -> bool;
    /// Where they run now, and why there.
    fn device(&self) -> DeviceReport;
    /// Runs every model on a known picture and compares; how long that took.
    fn self_test(&self) -> BoxFuture<'_, Result<Duration, Failure>>;
}

/// What was found of one kind, or why it could not be searched for.
pub(crate) type Found = Result<Arc<[Detection]>, Failure>;

/// Searches for several kinds at the same time; results in the order of the kinds. None of them outlasts the deadline.
pub(crate) async fn search(detectors: &dyn Detectors, image: &Arc<Image>, kinds: &[DetectionKind], deadline: Deadline) -> Vec<Found> {
    let one = async |kind: &DetectionKind| deadline.bound("detection", detectors.detect(image, *kind, deadline)).await.flatten();
    join_all(kinds.iter().map(one)).await
}

/// The models of the inference engine.
#[derive(Clone)]
pub struct ModelDetectors(Arc<Inference>);

impl ModelDetectors {
    /// The models of `inference`.
    #[must_use]
    pub fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl Detect for ModelDetectors {
    fn detect<'a>(
        &'a self,
        image: &'a Arc<Image>,
        kind: DetectionKind,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>> {
        Box::pin(self.0.detect(image, kind, deadline))
    }
}

impl Detectors for ModelDetectors {
    fn model(&self, kind: DetectionKind) -> String {
        let models = self.0.models();
        let found = models.iter().find(|model| model.kinds.contains(&kind));
        found.map_or_else(|| kind.name().to_owned(), |model| model.name.to_string())
    }

    fn has_cached(&self, image: &Image, kind: DetectionKind) -> bool {
        self.0.cached(image, kind).is_some()
    }

    fn device(&self) -> DeviceReport {
        self.0.device()
    }

    fn self_test(&self) -> BoxFuture<'_, Result<Duration, Failure>> {
        Box::pin(self.0.self_test())
    }
}

impl std::fmt::Debug for ModelDetectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelDetectors").finish_non_exhaustive()
    }
}
