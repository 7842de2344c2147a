//! Every kind of layer on its own, on each engine.

use breakwater_inference::Isa;
use breakwater_inference::array::Array;
use breakwater_inference::engine::Engine;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::convnet::ConvnetEngine;
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::graph::weights::{Network, Weights};
use breakwater_inference::graph::{Activation, Conv, GraphBuilder, NodeId, Padding};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Numbers from -1 to 1 that look random and are the same every time.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

type Layer = (&'static str, usize, fn(&mut GraphBuilder, NodeId) -> NodeId);

fn conv(out_channels: usize, kernel: usize, stride: usize, groups: usize, activation: Activation) -> Conv {
    Conv { name: "c".into(), out_channels, kernel, stride, padding: Padding::all(kernel / 2), groups, activation }
}

const LAYERS: [Layer; 16] = [
    ("pointwise convolution", 16, |b, x| b.conv(x, conv(32, 1, 1, 1, Activation::Identity))),
    ("depthwise convolution", 16, |b, x| b.conv(x, conv(16, 3, 1, 16, Activation::Relu))),
    ("dense convolution", 16, |b, x| b.conv(x, conv(8, 3, 1, 1, Activation::Identity))),
    ("dense convolution with a stride", 3, |b, x| b.conv(x, conv(16, 3, 2, 1, Activation::LeakyRelu { slope: 0.1 }))),
    ("sigmoid", 2, |b, x| b.activate(x, Activation::Sigmoid)),
    ("leaky relu", 2, |b, x| b.activate(x, Activation::LeakyRelu { slope: 0.1 })),
    ("max pool", 4, |b, x| b.max_pool(x, 2, 2, 0)),
    ("padded max pool", 4, |b, x| b.max_pool(x, 3, 2, 1)),
    ("nearest upsampling", 4, |b, x| b.upsample_nearest(x, 2)),
    ("bilinear enlarging", 4, |b, x| b.resize_bilinear(x, 2, 1)),
    ("bilinear reducing", 4, |b, x| b.resize_bilinear(x, 1, 2)),
    ("addition, concatenation and channels", 4, |b, x| {
        let part = b.channels(x, 1, 2);
        let sum = b.add(part, part);
        b.concat(&[x, sum])
    }),
    ("uneven padding, 3x3", 16, |b, x| {
        b.conv(x, Conv { padding: Padding::before_after(0, 1), ..conv(16, 3, 2, 16, Activation::Identity) })
    }),
    ("uneven padding, 5x5", 4, |b, x| b.conv(x, Conv { padding: UNEVEN, ..conv(4, 5, 2, 4, Activation::Identity) })),
    ("relu6", 16, |b, x| b.conv(x, conv(8, 5, 1, 1, Activation::Relu6))),
    ("global average", 4, |b, x| b.global_average_pool(x)),
];

/// Different on every side.
const UNEVEN: Padding = Padding { top: 1, left: 0, bottom: 2, right: 3 };

fn run(engine: &dyn Engine, (name, channels, layer): &Layer) -> Vec<f32> {
    let (mut builder, x) = GraphBuilder::new(name, *channels);
    let y = layer(&mut builder, x);
    builder.output("y", y);
    let graph = builder.finish();
    let shape = Shape::new(2, *channels, 14, 18);
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for conv in graph.convolutions() {
        let weight = vec![conv.out_channels, channels / conv.groups, conv.kernel, conv.kernel];
        for (suffix, dims) in [("weight", weight), ("bias", vec![conv.out_channels])] {
            let values = numbers(dims.iter().product(), 7);
            tensors.push((format!("c.{suffix}"), dims, values.iter().flat_map(|value| value.to_le_bytes()).collect()));
        }
    }
    let views = tensors.iter().map(|(name, dims, data)| (name, TensorView::new(Dtype::F32, dims.clone(), data).unwrap()));
    let weights = Weights::read(&safetensors::serialize(views, None).unwrap()).unwrap();
    let network = Network::new(graph, weights, shape).unwrap();
    let input = Array::new(shape, numbers(shape.elements().unwrap(), 3)).unwrap();
    let outputs = engine.prepare(&network).unwrap().run(input.into()).unwrap();
    outputs.get("y").unwrap().values().to_vec()
}

/// Holds every kind of layer on `engine` against burn on the CPU.
pub(crate) fn check(engine: &dyn Engine) {
    let cpu = BurnEngine::cpu(None);
    let mut wrong = Vec::new();
    for layer in &LAYERS {
        let (expected, found) = (run(&cpu, layer), run(engine, layer));
        assert_eq!(expected.len(), found.len());
        let largest = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{} on {}: largest difference {largest:e}", layer.0, engine.device());
        if largest.is_nan() || largest > 1e-4 {
            wrong.push(format!("{}: {largest}", layer.0));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn layers_of_both_engines_on_the_cpu_are_equal() {
    for isa in Isa::available() {
        check(&ConvnetEngine::new(isa, None, 1));
    }
}

#[test]
fn pooling_and_resizing_on_the_cpu_equal_their_definitions() {
    let cpu = BurnEngine::cpu(None);
    let input = numbers(2 * 4 * 14 * 18, 3);
    let at = |channel: usize, y: usize, x: usize| input[(channel * 14 + y) * 18 + x];
    let value = |found: &[f32], [height, width]: [usize; 2], channel: usize, y: usize, x: usize| found[(channel * height + y) * width + x];
    for channel in 0..8 {
        let (reduced, enlarged, pooled) = (run(&cpu, &LAYERS[10]), run(&cpu, &LAYERS[9]), run(&cpu, &LAYERS[7]));
        // Halving reads between two rows and two columns: their mean.
        let mean = (at(channel, 4, 6) + at(channel, 4, 7) + at(channel, 5, 6) + at(channel, 5, 7)) / 4.0;
        assert!((value(&reduced, [7, 9], channel, 2, 3) - mean).abs() < 1e-6);
        // Doubling: output 3 lies at 1.25, output 0 before the first centre.
        let row = |y: usize| 0.75 * at(channel, y, 1) + 0.25 * at(channel, y, 2);
        assert!((value(&enlarged, [28, 36], channel, 3, 3) - (0.75 * row(1) + 0.25 * row(2))).abs() < 1e-6);
        assert_eq!(value(&enlarged, [28, 36], channel, 0, 0), at(channel, 0, 0));
        // Padding never wins, even where every value is negative.
        let corner = [at(channel, 0, 0), at(channel, 0, 1), at(channel, 1, 0), at(channel, 1, 1)];
        assert_eq!(value(&pooled, [7, 9], channel, 0, 0), corner.into_iter().fold(f32::NEG_INFINITY, f32::max));
    }
}

#[test]
fn uneven_padding_on_the_cpu_is_zeros_on_each_side_as_given() {
    let found = run(&BurnEngine::cpu(None), &LAYERS[13]);
    let (input, weight, bias) = (numbers(2 * 4 * 14 * 18, 3), numbers(4 * 25, 7), numbers(4, 7));
    // (14 + 1 + 2 - 5) / 2 + 1 rows, (18 + 0 + 3 - 5) / 2 + 1 columns.
    let (rows, columns) = (7, 9);
    assert_eq!(found.len(), 2 * 4 * rows * columns);
    for (index, value) in found.iter().enumerate() {
        let (plane, row, column) = (index / (rows * columns), index / columns % rows, index % columns);
        let mut expected = bias[plane % 4];
        for (tap, weight) in weight[plane % 4 * 25..][..25].iter().enumerate() {
            let (y, x) = ((2 * row + tap / 5).checked_sub(UNEVEN.top), 2 * column + tap % 5);
            expected += y.filter(|y| *y < 14 && x < 18).map_or(0.0, |y| input[(plane * 14 + y) * 18 + x]) * weight;
        }
        assert!((value - expected).abs() < 1e-5, "{plane} {row} {column}: {value} for {expected}");
    }
}

#[test]
fn relu6_and_the_global_average_on_the_cpu_equal_their_definitions() {
    let cpu = BurnEngine::cpu(None);
    let clipped = run(&cpu, &LAYERS[14]);
    assert!(clipped.iter().all(|value| (0.0..=6.0).contains(value)));
    let share = |wanted: fn(f32) -> bool| clipped.iter().filter(|value| wanted(**value)).count() * 10 / clipped.len();
    assert!(share(|value| value == 0.0) > 2 && share(|value| value == 6.0) > 0 && share(|value| value > 0.0 && value < 6.0) > 1);

    let (averages, input) = (run(&cpu, &LAYERS[15]), numbers(2 * 4 * 14 * 18, 3));
    assert_eq!(averages.len(), 2 * 4);
    for (average, plane) in averages.iter().zip(input.chunks_exact(14 * 18)) {
        assert!((average - plane.iter().sum::<f32>() / (14.0 * 18.0)).abs() < 1e-6);
    }
}
