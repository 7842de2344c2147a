//! The shipped networks.

use std::path::Path;

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::Graph;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::{Network, Weights};
use breakwater_convnet::networks::{efficientnet_lite0, nanodet, yunet};
use breakwater_convnet::{Input, Isa};
use safetensors::SafeTensors;

use crate::case::Case;
use crate::comparison::{assert_holds, executor};
use crate::reference;

/// What outputs of real weights may differ from those that onnxruntime computed.
const TOLERANCE: f64 = 1e-3;

struct Golden {
    network: Network,
    input: Array,
    outputs: Vec<(String, Vec<f32>)>,
}

/// Shipped weights, and the tensors that onnxruntime computed with them from a photograph.
fn golden(graph: Graph, weights: &str, tensors: &str, scaling: ([f32; 3], [f32; 3])) -> Golden {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bytes = std::fs::read(root.join("host/inference/tests/golden").join(tensors)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let image = file.tensor("image_bgr_u8_hwc").unwrap();
    let [height, width, channels] = *image.shape() else { panic!("{:?}", image.shape()) };
    let (mean, deviation) = scaling;
    let mut values = Vec::new();
    for channel in 0..channels {
        let bytes = image.data().iter().skip(channel).step_by(channels);
        values.extend(bytes.map(|byte| (f32::from(*byte) - mean[channel]) / deviation[channel]));
    }
    let shape = Shape::new(1, channels, height, width);
    let weights = Weights::read(&std::fs::read(root.join("models").join(weights)).unwrap()).unwrap();
    let value = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let outputs = graph.outputs().iter().map(|output| {
        let tensor = file.tensor(&output.name).unwrap();
        (output.name.clone(), tensor.data().as_chunks::<4>().0.iter().map(value).collect())
    });
    let outputs = outputs.collect();
    Golden { network: Network::new(graph, weights, shape).unwrap(), input: Array::new(shape, values).unwrap(), outputs }
}

fn yunet_golden() -> Golden {
    golden(yunet::graph(), "yunet_n.safetensors", "yunet_astronaut512.safetensors", ([0.0; 3], [1.0; 3]))
}

fn nanodet_golden() -> Golden {
    golden(nanodet::graph(), "nanodet_g_416.f16.safetensors", "nanodet_astronaut416.safetensors", (nanodet::MEAN, nanodet::DEVIATION))
}

fn assert_near(what: &str, expected: &[f32], found: impl ExactSizeIterator<Item = f64>) {
    assert_eq!(expected.len(), found.len(), "{what}");
    let largest = expected.iter().zip(found).map(|(expected, found)| (f64::from(*expected) - found).abs());
    let largest = largest.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a });
    assert!(largest <= TOLERANCE, "{what}: {largest}");
}

fn assert_executor_near(golden: &Golden) {
    for isa in Isa::available() {
        let outputs = executor(&golden.network, isa, None).run(Input::Planes(&golden.input)).unwrap();
        for (name, expected) in &golden.outputs {
            let found = outputs.get(name).unwrap().values();
            assert_near(&format!("{name} on {isa}"), expected, found.iter().map(|value| f64::from(*value)));
        }
    }
}

#[test]
fn the_reference_equals_the_tensors_of_yunet() {
    let golden = yunet_golden();
    let found = reference::run(&golden.network, &golden.input);
    for (output, (name, expected)) in golden.network.graph().outputs().iter().zip(&golden.outputs) {
        assert_near(name, expected, found[output.node.index()].elements.iter().map(|element| element.value));
    }
}

#[test]
fn yunet_equals_the_tensors_of_another_engine_on_every_instruction_set() {
    assert_executor_near(&yunet_golden());
}

#[test]
fn nanodet_equals_the_tensors_of_another_engine_on_every_instruction_set() {
    assert_executor_near(&nanodet_golden());
}

#[test]
fn yunet_equals_the_reference_at_every_size() {
    for (images, height, width) in [(1, 32, 32), (3, 32, 64), (2, 96, 64), (1, 64, 160), (1, 224, 32)] {
        assert_holds(&Case::new(yunet::graph(), [images, 3, height, width]));
    }
}

#[test]
fn nanodet_equals_the_reference_at_every_size() {
    for (images, height, width) in [(1, 32, 32), (2, 64, 64), (1, 96, 32)] {
        assert_holds(&Case::new(nanodet::graph(), [images, 3, height, width]));
    }
}

#[test]
fn efficientnet_lite0_equals_the_reference_at_every_size() {
    for (images, height, width) in [(1, 32, 32), (2, 64, 47), (1, 33, 96)] {
        assert_holds(&Case::new(efficientnet_lite0::graph(), [images, 3, height, width]));
    }
}
