//! NanoDet-g at 416 pixels: people and the other 79 classes of COCO.
//!
//! From RangiLyu's NanoDet (Apache-2.0). The input is BGR, normalised with [`MEAN`] and [`DEVIATION`], 416x416. The backbone is
//! made of dense 3x3 convolutions in cross-stage-partial stages, the neck adds features top down, then bottom up, and each
//! stride has a head of 80 class scores and 4 x 11 bins of distances to the box's sides.

use crate::graph::{Activation, Conv, Graph, GraphBuilder, NodeId, Padding};

/// Strides of the three heads.
pub const STRIDES: [usize; 3] = [8, 16, 32];
/// Edge of the square input.
pub const EDGE: u32 = 416;
/// Means of blue, green and red.
pub const MEAN: [f32; 3] = [103.53, 116.28, 123.675];
/// Standard deviations of blue, green and red.
pub const DEVIATION: [f32; 3] = [57.375, 57.12, 58.395];
/// Classes of a head: those of COCO.
pub const CLASSES: usize = 80;
/// Bins of each of a box's four distances.
pub const BINS: usize = 11;

/// The layers. Outputs per stride `s`: `cls_s` (80 probabilities) and `reg_s` (44 channels, side by side: left, top, right, bottom).
#[must_use]
pub fn graph() -> Graph {
    let (mut b, input) = GraphBuilder::new("nanodet", 3);
    let x = b.conv(input, conv(0, 32, 3, 2, LEAKY));
    let x = b.max_pool(x, 3, 2, 1);
    let x = stage(&mut b, x, &Stage { first: 1, stride: 1, pairs: 1, channels: 32 });
    let fine = stage(&mut b, x, &Stage { first: 5, stride: 2, pairs: 2, channels: 64 });
    let middle = stage(&mut b, fine, &Stage { first: 11, stride: 2, pairs: 2, channels: 128 });
    let coarse = stage(&mut b, middle, &Stage { first: 17, stride: 2, pairs: 3, channels: 256 });

    let fine = b.conv(fine, conv(25, 128, 1, 1, Activation::Identity));
    let middle = b.conv(middle, conv(26, 128, 1, 1, Activation::Identity));
    let coarse = b.conv(coarse, conv(27, 128, 1, 1, Activation::Identity));
    let middle = merge(&mut b, middle, coarse, (2, 1));
    let fine = merge(&mut b, fine, middle, (2, 1));
    let middle = merge(&mut b, middle, fine, (1, 2));
    let coarse = merge(&mut b, coarse, middle, (1, 2));

    for ((feature, stride), number) in [fine, middle, coarse].into_iter().zip(STRIDES).zip([28, 30, 32]) {
        let x = b.conv(feature, conv(number, 128, 3, 1, LEAKY));
        let both = b.conv(x, conv(number + 1, CLASSES + 4 * BINS, 1, 1, Activation::Identity));
        let scores = b.channels(both, 0, CLASSES);
        let scores = b.activate(scores, Activation::Sigmoid);
        let distances = b.channels(both, CLASSES, 4 * BINS);
        b.output(format!("cls_{stride}"), scores);
        b.output(format!("reg_{stride}"), distances);
    }
    b.finish()
}

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.1 };

fn conv(number: usize, out_channels: usize, kernel: usize, stride: usize, activation: Activation) -> Conv {
    Conv { name: format!("conv{number:02}"), out_channels, kernel, stride, padding: Padding::all(kernel / 2), groups: 1, activation }
}

/// A cross-stage-partial stage of the backbone.
struct Stage {
    /// Number of its first convolution in the weights.
    first: usize,
    /// Stride of that convolution.
    stride: usize,
    /// Pairs of convolutions.
    pairs: usize,
    /// Channels of the first and last convolution; the pairs have half as many each.
    channels: usize,
}

fn stage(b: &mut GraphBuilder, x: NodeId, stage: &Stage) -> NodeId {
    let Stage { first, stride, pairs, channels } = *stage;
    let entry = b.conv(x, conv(first, channels, 3, stride, LEAKY));
    let mut y = entry;
    for pair in 0..pairs {
        let number = first + 1 + 2 * pair;
        let left = b.conv(y, conv(number, channels / 2, 3, 1, LEAKY));
        let right = b.conv(left, conv(number + 1, channels / 2, 3, 1, LEAKY));
        y = b.concat(&[right, left]);
    }
    let last = b.conv(y, conv(first + 1 + 2 * pairs, channels, 3, 1, LEAKY));
    b.concat(&[last, entry])
}

fn merge(b: &mut GraphBuilder, into: NodeId, from: NodeId, (numerator, denominator): (usize, usize)) -> NodeId {
    let resized = b.resize_bilinear(from, numerator, denominator);
    b.add(into, resized)
}
