//! Networks against the tensors that onnxruntime computed from the same weights and the same input.

use std::path::Path;
use std::sync::Arc;

use breakwater_inference::array::Array;
use breakwater_inference::engine::Engine;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::convnet::ConvnetEngine;
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::model::Model;
use breakwater_inference::{Isa, efficientnet_lite0, nanodet, yunet};
use safetensors::{Dtype, SafeTensors};

use crate::fake::pool;

/// What outputs may differ by.
const TOLERANCE: f32 = 1e-3;

fn file(model: Model) -> &'static str {
    match model {
        Model::YuNet => "yunet_astronaut512.safetensors",
        Model::NanoDet => "nanodet_astronaut416.safetensors",
        Model::EfficientNetLite0 => "efficientnet_lite0_3_photographs.safetensors",
    }
}

/// The first `count` of the reference's images, from the first again after the last, as the network takes them.
fn batch(model: Model, golden: &SafeTensors<'_>, count: usize) -> Array {
    let (name, mean, deviation) = match model {
        Model::YuNet => ("image_bgr_u8_hwc", [0.0; 3], [1.0; 3]),
        Model::NanoDet => ("image_bgr_u8_hwc", nanodet::MEAN, nanodet::DEVIATION),
        Model::EfficientNetLite0 => ("images_rgb_u8_nhwc", efficientnet_lite0::MEAN, efficientnet_lite0::DEVIATION),
    };
    let images = golden.tensor(name).unwrap();
    let [.., height, width, channels] = *images.shape() else { panic!("{:?}", images.shape()) };
    let mut values = Vec::new();
    for image in images.data().chunks_exact(height * width * channels).cycle().take(count) {
        for channel in 0..channels {
            let bytes = image.iter().skip(channel).step_by(channels);
            values.extend(bytes.map(|byte| (f32::from(*byte) - mean[channel]) / deviation[channel]));
        }
    }
    Array::new(Shape::new(count, channels, height, width), values).unwrap()
}

/// The largest difference of any output of `model` on `engine` from the reference, for each image of a batch.
pub(crate) fn largest_difference(engine: &dyn Engine, model: Model, images: usize) -> f32 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file(model));
    let bytes = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut session = engine.prepare(&model.load(None).unwrap()).unwrap();
    let outputs = session.run(batch(model, &golden, images).into()).unwrap();
    let mut compared = 0;
    let mut largest = 0f32;
    for (name, array) in outputs.iter() {
        let expected = golden.tensor(name).unwrap();
        assert_eq!(expected.dtype(), Dtype::F32);
        assert_eq!(array.shape().dims()[0], images);
        assert_eq!(&array.shape().dims()[1..], &expected.shape()[1..], "{name}");
        let per_image = expected.shape()[1..].iter().product();
        let expected: Vec<f32> = expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        for (found, expected) in array.values().chunks_exact(per_image).zip(expected.chunks_exact(per_image).cycle()) {
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected).abs();
                assert!(difference.is_finite(), "{name}: {found}");
                largest = largest.max(difference);
            }
        }
        compared += 1;
    }
    assert_eq!(compared, golden.len() - 1, "every reference tensor is compared");
    largest
}

pub(crate) fn check(engine: &dyn Engine, model: Model, images: usize) {
    let difference = largest_difference(engine, model, images);
    println!("{} on {}: {images} image(s), largest difference {difference:e}", model.name(), engine.device());
    assert!(difference <= TOLERANCE, "{} on {}: {difference}", model.name(), engine.device());
}

/// Every engine of the processor: ours with each set of vector instructions that this machine has, on one thread and spread over
/// two, and burn.
fn processors() -> Vec<Box<dyn Engine>> {
    let threads = pool(2);
    let ours = Isa::available().into_iter().flat_map(|isa| {
        [None, Some(Arc::clone(threads.threads()))].map(|threads| Box::new(ConvnetEngine::new(isa, threads, 1)) as Box<dyn Engine>)
    });
    ours.chain([Box::new(BurnEngine::cpu(None)) as Box<dyn Engine>]).collect()
}

#[test]
fn yunet_on_the_cpu_equals_the_reference_alone_and_in_a_batch() {
    for engine in processors() {
        for images in [1, 3] {
            check(engine.as_ref(), Model::YuNet, images);
        }
    }
}

#[test]
fn nanodet_on_the_cpu_equals_the_reference_alone_and_in_a_batch() {
    for engine in processors() {
        for images in [1, 2] {
            check(engine.as_ref(), Model::NanoDet, images);
        }
    }
}

#[test]
fn efficientnet_lite0_on_the_cpu_equals_the_reference_alone_and_in_a_batch() {
    for engine in processors() {
        for images in [1, 3] {
            check(engine.as_ref(), Model::EfficientNetLite0, images);
        }
    }
}

#[test]
fn a_session_goes_on_after_an_input_that_its_network_does_not_take() {
    for engine in processors() {
        let mut session = engine.prepare(&Model::YuNet.load(None).unwrap()).unwrap();
        let zeros = |shape: Shape| Array::new(shape, vec![0.0; shape.elements().unwrap()]).unwrap().into();
        // 40 is no multiple of 32: the neck's additions do not fit.
        assert!(session.run(zeros(Shape::new(1, 3, 40, 40))).is_err());
        assert!(session.run(zeros(Shape::new(1, 4, 64, 64))).is_err());
        assert!(session.run(zeros(Shape::new(1, 3, 64, yunet::STRIDE as usize))).is_ok());
    }
}
