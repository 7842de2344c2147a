//! Layers beside each other that an executor may compute as one.

use breakwater_convnet::graph::{Activation, Conv, Padding};
use proptest::prelude::*;

use crate::blocks::{Blocks, conv, depthwise};
use crate::case::Case;
use crate::comparison::{assert_holds, cases, check};
use crate::convolutions::{activation, edges, window};

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn pointwise_then_depthwise(
        channels in 1..=70usize, out in 1..=70usize, (kernel, padding) in window(2..=5usize), stride in 1..=2usize,
        first in activation(), second in activation(), edges in edges(), images in 1..=2usize, also_read: bool, seed: u64,
    ) {
        let [height, width] = edges.map(|edge| edge.max(kernel));
        let (mut blocks, x) = Blocks::new(channels);
        let wide = blocks.conv(x, Conv { activation: first, ..conv(out, 1) });
        let y = blocks.conv(wide, Conv { stride, padding, activation: second, ..depthwise(out, kernel) });
        // When the first result is also an output, it has to be there as a whole.
        let outputs = if also_read { vec![y, wide] } else { vec![y] };
        check(&Case { seed, ..Case::new(blocks.finish(&outputs), [images, channels, height, width]) })?;
    }

    #[test]
    fn rows_that_a_window_steps_over(
        channels in 1..=20usize, first in 1..=3usize, inner in activation(), kernel in 1..=2usize, stride in 2..=3usize, kind in 0..3u8,
        separate: bool, edges in [5..=60usize, 3..=20usize], seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let y = if separate {
            let y = blocks.conv(x, conv(9, first));
            blocks.builder.activate(y, inner)
        } else {
            blocks.conv(x, Conv { activation: inner, ..conv(9, first) })
        };
        let y = match kind {
            0 => blocks.conv(y, Conv { stride, padding: Padding::default(), ..conv(7, kernel) }),
            1 => blocks.conv(y, Conv { stride, padding: Padding::default(), ..depthwise(9, kernel) }),
            _ => blocks.builder.max_pool(y, kernel, stride, 0),
        };
        check(&Case { seed, ..Case::new(blocks.finish(&[y]), [1, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn depthwise_then_pointwise(
        channels in 1..=70usize, out in 1..=70usize, kernel in 2..=5usize, stride in 1..=2usize, first in activation(),
        second in activation(), edges in edges(), seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let y = blocks.conv(x, Conv { stride, activation: first, ..depthwise(channels, kernel) });
        let y = blocks.conv(y, Conv { activation: second, ..conv(out, 1) });
        check(&Case { seed, ..Case::new(blocks.finish(&[y]), [2, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn a_sum_after_a_convolution(
        channels in 1..=50usize, kernel in 1..=4usize, grouped: bool, swapped: bool, inner in activation(), after in activation(),
        also_read: bool, edges in edges(), seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let layer = if grouped { depthwise(channels, kernel) } else { conv(channels, kernel) };
        let y = blocks.conv(x, Conv { activation: inner, ..layer });
        let sum = if swapped { blocks.builder.add(x, y) } else { blocks.builder.add(y, x) };
        let last = blocks.builder.activate(sum, after);
        let outputs = if also_read { vec![last, sum, y] } else { vec![last] };
        check(&Case { seed, ..Case::new(blocks.finish(&outputs), [2, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn a_sum_of_two_convolutions_and_of_one_with_itself(
        channels in 1..=50usize, out in 1..=50usize, kernels in [1..=3usize, 1..=3usize], twice: bool, after in activation(), edges in edges(), seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let a = blocks.conv(x, Conv { activation: Activation::Relu, ..conv(out, kernels[0]) });
        let b = if twice { a } else { blocks.conv(x, conv(out, kernels[1])) };
        let sum = blocks.builder.add(a, b);
        let y = blocks.builder.activate(sum, after);
        let y = blocks.conv(y, conv(7, 1));
        check(&Case { seed, ..Case::new(blocks.finish(&[y]), [1, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn concatenations_of_convolutions(
        parts in prop::collection::vec((1..=37usize, 1..=3usize), 1..5), channels in 1..=20usize, twice: bool, also_read: bool,
        reader in 1..=3usize, edges in edges(), seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let mut made: Vec<_> = parts.iter().map(|(out, kernel)| blocks.conv(x, Conv { activation: Activation::Relu, ..conv(*out, *kernel) })).collect();
        if twice {
            made.push(made[0]);
        }
        let all = blocks.builder.concat(&made);
        // One of the parts lies in two concatenations, at two places.
        let other = blocks.builder.concat(&[x, made[0]]);
        let y = blocks.conv(all, conv(9, reader));
        let z = blocks.conv(other, conv(5, reader));
        let outputs = if also_read { vec![y, z, all, made[0]] } else { vec![y, z] };
        check(&Case { seed, ..Case::new(blocks.finish(&outputs), [2, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn some_channels_of_a_convolution(
        out in 2..=70usize, cut in 0.0f64..1.0, length in 0.0f64..1.0, reader in 0..5usize, also_output: bool, edges in edges(), seed: u64,
    ) {
        let start = (cut * out as f64) as usize;
        let count = 1 + (length * (out - start - 1) as f64) as usize;
        let (mut blocks, x) = Blocks::new(3);
        let wide = blocks.conv(x, conv(out, 3));
        let part = blocks.builder.channels(wide, start, count);
        let y = match reader {
            0 => blocks.conv(part, conv(11, 3)),
            1 => blocks.conv(part, depthwise(count, 3)),
            2 => blocks.builder.max_pool(part, 3, 2, 1),
            3 => blocks.builder.activate(part, Activation::Sigmoid),
            _ => blocks.builder.add(part, part),
        };
        let outputs = if also_output { vec![part, y] } else { vec![y] };
        check(&Case { seed, ..Case::new(blocks.finish(&outputs), [2, 3, edges[0], edges[1]]) })?;
    }

    #[test]
    fn an_enlarged_feature_on_top_of_another(
        channels in 1..=40usize, factor in 2..=3usize, bilinear: bool, swapped: bool, after in activation(), read_by_block: bool,
        edges in edges(), seed: u64,
    ) {
        let [height, width] = edges.map(|edge| edge.div_ceil(3) * factor);
        let (mut blocks, x) = Blocks::new(channels);
        let fine = blocks.conv(x, conv(13, 1));
        let coarse = blocks.builder.max_pool(x, factor, factor, 0);
        let coarse = blocks.conv(coarse, conv(13, 3));
        let enlarged =
            if bilinear { blocks.builder.resize_bilinear(coarse, factor, 1) } else { blocks.builder.upsample_nearest(coarse, factor) };
        let sum = if swapped { blocks.builder.add(enlarged, fine) } else { blocks.builder.add(fine, enlarged) };
        let y = if read_by_block {
            blocks.pointwise_depthwise(sum, 10, Conv { activation: after, ..depthwise(10, 3) })
        } else {
            blocks.builder.activate(sum, after)
        };
        check(&Case { seed, ..Case::new(blocks.finish(&[y]), [2, channels, height, width]) })?;
    }

    #[test]
    fn inverted_residual_blocks(
        channels in 1..=24usize, expand in 1..=4usize, kernel in prop_oneof![Just(3usize), Just(5)], stride in 1..=2usize, edges in edges(), seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(channels);
        let y = blocks.inverted_residual(x, [channels, expand, channels], kernel, stride);
        let y = blocks.inverted_residual(y, [channels, expand, 17], kernel, 1);
        let y = blocks.inverted_residual(y, [17, expand, 17], kernel, 1);
        check(&Case { seed, ..Case::new(blocks.finish(&[y]), [2, channels, edges[0], edges[1]]) })?;
    }

    #[test]
    fn cross_stage_partial_stages(channels in 1..=30usize, pairs in 1..=3usize, stride in 1..=2usize, edges in edges(), seed: u64) {
        let (mut blocks, x) = Blocks::new(3);
        let y = blocks.cross_stage(x, channels, pairs, stride);
        let z = blocks.cross_stage(y, channels + 1, 1, 1);
        check(&Case { seed, ..Case::new(blocks.finish(&[y, z]), [1, 3, edges[0], edges[1]]) })?;
    }

    #[test]
    fn heads_on_one_feature(
        heads in prop::collection::vec((1..=12usize, activation()), 1..6), channels in 1..=70usize, edges in edges(), images in 1..=2usize, seed: u64,
    ) {
        let (mut blocks, x) = Blocks::new(3);
        let feature = blocks.pointwise_depthwise(x, channels, Conv { activation: Activation::Relu, ..depthwise(channels, 3) });
        let mut outputs = blocks.heads(feature, &heads);
        outputs.push(feature);
        check(&Case { seed, ..Case::new(blocks.finish(&outputs), [images, 3, edges[0], edges[1]]) })?;
    }

    #[test]
    fn parts_of_one_convolution_as_separate_outputs(scores in 1..=50usize, boxes in 1..=50usize, edges in edges(), seed: u64) {
        let (mut blocks, x) = Blocks::new(4);
        let both = blocks.conv(x, conv(scores + boxes, 1));
        let first = blocks.builder.channels(both, 0, scores);
        let first = blocks.builder.activate(first, Activation::Sigmoid);
        let second = blocks.builder.channels(both, scores, boxes);
        check(&Case { seed, ..Case::new(blocks.finish(&[first, second]), [2, 4, edges[0], edges[1]]) })?;
    }

    #[test]
    fn a_classifier_after_a_mean(channels in 1..=70usize, classes in 1..=70usize, after in activation(), edges in edges(), images in 1..=3usize, seed: u64) {
        let (mut blocks, x) = Blocks::new(channels);
        let y = blocks.conv(x, Conv { activation: Activation::Relu6, ..conv(channels + 3, 1) });
        let mean = blocks.builder.global_average_pool(y);
        let y = blocks.conv(mean, Conv { activation: after, ..conv(classes, 1) });
        check(&Case { seed, ..Case::new(blocks.finish(&[y, mean]), [images, channels, edges[0], edges[1]]) })?;
    }
}

#[test]
fn a_result_may_have_several_names_and_be_read_later() {
    let (mut blocks, x) = Blocks::new(3);
    let y = blocks.conv(x, conv(5, 3));
    let z = blocks.conv(y, conv(6, 3));
    assert_holds(&Case::new(blocks.finish(&[y, z, y, x, z]), [2, 3, 9, 8]));
}

#[test]
fn layers_that_nothing_reads_change_nothing() {
    let (mut blocks, x) = Blocks::new(3);
    let y = blocks.conv(x, conv(5, 3));
    blocks.conv(y, conv(8, 1));
    blocks.builder.concat(&[x, y]);
    blocks.builder.global_average_pool(y);
    assert_holds(&Case::new(blocks.finish(&[y]), [1, 3, 9, 8]));
}

#[test]
fn chains_longer_than_any_pipeline_equal_their_definition() {
    let (mut blocks, x) = Blocks::new(3);
    let mut y = blocks.conv(x, conv(5, 3));
    for number in 0..45 {
        y = match number % 4 {
            0 => blocks.conv(y, Conv { activation: Activation::LeakyRelu { slope: 0.3 }, ..depthwise(5, 3) }),
            1 => blocks.conv(y, Conv { activation: Activation::LeakyRelu { slope: 0.5 }, ..conv(5, 3) }),
            2 => blocks.builder.activate(y, Activation::LeakyRelu { slope: 0.9 }),
            _ => blocks.builder.max_pool(y, 3, 1, 1),
        };
    }
    let graph = blocks.finish(&[y]);
    for [height, width] in [[1, 1], [9, 7], [130, 5]] {
        assert_holds(&Case::new(graph.clone(), [1, 3, height, width]));
    }
}

#[test]
fn a_function_is_applied_once_to_rows_before_a_step() {
    let (mut blocks, x) = Blocks::new(1);
    let y = blocks.conv(x, Conv { padding: Padding::all(1), activation: Activation::Sigmoid, ..conv(1, 2) });
    let y = blocks.conv(y, Conv { stride: 2, ..conv(2, 1) });
    let graph = blocks.finish(&[y]);
    for height in 1..40 {
        assert_holds(&Case::new(graph.clone(), [1, 1, height, 30]));
    }
}
