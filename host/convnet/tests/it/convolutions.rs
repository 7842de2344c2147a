//! One convolution of every kind.

use breakwater_convnet::graph::{Activation, Conv, Padding};
use proptest::prelude::*;

use crate::blocks::{Blocks, conv};
use crate::case::Case;
use crate::comparison::{assert_holds, cases, check};

pub(crate) fn activation() -> impl Strategy<Value = Activation> {
    let slope = prop_oneof![Just(0.1f32), Just(0.0), Just(1.0), -2.0f32..3.0];
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Relu),
        Just(Activation::Relu6),
        slope.prop_map(|slope| Activation::LeakyRelu { slope }),
        Just(Activation::Sigmoid),
    ]
}

/// Rows and columns of an image: often small, sometimes a single row or column, sometimes tall.
pub(crate) fn edges() -> impl Strategy<Value = [usize; 2]> {
    prop_oneof![
        4 => [1..=40usize, 1..=40usize],
        1 => (1..=40usize).prop_map(|length| [1, length]),
        1 => (1..=40usize).prop_map(|length| [length, 1]),
        1 => Just([1, 1]),
        // Enough rows to be shared between threads.
        1 => [60..=150usize, 1..=8usize],
    ]
}

/// A kernel's edge, and less padding than that on each side.
pub(crate) fn window(kernels: impl Strategy<Value = usize>) -> impl Strategy<Value = (usize, Padding)> {
    kernels.prop_flat_map(|kernel| {
        let any = [0..kernel, 0..kernel, 0..kernel, 0..kernel];
        let any = any.prop_map(|[top, left, bottom, right]| Padding { top, left, bottom, right });
        (Just(kernel), prop_oneof![Just(conv(1, kernel).padding), Just(Padding::default()), any])
    })
}

/// Groups, channels taken and channels made.
fn channels() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        3 => (Just(1usize), 1..=70usize, 1..=70usize),
        2 => (1..=70usize).prop_map(|channels| (channels, channels, channels)),
        // Depthwise with several channels made of each.
        1 => (1..=20usize, 2..=4usize).prop_map(|(channels, times)| (channels, channels, channels * times)),
        1 => (2..=5usize, 1..=14usize, 1..=14usize).prop_map(|(groups, each, out)| (groups, groups * each, groups * out)),
    ]
}

fn layer(
    kernels: impl Strategy<Value = usize>,
    strides: impl Strategy<Value = usize>,
    channels: impl Strategy<Value = (usize, usize, usize)>,
) -> impl Strategy<Value = Case> {
    let picks = (window(kernels), strides, channels, edges(), activation(), 1..=3usize, any::<u64>());
    picks.prop_map(|((kernel, padding), stride, (groups, channels, out_channels), edges, activation, images, seed)| {
        // An image that is smaller than the window grows until one fits.
        let fit = |edge: usize, padding: usize| edge.max(kernel.saturating_sub(padding));
        let height = fit(edges[0], padding.top + padding.bottom);
        let width = fit(edges[1], padding.left + padding.right);
        let (mut blocks, input) = Blocks::new(channels);
        let y = blocks.conv(input, Conv { out_channels, stride, padding, groups, activation, ..conv(out_channels, kernel) });
        Case { seed, ..Case::new(blocks.finish(&[y]), [images, channels, height, width]) }
    })
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn any_convolution_equals_its_definition(case in layer(1..=7usize, 1..=3usize, channels())) {
        check(&case)?;
    }

    #[test]
    fn pointwise_convolutions_equal_their_definition(case in layer(Just(1), 1..=2usize, (Just(1usize), 1..=70usize, 1..=70usize))) {
        check(&case)?;
    }

    #[test]
    fn dense_convolutions_of_three_by_three_equal_their_definition(case in layer(Just(3), 1..=2usize, (Just(1usize), 1..=70usize, 1..=70usize))) {
        check(&case)?;
    }

    #[test]
    fn depthwise_convolutions_equal_their_definition(
        case in layer(1..=7usize, 1..=3usize, (1..=70usize).prop_map(|channels| (channels, channels, channels))),
    ) {
        check(&case)?;
    }
}

#[test]
fn convolutions_as_large_as_in_networks_equal_their_definition() {
    // More channels than any block of a kernel, and rows longer than any tile.
    let shapes = [(1, 3, 200, 130), (3, 1, 130, 200), (3, 1, 300, 70), (3, 2, 70, 260)];
    for (kernel, stride, channels, out) in shapes {
        let (mut blocks, input) = Blocks::new(channels);
        let y = blocks.conv(input, Conv { stride, activation: Activation::Relu, ..conv(out, kernel) });
        assert_holds(&Case::new(blocks.finish(&[y]), [2, channels, 9, 11]));
    }
    let (mut blocks, input) = Blocks::new(3);
    let y = blocks.conv(input, Conv { stride: 2, activation: Activation::Relu, ..conv(16, 3) });
    assert_holds(&Case::new(blocks.finish(&[y]), [1, 3, 37, 901]));
    let (mut blocks, input) = Blocks::new(19);
    let y = blocks.conv(input, Conv { groups: 19, ..conv(19, 5) });
    assert_holds(&Case::new(blocks.finish(&[y]), [1, 19, 7, 700]));
}
