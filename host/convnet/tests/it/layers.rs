//! One layer of every kind that is no convolution.

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::{Activation, GraphBuilder, NodeId};
use breakwater_convnet::{Input, Isa};
use proptest::prelude::*;

use crate::blocks::Blocks;
use crate::case::Case;
use crate::comparison::{assert_holds, cases, check, executor};
use crate::convolutions::{activation, edges};

fn layer(channels: usize, shape: [usize; 3], seed: u64, write: impl FnOnce(&mut GraphBuilder, NodeId) -> NodeId) -> Case {
    let (mut blocks, input) = Blocks::new(channels);
    let y = write(&mut blocks.builder, input);
    let [images, height, width] = shape;
    Case { seed, ..Case::new(blocks.finish(&[y]), [images, channels, height, width]) }
}

/// Ratios, each with edges that it makes whole numbers of.
fn ratio() -> impl Strategy<Value = (usize, usize, [usize; 2])> {
    let ratios = prop_oneof![
        2 => Just((2usize, 1usize)), 2 => Just((1, 2)), 1 => Just((3, 1)), 1 => Just((1, 3)), 1 => Just((1, 4)), 1 => Just((4, 1)),
        1 => Just((3, 2)), 1 => Just((2, 3)), 1 => Just((5, 4)), 1 => Just((3, 5)), 1 => Just((1, 1)), 1 => Just((4, 2)),
    ];
    (ratios, edges())
        .prop_map(|((numerator, denominator), edges)| (numerator, denominator, edges.map(|edge| edge.div_ceil(denominator) * denominator)))
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn max_pools_equal_their_definition(
        (kernel, padding) in (1..=5usize).prop_flat_map(|kernel| (Just(kernel), 0..kernel)),
        stride in 1..=3usize, channels in 1..=40usize, edges in edges(), images in 1..=3usize, seed: u64,
    ) {
        let [height, width] = edges.map(|edge| edge.max(kernel.saturating_sub(2 * padding)));
        check(&layer(channels, [images, height, width], seed, |b, x| b.max_pool(x, kernel, stride, padding)))?;
    }

    #[test]
    fn nearest_upsampling_equals_its_definition(factor in 1..=4usize, channels in 1..=40usize, edges in edges(), images in 1..=2usize, seed: u64) {
        let [height, width] = edges.map(|edge| edge.div_ceil(2));
        check(&layer(channels, [images, height, width], seed, |b, x| b.upsample_nearest(x, factor)))?;
    }

    #[test]
    fn bilinear_resizing_equals_its_definition((numerator, denominator, edges) in ratio(), channels in 1..=40usize, images in 1..=2usize, seed: u64) {
        let [height, width] = edges;
        check(&layer(channels, [images, height, width], seed, |b, x| b.resize_bilinear(x, numerator, denominator)))?;
    }

    #[test]
    fn means_equal_their_definition(channels in 1..=70usize, edges in edges(), images in 1..=3usize, seed: u64) {
        let [height, width] = edges;
        check(&layer(channels, [images, height, width], seed, |b, x| b.global_average_pool(x)))?;
    }

    #[test]
    fn channels_that_are_aligned_to_nothing_are_taken_out(
        (channels, start, count) in (1..=70usize).prop_flat_map(|channels| (Just(channels), 0..channels)).prop_flat_map(|(channels, start)| {
            (Just(channels), Just(start), 1..=channels - start)
        }),
        edges in edges(), images in 1..=2usize, seed: u64,
    ) {
        let [height, width] = edges;
        check(&layer(channels, [images, height, width], seed, |b, x| b.channels(x, start, count)))?;
    }

    #[test]
    fn functions_are_applied_to_every_element(activation in activation(), channels in 1..=40usize, edges in edges(), images in 1..=2usize, seed: u64) {
        let [height, width] = edges;
        check(&layer(channels, [images, height, width], seed, |b, x| b.activate(x, activation)))?;
    }

    #[test]
    fn sums_and_concatenations_equal_their_definition(channels in prop::collection::vec(1..=20usize, 1..5), edges in edges(), images in 1..=2usize, seed: u64) {
        let [height, width] = edges;
        let case = layer(20, [images, height, width], seed, |b, x| {
            let parts: Vec<_> = channels.iter().map(|count| b.channels(x, 20 - count, *count)).collect();
            let all = b.concat(&parts);
            b.add(all, all)
        });
        check(&case)?;
    }
}

#[test]
fn a_network_of_its_input_alone_gives_it_back() {
    let (blocks, input) = Blocks::new(5);
    assert_holds(&Case::new(blocks.finish(&[input]), [2, 5, 3, 7]));
    let (mut blocks, input) = Blocks::new(3);
    let same = blocks.builder.activate(input, Activation::Identity);
    assert_holds(&Case::new(blocks.finish(&[input, same, input]), [3, 3, 1, 1]));
}

#[test]
fn padding_never_wins_in_a_pool_of_negative_values() {
    let case = layer(3, [1, 5, 5], 1, |b, x| b.max_pool(x, 3, 2, 1));
    let input = Array::new(case.shape, (0..75).map(|index| -1.0 - index as f32).collect()).unwrap();
    for isa in Isa::available() {
        let outputs = executor(&case.network(), isa, None).run(Input::Planes(&input)).unwrap();
        let found = outputs.get("y0").unwrap();
        assert_eq!(found.shape(), Shape::new(1, 3, 3, 3));
        assert_eq!(&found.values()[..9], [-1.0, -2.0, -4.0, -6.0, -7.0, -9.0, -16.0, -17.0, -19.0], "{isa}");
    }
}

type Function = fn(f32) -> f32;

#[test]
fn functions_hold_at_the_ends_of_their_range() {
    let inputs = [-f32::MAX, -1e30, -1000.0, -88.0, -20.0, -1e-20, -0.0, 0.0, 1e-20, 6.0, 20.0, 88.0, 1000.0, 1e30, f32::MAX];
    let expected: [(Activation, Function); 4] = [
        (Activation::Relu, |x| x.max(0.0)),
        (Activation::Relu6, |x| x.clamp(0.0, 6.0)),
        (Activation::LeakyRelu { slope: 0.1 }, |x| if x > 0.0 { x } else { 0.1 * x }),
        (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ];
    for (activation, function) in expected {
        let case = layer(1, [1, 1, inputs.len()], 1, |b, x| b.activate(x, activation));
        let input = Array::new(case.shape, inputs.to_vec()).unwrap();
        for isa in Isa::available() {
            let outputs = executor(&case.network(), isa, None).run(Input::Planes(&input)).unwrap();
            for (x, found) in inputs.iter().zip(outputs.get("y0").unwrap().values()) {
                let wanted = function(*x);
                assert!(
                    (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                    "{activation:?} of {x} on {isa}: {found} instead of {wanted}"
                );
            }
        }
    }
}
