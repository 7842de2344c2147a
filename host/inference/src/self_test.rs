//! A face with a known answer, by which an engine proves that it computes correctly.

use breakwater_core::{Bounds, Detection, DetectionKind, Size};
use breakwater_vision::RgbImage;

use crate::batch::Batch;
use crate::engine::Engine;
use crate::found::Found;
use crate::frame::Frame;
use crate::graph::weights::Network;
use crate::model::Model;

/// Size of the picture.
pub(crate) const SIZE: Size = Size::new(128, 128);

/// Eileen Collins, NASA, public domain: RGB, 128x128, cut out of scikit-image's `astronaut`.
const FACE: &[u8; 128 * 128 * 3] = include_bytes!("self_test/face.rgb");

/// What YuNet finds in it, computed on the CPU, where the network equals onnxruntime's to 4e-6.
const EXPECTED: Bounds = Bounds { x: 19.137, y: 12.655, width: 86.388, height: 105.904 };
/// How sure it is.
const CONFIDENCE: f32 = 0.9358;

/// The picture, ready for YuNet.
pub(crate) fn frame() -> Frame {
    Frame { content: RgbImage { size: SIZE, pixels: FACE.to_vec() }, left: 0, top: 0, input: SIZE }
}

/// Whether the known answer was found.
///
/// # Errors
/// What was found instead.
pub(crate) fn check(found: &Found) -> Result<(), String> {
    match &*found.of(DetectionKind::Face) {
        [face] if face.bounds.iou(&EXPECTED) > 0.95 && (face.confidence - CONFIDENCE).abs() < 0.01 => Ok(()),
        [] => Err("it does not find a known face".to_owned()),
        [face, others @ ..] => {
            let Detection { bounds, confidence, .. } = face;
            Err(format!("it finds a known face at {bounds:?} with confidence {confidence}, {} in all", 1 + others.len()))
        }
    }
}

/// Lets an engine find the face.
///
/// # Errors
/// What the engine did instead.
pub(crate) fn check_engine(engine: &dyn Engine, yunet: &Network) -> Result<(), String> {
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (frame, normalisation) = (frame(), Model::YuNet.normalisation());
        let outputs = engine.prepare(yunet)?.run(Batch::Frames { frames: &[&frame], normalisation: &normalisation })?;
        Model::YuNet.read(&outputs, 0, SIZE)
    }));
    match attempt {
        Ok(Ok(found)) => check(&found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("it panicked: {}", crate::worker::panic_message(panic.as_ref()))),
    }
}
