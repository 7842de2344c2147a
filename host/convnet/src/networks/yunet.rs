//! YuNet: faces with five landmarks.
//!
//! From libfacedetection v3 (Shiqi Yu, BSD-3-Clause), its batch norms folded into the convolutions. The input is BGR from 0 to
//! 255 without further scaling, both edges multiples of [`STRIDE`]. One building block is used throughout: a 1x1 convolution
//! without activation, then a 3x3 depthwise one.

use crate::graph::{Activation, Conv, Graph, GraphBuilder, NodeId, Padding};

/// Strides of the three heads.
pub const STRIDES: [usize; 3] = [8, 16, 32];
/// Edges of the input are multiples of this.
pub const STRIDE: u32 = 32;
/// The longer edge of an image is scaled down to this; smaller images stay as they are.
pub const MAX_EDGE: u32 = 640;

/// The layers. Outputs per stride `s`: `cls_s` and `obj_s` (probabilities), `bbox_s` (4 channels), `kps_s` (10 channels).
#[must_use]
pub fn graph() -> Graph {
    let (mut b, input) = GraphBuilder::new("yunet", 3);
    let stem = Conv { activation: Activation::Relu, stride: 2, ..dense("backbone.model0_pw", 16, 3) };
    let x = b.conv(input, stem);
    let x = block(&mut b, x, "backbone.model0_dp", 16, Activation::Relu);
    let x = b.max_pool(x, 2, 2, 0);
    let x = stage(&mut b, x, 1, [16, 32]);
    let x = stage(&mut b, x, 2, [32, 64]);
    let x = b.max_pool(x, 2, 2, 0);
    let fine = stage(&mut b, x, 3, [64, 64]);
    let x = b.max_pool(fine, 2, 2, 0);
    let middle = stage(&mut b, x, 4, [64, 64]);
    let x = b.max_pool(middle, 2, 2, 0);
    let coarse = stage(&mut b, x, 5, [64, 64]);

    let coarse = lateral(&mut b, coarse, 2);
    let middle = merge(&mut b, middle, coarse);
    let middle = lateral(&mut b, middle, 1);
    let fine = merge(&mut b, fine, middle);
    let fine = lateral(&mut b, fine, 0);

    for (head, channels, activation) in [
        ("cls", 1, Activation::Sigmoid),
        ("obj", 1, Activation::Sigmoid),
        ("bbox", 4, Activation::Identity),
        ("kps", 10, Activation::Identity),
    ] {
        for (level, (feature, stride)) in [fine, middle, coarse].into_iter().zip(STRIDES).enumerate() {
            let name = format!("bbox_head.multi_level_{head}.{level}");
            let y = block(&mut b, feature, &name, channels, activation);
            b.output(format!("{head}_{stride}"), y);
        }
    }
    b.finish()
}

fn dense(name: &str, out_channels: usize, kernel: usize) -> Conv {
    Conv {
        name: name.to_owned(),
        out_channels,
        kernel,
        stride: 1,
        padding: Padding::all(kernel / 2),
        groups: 1,
        activation: Activation::Identity,
    }
}

/// Pointwise to `out` channels, then depthwise.
fn block(b: &mut GraphBuilder, x: NodeId, name: &str, out: usize, activation: Activation) -> NodeId {
    let x = b.conv(x, dense(&format!("{name}_pw"), out, 1));
    b.conv(x, Conv { groups: out, activation, ..dense(&format!("{name}_dw"), out, 3) })
}

/// Two blocks.
fn stage(b: &mut GraphBuilder, x: NodeId, number: usize, [first, second]: [usize; 2]) -> NodeId {
    let x = block(b, x, &format!("backbone.model{number}_dp1"), first, Activation::Relu);
    block(b, x, &format!("backbone.model{number}_dp2"), second, Activation::Relu)
}

fn lateral(b: &mut GraphBuilder, x: NodeId, level: usize) -> NodeId {
    block(b, x, &format!("neck.lateral_convs.{level}"), 64, Activation::Relu)
}

fn merge(b: &mut GraphBuilder, fine: NodeId, coarse: NodeId) -> NodeId {
    let enlarged = b.upsample_nearest(coarse, 2);
    b.add(fine, enlarged)
}
