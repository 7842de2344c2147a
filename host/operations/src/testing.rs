//! What the unit tests of this crate share.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Bounds, Deadline, Detection, DetectionKind, Failure};
use breakwater_inference::{DeviceKind, DeviceReport};
use breakwater_plugins::Detect;
use breakwater_vision::Image;
use futures_util::future::BoxFuture;

use crate::detectors::Detectors;

pub(crate) fn detection(kind: DetectionKind, confidence: f32) -> Detection {
    let bounds = Bounds { x: 1.0, y: 2.0, width: 3.0, height: 4.0 };
    Detection { kind, label: kind.name().to_owned(), confidence, bounds, landmarks: Vec::new() }
}

/// Detectors that find one thing of every kind.
#[derive(Debug)]
pub(crate) struct FakeDetectors;

impl Detect for FakeDetectors {
    fn detect<'a>(&'a self, _: &'a Arc<Image>, kind: DetectionKind, _: Deadline) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>> {
        Box::pin(async move { Ok([detection(kind, 0.9)].into()) })
    }
}

impl Detectors for FakeDetectors {
    fn model(&self, kind: DetectionKind) -> String {
        format!("fake-{kind}")
    }

    fn has_cached(&self, _: &Image, _: DetectionKind) -> bool {
        false
    }

    fn device(&self) -> DeviceReport {
        DeviceReport { kind: DeviceKind::Cpu, name: "fake".into(), reason: "a test".into() }
    }

    fn self_test(&self) -> BoxFuture<'_, Result<Duration, Failure>> {
        Box::pin(async { Ok(Duration::from_millis(1)) })
    }
}
