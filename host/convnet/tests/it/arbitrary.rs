//! Graphs that nobody checked, many of them invalid: they run or are refused, and nothing panics.

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::Network;
use breakwater_convnet::graph::{Activation, Conv, Graph, GraphBuilder, NodeId, Padding};
use breakwater_convnet::{ConvnetError, Executor, Input, Isa, Options};
use proptest::prelude::*;

use crate::case::{describe, numbers, weights};
use crate::comparison::{cases, pools};

/// No test allocates tensors or weights of more values.
const MOST_VALUES: usize = 100_000;

#[derive(Debug, Clone)]
enum Layer {
    Conv(Conv),
    Add(usize, usize),
    Concat(Vec<usize>),
    MaxPool(usize, usize, usize),
    Nearest(usize),
    Bilinear(usize, usize),
    Channels(usize, usize),
    Mean,
    Activate(Activation),
}

/// Mostly what makes sense there, sometimes small, sometimes absurd.
fn number(sensible: impl Strategy<Value = usize> + 'static) -> BoxedStrategy<usize> {
    let absurd = prop_oneof![Just(usize::MAX), Just(usize::MAX / 2 + 1), Just(1 << 32), Just(1 << 20), Just(isize::MAX as usize)];
    prop_oneof![40 => sensible, 3 => 0..5usize, 1 => 5..70usize, 1 => absurd].boxed()
}

fn activation() -> impl Strategy<Value = Activation> {
    let slopes = prop_oneof![8 => -2.0f32..3.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(-f32::MAX), 1 => any::<f32>()];
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Relu),
        Just(Activation::Relu6),
        Just(Activation::Sigmoid),
        slopes.prop_map(|slope| Activation::LeakyRelu { slope }),
    ]
}

fn conv() -> impl Strategy<Value = Conv> {
    let padding =
        prop_oneof![2 => Just([0usize; 4]).boxed(), 2 => Just([1; 4]).boxed(), 1 => std::array::from_fn(|_| number(0..2usize)).boxed()];
    (0..40u8, number(1..12usize), number(1..4usize), number(1..3usize), padding, number(Just(1usize)), activation()).prop_map(
        |(name, out_channels, kernel, stride, [top, left, bottom, right], groups, activation)| {
            let padding = Padding { top, left, bottom, right };
            Conv { name: format!("c{name}"), out_channels, kernel, stride, padding, groups, activation }
        },
    )
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        6 => conv().prop_map(Layer::Conv),
        2 => (0..12usize, any::<bool>()).prop_map(|(a, twice)| Layer::Add(a, if twice { a } else { a + 1 })),
        2 => prop::collection::vec(0..12usize, 0..4).prop_map(Layer::Concat),
        2 => (number(1..4usize), number(1..3usize), number(Just(0usize))).prop_map(|(kernel, stride, padding)| Layer::MaxPool(kernel, stride, padding)),
        1 => number(1..3usize).prop_map(Layer::Nearest),
        1 => (number(1..4usize), number(1..3usize)).prop_map(|(numerator, denominator)| Layer::Bilinear(numerator, denominator)),
        2 => (number(Just(0usize)), number(Just(1usize))).prop_map(|(start, count)| Layer::Channels(start, count)),
        1 => Just(Layer::Mean),
        2 => activation().prop_map(Layer::Activate),
    ]
}

/// Names of nodes that may not exist: another graph's.
fn names() -> Vec<NodeId> {
    let (mut other, first) = GraphBuilder::new("other", 1);
    std::iter::once(first).chain((0..15).map(|_| other.activate(first, Activation::Identity))).collect()
}

fn build(channels: usize, layers: &[(usize, Layer)], outputs: &[usize]) -> Graph {
    let names = names();
    let (mut b, _) = GraphBuilder::new("arbitrary", channels);
    for (count, (back, layer)) in (1..).zip(layers) {
        // Mostly the node before, sometimes any, also one that comes later or never.
        let last = count - 1;
        let x = names[if *back < 19 { last } else { back % names.len() }];
        // One after the last is this node itself.
        let near = |pick: usize| names[if pick == 11 { count } else { last.saturating_sub(pick % 3) }];
        match layer {
            Layer::Conv(conv) => b.conv(x, conv.clone()),
            Layer::Add(one, other) => b.add(near(*one), near(*other)),
            Layer::Concat(parts) => b.concat(&parts.iter().map(|part| near(*part)).collect::<Vec<_>>()),
            Layer::MaxPool(kernel, stride, padding) => b.max_pool(x, *kernel, *stride, *padding),
            Layer::Nearest(factor) => b.upsample_nearest(x, *factor),
            Layer::Bilinear(numerator, denominator) => b.resize_bilinear(x, *numerator, *denominator),
            Layer::Channels(start, count) => b.channels(x, *start, *count),
            Layer::Mean => b.global_average_pool(x),
            Layer::Activate(activation) => b.activate(x, *activation),
        };
    }
    for (number, output) in outputs.iter().enumerate() {
        // Sometimes a name is given twice.
        let node = if *output == 0 { layers.len() + 1 } else { layers.len().saturating_sub(*output % 4) };
        b.output(format!("y{}", number.min(2)), names[node]);
    }
    b.finish()
}

/// Values of all tensors and weights, if they are few enough to be there.
fn small_enough(graph: &Graph, shapes: &[Shape]) -> bool {
    let of_weights = |conv: &Conv| conv.out_channels.checked_mul(conv.kernel)?.checked_mul(conv.kernel)?.checked_mul(70);
    let tensors = shapes.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape.elements()?));
    let convolutions = graph.convolutions().try_fold(0usize, |sum, conv| sum.checked_add(of_weights(conv)?));
    tensors.is_some_and(|sum| sum <= MOST_VALUES) && convolutions.is_some_and(|sum| sum <= 70 * MOST_VALUES)
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn arbitrary_graphs_run_or_are_refused(
                channels in number(1..5usize), other_channels in number(1..5usize), checked in [number(1..3usize), number(3..9usize), number(3..9usize)],
        shape in [1..3usize, 1..9usize, 1..9usize], layers in prop::collection::vec((0..20usize, layer()), 0..6),
        outputs in prop_oneof![6 => prop::collection::vec(1..40usize, 1..3), 1 => prop::collection::vec(0..40usize, 0..5)],
    ) {
        let graph = build(channels, &layers, &outputs);
        let [images, height, width] = checked;
        let checked = Shape::new(images, channels, height, width);
        let shapes = graph.shapes(checked);
        let can_be_loaded = shapes.as_ref().is_ok_and(|shapes| small_enough(&graph, shapes));
        if !can_be_loaded {
            if shapes.is_err() {
                let (empty, x) = GraphBuilder::new("empty", 1);
                let mut empty = empty;
                empty.output("y", x);
                let nothing = weights(&empty.finish(), Shape::new(1, 1, 1, 1), 1);
                prop_assert!(Network::new(graph, nothing, checked).is_err());
            }
            return Ok(());
        }
        let network = Network::new(graph.clone(), weights(&graph, checked, 7), checked).unwrap();
        let [images, height, width] = shape;
        for shape in [checked, Shape::new(images, channels, height, width), Shape::new(images, other_channels, height, width)] {
            let valid = graph.shapes(shape);
            if valid.as_ref().is_ok_and(|shapes| !small_enough(&graph, shapes)) || shape.elements().is_none() {
                continue;
            }
            let input = Array::new(shape, numbers(shape.elements().unwrap(), 3)).unwrap();
            for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [(isa, None), (isa, Some(pools()[2].clone()))]) {
                let executor = Executor::new(&network, Options { isa: Some(isa), threads, least_part: Some(0), ..Options::default() });
                let result = executor.and_then(|executor| executor.run(Input::Planes(&input)));
                match (result, &valid) {
                    (Ok(outputs), Ok(shapes)) => {
                        for (output, (_, array)) in graph.outputs().iter().zip(outputs.iter()) {
                            prop_assert_eq!(array.shape(), shapes[output.node.index()]);
                        }
                    }
                    (Err(ConvnetError::Graph(_)), Err(_)) | (Err(ConvnetError::TooLarge { .. }), Ok(_)) => {}
                    (Err(error), _) => prop_assert!(false, "refused on {isa}: {error:?}\n{}", describe(&graph, shape)),
                    (Ok(_), Err(error)) => prop_assert!(false, "runs on {isa} in spite of {error}\n{}", describe(&graph, shape)),
                }
            }
        }
    }
}
