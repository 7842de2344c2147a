//! Any graph, computed with plain loops in double precision, and how far single precision may be from it.
//!
//! Beside each value goes an estimate of the error that an honest executor makes up to there: a rounding of each layer, relative
//! to the sum of the absolute products, and the errors of its inputs, which add up like independent ones.

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::Network;
use breakwater_convnet::graph::{Activation, Conv, Op};

/// What one layer of ordinary sums may add, relative to the sum of the absolute values: sixteen units of `f32`'s last place.
const ROUNDING: f64 = 1e-6;
/// The same for convolutions of 3x3 with a stride of 1 and one group, which may be computed tile by tile after Winograd: its roundings are
/// larger and relative to all of a tile.
const TILE_ROUNDING: f64 = 5e-6;

/// A value and how far off it may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Element {
    pub(crate) value: f64,
    pub(crate) error: f64,
}

/// What a node computes, in the order of [`Array`].
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) shape: Shape,
    pub(crate) elements: Vec<Element>,
}

impl Tensor {
    fn of(array: &Array, error: f64) -> Self {
        let elements = array.values().iter().map(|value| Element { value: f64::from(*value), error }).collect();
        Self { shape: array.shape(), elements }
    }

    /// From a function of image, channel, row and column.
    fn generate(shape: Shape, element: impl Fn(usize, usize, usize, usize) -> Element) -> Self {
        let mut elements = Vec::with_capacity(shape.elements().unwrap());
        for image in 0..shape.images {
            for channel in 0..shape.channels {
                for y in 0..shape.height {
                    elements.extend((0..shape.width).map(|x| element(image, channel, y, x)));
                }
            }
        }
        Self { shape, elements }
    }

    fn at(&self, image: usize, channel: usize, y: usize, x: usize) -> Element {
        let Shape { channels, height, width, .. } = self.shape;
        assert!(channel < channels && y < height && x < width, "{channel} {y} {x} of {:?}", self.shape);
        self.elements[((image * channels + channel) * height + y) * width + x]
    }

    fn largest_of_plane(&self, image: usize, channel: usize) -> f64 {
        let length = self.shape.height * self.shape.width;
        let start = (image * self.shape.channels + channel) * length;
        self.elements[start..start + length].iter().map(|element| element.value.abs()).fold(0.0, f64::max)
    }
}

/// Every node of the graph for an input, in the graph's order.
pub(crate) fn run(network: &Network, input: &Array) -> Vec<Tensor> {
    run_within(network, input, 0.0)
}

/// As [`run`], for an input whose values are themselves off by so much.
pub(crate) fn run_within(network: &Network, input: &Array, error: f64) -> Vec<Tensor> {
    let graph = network.graph();
    let shapes = graph.shapes(input.shape()).unwrap();
    let mut tensors: Vec<Tensor> = Vec::new();
    for (node, shape) in graph.nodes().iter().zip(shapes) {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|id| &tensors[id.index()]).collect();
        let tensor = match (&node.op, inputs.as_slice()) {
            (Op::Input { .. }, []) => Tensor::of(input, error),
            (Op::Conv(conv), [x]) => {
                let tensor = |suffix: &str| network.weights().get(&format!("{}.{suffix}", conv.name)).unwrap().values.as_slice();
                convolution(conv, tensor("weight"), tensor("bias"), x, shape)
            }
            (Op::MaxPool { kernel, stride, padding }, [x]) => max_pool(x, shape, *kernel, *stride, *padding),
            (Op::Add, [a, b]) => Tensor::generate(shape, |n, c, y, x| sum(a.at(n, c, y, x), b.at(n, c, y, x))),
            (Op::Concat, parts) => Tensor::generate(shape, |n, c, y, x| {
                let mut channel = c;
                for part in parts {
                    if channel < part.shape.channels {
                        return part.at(n, channel, y, x);
                    }
                    channel -= part.shape.channels;
                }
                panic!("channel {c} is in no part")
            }),
            (Op::UpsampleNearest { factor }, [small]) => Tensor::generate(shape, |n, c, y, x| small.at(n, c, y / factor, x / factor)),
            (Op::ResizeBilinear { numerator, denominator }, [from]) => bilinear(from, shape, *denominator as f64 / *numerator as f64),
            (Op::GlobalAveragePool, [from]) => mean(from, shape),
            (Op::Channels { start, .. }, [from]) => Tensor::generate(shape, |n, c, y, x| from.at(n, start + c, y, x)),
            (Op::Activate(activation), [from]) => Tensor::generate(shape, |n, c, y, x| activate(*activation, from.at(n, c, y, x))),
            (op, inputs) => panic!("{op:?} of {} inputs", inputs.len()),
        };
        assert_eq!(tensor.shape, shape);
        tensors.push(tensor);
    }
    tensors
}

fn sum(a: Element, b: Element) -> Element {
    Element { value: a.value + b.value, error: a.error + b.error + ROUNDING * (a.value.abs() + b.value.abs()) }
}

fn activate(activation: Activation, x: Element) -> Element {
    let Element { value, error } = x;
    match activation {
        Activation::Identity => x,
        Activation::Relu => Element { value: value.max(0.0), error },
        Activation::Relu6 => Element { value: value.clamp(0.0, 6.0), error },
        Activation::LeakyRelu { slope } => {
            let slope = f64::from(slope);
            let value = if value > 0.0 { value } else { slope * value };
            Element { value, error: slope.abs().max(1.0) * error + ROUNDING * value.abs() }
        }
        Activation::Sigmoid => Element { value: 1.0 / (1.0 + (-value).exp()), error: error / 4.0 + ROUNDING },
    }
}

/// The input position that a window's tap reads, unless it is padding.
fn tap(output: usize, stride: usize, offset: usize, padding: usize, length: usize) -> Option<usize> {
    (output * stride + offset).checked_sub(padding).filter(|position| *position < length)
}

fn convolution(conv: &Conv, weights: &[f32], bias: &[f32], input: &Tensor, shape: Shape) -> Tensor {
    let Conv { kernel, stride, groups, .. } = *conv;
    let group_in = input.shape.channels / groups;
    let group_out = conv.out_channels / groups;
    let weight =
        |out: usize, channel: usize, ky: usize, kx: usize| f64::from(weights[((out * group_in + channel) * kernel + ky) * kernel + kx]);
    // What all of a tile amounts to at most, for each image and channel made.
    let by_tiles = kernel == 3 && stride == 1 && groups == 1;
    let spread = |image: usize, out: usize| -> f64 {
        let first = out / group_out * group_in;
        let taps = |channel| (0..9).map(|k| weight(out, channel, k / 3, k % 3).abs()).sum::<f64>();
        (0..group_in).map(|channel| taps(channel) * input.largest_of_plane(image, first + channel)).sum()
    };
    let spreads: Vec<f64> = if by_tiles {
        (0..shape.images * shape.channels).map(|index| spread(index / shape.channels, index % shape.channels)).collect()
    } else {
        Vec::new()
    };
    Tensor::generate(shape, |image, out, y, x| {
        let first = out / group_out * group_in;
        let bias = f64::from(bias[out]);
        let (mut value, mut magnitude, mut variance) = (bias, bias.abs(), 0.0);
        for ky in 0..kernel {
            let Some(iy) = tap(y, stride, ky, conv.padding.top, input.shape.height) else { continue };
            for kx in 0..kernel {
                let Some(ix) = tap(x, stride, kx, conv.padding.left, input.shape.width) else { continue };
                for channel in 0..group_in {
                    let weight = weight(out, channel, ky, kx);
                    let element = input.at(image, first + channel, iy, ix);
                    let product = weight * element.value;
                    value += product;
                    magnitude += product.abs();
                    variance += (weight * element.error).powi(2);
                }
            }
        }
        let of_tile = if by_tiles { TILE_ROUNDING * spreads[image * shape.channels + out] } else { 0.0 };
        let error = variance.sqrt() + (ROUNDING * magnitude).max(of_tile);
        activate(conv.activation, Element { value, error })
    })
}

fn max_pool(input: &Tensor, shape: Shape, kernel: usize, stride: usize, padding: usize) -> Tensor {
    Tensor::generate(shape, |image, channel, y, x| {
        let rows = (0..kernel).filter_map(|offset| tap(y, stride, offset, padding, input.shape.height));
        let elements = rows.flat_map(|iy| {
            let columns = (0..kernel).filter_map(|offset| tap(x, stride, offset, padding, input.shape.width));
            columns.map(move |ix| input.at(image, channel, iy, ix))
        });
        let largest = |a: Element, b: Element| Element { value: a.value.max(b.value), error: a.error.max(b.error) };
        elements.reduce(largest).unwrap()
    })
}

/// Both neighbours of an output position along an edge, and the weight of the second.
fn neighbours(output: usize, from: usize, step: f64) -> (usize, usize, f64) {
    let last = from - 1;
    let source = ((output as f64 + 0.5) * step - 0.5).clamp(0.0, last as f64);
    let low = source.floor() as usize;
    (low, (low + 1).min(last), source - low as f64)
}

fn bilinear(from: &Tensor, shape: Shape, step: f64) -> Tensor {
    Tensor::generate(shape, |image, channel, y, x| {
        let (top, bottom, down) = neighbours(y, from.shape.height, step);
        let (left, right, across) = neighbours(x, from.shape.width, step);
        let corners = [
            (top, left, (1.0 - down) * (1.0 - across)),
            (top, right, (1.0 - down) * across),
            (bottom, left, down * (1.0 - across)),
            (bottom, right, down * across),
        ];
        let mut result = Element::default();
        let mut magnitude = 0f64;
        for (y, x, weight) in corners {
            let element = from.at(image, channel, y, x);
            result.value += weight * element.value;
            result.error += weight * element.error;
            // Whoever computes low + (high - low) * weight rounds relative to the larger of both.
            magnitude = magnitude.max(element.value.abs());
        }
        Element { error: result.error + ROUNDING * magnitude, ..result }
    })
}

fn mean(from: &Tensor, shape: Shape) -> Tensor {
    let count = (from.shape.height * from.shape.width) as f64;
    Tensor::generate(shape, |image, channel, _, _| {
        let positions = (0..from.shape.height).flat_map(|y| (0..from.shape.width).map(move |x| (y, x)));
        let mut result = Element::default();
        for (y, x) in positions {
            let element = from.at(image, channel, y, x);
            result.value += element.value / count;
            result.error += (element.error + ROUNDING * element.value.abs()) / count;
        }
        result
    })
}
