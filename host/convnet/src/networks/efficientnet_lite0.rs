//! EfficientNet-Lite0: a picture's features, for finding pictures that look alike.
//!
//! From TensorFlow's EfficientNet-Lite (Google, Apache-2.0), its batch norms folded into the convolutions and its classifier left
//! out. The input is RGB, normalised with [`MEAN`] and [`DEVIATION`], the centre of the picture at [`EDGE`]x[`EDGE`] once its shorter
//! edge has [`SHORTER_EDGE`]. Inverted bottlenecks throughout: a 1x1 convolution widens, a depthwise one looks around, a 1x1 without
//! activation narrows; where size and channels stay, the block's input is added.

use crate::graph::{Activation, Conv, Graph, GraphBuilder, NodeId, Padding};

/// Edge of the square input.
pub const EDGE: u32 = 224;
/// The picture's shorter edge before its centre is cut out.
pub const SHORTER_EDGE: u32 = 256;
/// Means of red, green and blue.
pub const MEAN: [f32; 3] = [127.0; 3];
/// Standard deviations of red, green and blue.
pub const DEVIATION: [f32; 3] = [128.0; 3];
/// How many features there are.
pub const FEATURES: usize = 1280;
/// Name of the output.
pub const OUTPUT: &str = "embedding";

/// Blocks of one width.
struct Stage {
    /// How many.
    blocks: usize,
    /// Edge of the depthwise kernel.
    kernel: usize,
    /// Step of the first block; the others keep the size.
    stride: usize,
    /// How much wider a block is inside; one that is not has no first convolution.
    expansion: usize,
    /// Channels that come out.
    channels: usize,
}

const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
    Stage { blocks: 2, kernel: 3, stride: 2, expansion: 6, channels: 24 },
    Stage { blocks: 2, kernel: 5, stride: 2, expansion: 6, channels: 40 },
    Stage { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 80 },
    Stage { blocks: 3, kernel: 5, stride: 1, expansion: 6, channels: 112 },
    Stage { blocks: 4, kernel: 5, stride: 2, expansion: 6, channels: 192 },
    Stage { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 320 },
];

/// The layers. The only output, [`OUTPUT`], holds [`FEATURES`] channels of one pixel, not normalised.
#[must_use]
pub fn graph() -> Graph {
    const STEM: usize = 32;
    let (mut b, input) = GraphBuilder::new("efficientnet-lite0", 3);
    let mut x = b.conv(input, conv("conv_stem", STEM, 3, 2, Activation::Relu6));
    let (mut channels, mut number) = (STEM, 0);
    for stage in STAGES {
        for index in 0..stage.blocks {
            let stride = if index == 0 { stage.stride } else { 1 };
            let y = block(&mut b, x, &format!("blocks.{number}"), channels, &Stage { stride, ..stage });
            x = if index == 0 { y } else { b.add(x, y) };
            channels = stage.channels;
            number += 1;
        }
    }
    let x = b.conv(x, conv("conv_head", FEATURES, 1, 1, Activation::Relu6));
    let x = b.global_average_pool(x);
    b.output(OUTPUT, x);
    b.finish()
}

/// One block of a stage, at the stage's stride.
fn block(b: &mut GraphBuilder, x: NodeId, name: &str, channels: usize, stage: &Stage) -> NodeId {
    let Stage { kernel, stride, expansion, channels: narrow, .. } = *stage;
    let wide = channels * expansion;
    let x = match expansion {
        1 => x,
        _ => b.conv(x, conv(&format!("{name}.expand_conv"), wide, 1, 1, Activation::Relu6)),
    };
    let depthwise = conv(&format!("{name}.depthwise_conv"), wide, kernel, stride, Activation::Relu6);
    let x = b.conv(x, Conv { groups: wide, ..depthwise });
    b.conv(x, conv(&format!("{name}.project_conv"), narrow, 1, 1, Activation::Identity))
}

fn conv(name: &str, out_channels: usize, kernel: usize, stride: usize, activation: Activation) -> Conv {
    // TensorFlow's `SAME` where the edge is a multiple of the stride, which every edge here is: an odd one goes below and right.
    let total = kernel - stride;
    let padding = Padding::before_after(total / 2, total - total / 2);
    Conv { name: name.to_owned(), out_channels, kernel, stride, padding, groups: 1, activation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::shape::Shape;
    use crate::graph::weights::{Network, Weights};

    #[test]
    fn the_weights_that_are_shipped_fit_and_give_1280_features() {
        let weights = Weights::read(include_bytes!("../../../../models/effnet_lite0.backbone.f16.safetensors")).unwrap();
        let input = Shape::new(1, 3, EDGE as usize, EDGE as usize);
        let network = Network::new(graph(), weights, input).unwrap();
        let shapes = network.graph().shapes(input).unwrap();
        assert_eq!(shapes.last().unwrap().dims(), [1, FEATURES, 1, 1]);
        // Before the mean over all pixels.
        assert_eq!(shapes[shapes.len() - 2].dims(), [1, FEATURES, 7, 7]);
    }

    #[test]
    fn strides_of_two_pad_unevenly() {
        let graph = graph();
        let padding = |name: &str| graph.convolutions().find(|conv| conv.name == name).unwrap().padding;
        assert_eq!(padding("conv_stem"), Padding::before_after(0, 1));
        assert_eq!(padding("blocks.3.depthwise_conv"), Padding::before_after(1, 2));
        assert_eq!(padding("blocks.4.depthwise_conv"), Padding::all(2));
    }
}
