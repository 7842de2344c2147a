//! Shape inference, which is also how a graph is checked.

use std::collections::HashSet;

use crate::graph::{Activation, Conv, Graph, Node, NodeId, Op, Padding};

/// Images, channels, rows and columns of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images in the batch.
    pub images: usize,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// The most elements a tensor may have: 1 GiB of `f32`. No network of ours comes near it with any input it accepts.
    pub const MAX_ELEMENTS: usize = 1 << 28;

    /// A shape.
    #[must_use]
    pub const fn new(images: usize, channels: usize, height: usize, width: usize) -> Self {
        Self { images, channels, height, width }
    }

    /// As `[images, channels, rows, columns]`.
    #[must_use]
    pub const fn dims(&self) -> [usize; 4] {
        [self.images, self.channels, self.height, self.width]
    }

    /// Number of elements, or nothing if there are none or more than [`Self::MAX_ELEMENTS`].
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        let product = self.dims().into_iter().try_fold(1usize, usize::checked_mul)?;
        (1..=Self::MAX_ELEMENTS).contains(&product).then_some(product)
    }
}

/// A graph that cannot be computed, or not for this input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A node reads a node that does not come before it.
    #[error("node {node} reads a node that does not come before it")]
    Order {
        /// Position of the reader.
        node: usize,
    },
    /// A node has the wrong number of inputs.
    #[error("node {node} has {found} inputs")]
    Inputs {
        /// Position of the node.
        node: usize,
        /// How many it has.
        found: usize,
    },
    /// A number of a layer makes no sense, such as a stride of zero or groups that do not divide the channels.
    #[error("node {node}: {what}")]
    Layer {
        /// Position of the node.
        node: usize,
        /// What is wrong.
        what: String,
    },
    /// Two inputs of a node do not fit each other.
    #[error("node {node}: inputs {a:?} and {b:?} do not fit each other")]
    Mismatch {
        /// Position of the node.
        node: usize,
        /// Dimensions of the first input.
        a: [usize; 4],
        /// Dimensions of the other.
        b: [usize; 4],
    },
    /// The input has the wrong number of channels.
    #[error("the network takes {expected} channels, the input has {found}")]
    Channels {
        /// What the network takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A tensor would be empty or larger than [`Shape::MAX_ELEMENTS`].
    #[error("node {node} would be empty or too large: {dims:?}")]
    Size {
        /// Position of the node.
        node: usize,
        /// Its dimensions.
        dims: [usize; 4],
    },
    /// There is no such output.
    #[error("the network has no output {name:?}")]
    UnknownOutput {
        /// The name asked for.
        name: String,
    },
    /// Two outputs have one name, or there is none at all.
    #[error("outputs need names that differ, and at least one; {name:?} does not")]
    Outputs {
        /// The name in question.
        name: String,
    },
}

impl Graph {
    /// The shape of every node for an input, in the order of [`Graph::nodes`].
    ///
    /// # Errors
    /// The first layer that cannot be computed.
    pub fn shapes(&self, input: Shape) -> Result<Vec<Shape>, GraphError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes().len());
        for (index, node) in self.nodes().iter().enumerate() {
            let shape = node_shape(index, node, input, &shapes)?;
            if shape.elements().is_none() {
                return Err(GraphError::Size { node: index, dims: shape.dims() });
            }
            shapes.push(shape);
        }
        self.check_names()?;
        self.check_outputs()?;
        Ok(shapes)
    }

    fn check_names(&self) -> Result<(), GraphError> {
        let mut names = HashSet::new();
        for (index, node) in self.nodes().iter().enumerate() {
            if let Op::Conv(conv) = &node.op
                && !names.insert(conv.name.as_str())
            {
                return Err(GraphError::Layer { node: index, what: format!("a second convolution named {:?}", conv.name) });
            }
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<(), GraphError> {
        let outputs = self.outputs();
        for (index, output) in outputs.iter().enumerate() {
            let repeated = outputs.iter().take(index).any(|earlier| earlier.name == output.name);
            if repeated || output.node.index() >= self.nodes().len() {
                return Err(GraphError::Outputs { name: output.name.clone() });
            }
        }
        if outputs.is_empty() { Err(GraphError::Outputs { name: String::new() }) } else { Ok(()) }
    }
}

fn node_shape(index: usize, node: &Node, input: Shape, shapes: &[Shape]) -> Result<Shape, GraphError> {
    let shape_of = |id: &NodeId| shapes.get(id.index()).copied().ok_or(GraphError::Order { node: index });
    let inputs = node.inputs.iter().map(shape_of).collect::<Result<Vec<_>, _>>()?;
    let layer = |what: &str| GraphError::Layer { node: index, what: what.to_owned() };
    let arity = || GraphError::Inputs { node: index, found: inputs.len() };
    if let Op::Input { channels } = node.op {
        return match (inputs.is_empty(), channels == input.channels) {
            (false, _) => Err(arity()),
            (true, false) => Err(GraphError::Channels { expected: channels, found: input.channels }),
            (true, true) => Ok(input),
        };
    }
    let (first, rest) = inputs.split_first().ok_or_else(arity)?;
    if let Some(Activation::LeakyRelu { slope }) = node.op.activation()
        && !slope.is_finite()
    {
        return Err(layer("a slope that is not a finite number"));
    }
    let expected_rest = match node.op {
        Op::Add => Some(1),
        Op::Concat => None,
        _ => Some(0),
    };
    if expected_rest.is_some_and(|count| count != rest.len()) {
        return Err(arity());
    }
    match &node.op {
        Op::Input { .. } | Op::Activate(_) => Ok(*first),
        Op::Conv(conv) => conv_shape(conv, *first).map_err(|what| layer(&what)),
        Op::MaxPool { kernel, stride, padding } => {
            if *padding >= *kernel {
                return Err(layer("the padding of a pool must be smaller than its window"));
            }
            let height = windows(first.height, *kernel, *stride, *padding, *padding).map_err(layer)?;
            let width = windows(first.width, *kernel, *stride, *padding, *padding).map_err(layer)?;
            Ok(Shape { height, width, ..*first })
        }
        Op::Add => match rest.iter().find(|other| *other != first) {
            Some(other) => Err(GraphError::Mismatch { node: index, a: first.dims(), b: other.dims() }),
            None => Ok(*first),
        },
        Op::Concat => rest.iter().try_fold(*first, |sum, other| {
            if (other.images, other.height, other.width) == (sum.images, sum.height, sum.width) {
                Ok(Shape { channels: sum.channels.saturating_add(other.channels), ..sum })
            } else {
                Err(GraphError::Mismatch { node: index, a: first.dims(), b: other.dims() })
            }
        }),
        Op::GlobalAveragePool => Ok(Shape { height: 1, width: 1, ..*first }),
        Op::UpsampleNearest { factor } => {
            Ok(Shape { height: first.height.saturating_mul(*factor), width: first.width.saturating_mul(*factor), ..*first })
        }
        Op::ResizeBilinear { numerator, denominator } => {
            let scaled = |edge: usize| {
                let whole = edge.checked_mul(*numerator).filter(|scaled| *denominator > 0 && scaled.is_multiple_of(*denominator));
                whole.and_then(|scaled| scaled.checked_div(*denominator))
            };
            let edges = scaled(first.height).zip(scaled(first.width));
            let (height, width) = edges.ok_or_else(|| layer("a resize to no whole number of rows and columns"))?;
            Ok(Shape { height, width, ..*first })
        }
        Op::Channels { start, count } => {
            let inside = start.checked_add(*count).is_some_and(|end| end <= first.channels);
            if inside { Ok(Shape { channels: *count, ..*first }) } else { Err(layer("channels outside the input")) }
        }
    }
}

fn conv_shape(conv: &Conv, input: Shape) -> Result<Shape, String> {
    let divides = |channels: usize| conv.groups > 0 && channels.is_multiple_of(conv.groups);
    if !divides(input.channels) || !divides(conv.out_channels) {
        let Conv { name, groups, out_channels, .. } = conv;
        return Err(format!("{name}: {groups} groups do not divide {} and {out_channels} channels", input.channels));
    }
    let Padding { top, left, bottom, right } = conv.padding;
    if [top, left, bottom, right].iter().any(|padding| *padding >= conv.kernel) {
        return Err(format!("{}: the padding of a convolution must be smaller than its window", conv.name));
    }
    let edge =
        |length, before, after| windows(length, conv.kernel, conv.stride, before, after).map_err(|what| format!("{}: {what}", conv.name));
    let (height, width) = (edge(input.height, top, bottom)?, edge(input.width, left, right)?);
    Ok(Shape { channels: conv.out_channels, height, width, ..input })
}

/// How many windows fit on an edge.
fn windows(length: usize, kernel: usize, stride: usize, before: usize, after: usize) -> Result<usize, &'static str> {
    let padded = before.checked_add(after).and_then(|both| both.checked_add(length)).ok_or("the padding is too large")?;
    let room = padded.checked_sub(kernel).ok_or("the window is larger than the input")?;
    let steps = room.checked_div(stride).ok_or("the stride is zero")?;
    if kernel == 0 { Err("the window is empty") } else { Ok(steps + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphBuilder;

    fn conv(out_channels: usize, kernel: usize, stride: usize, groups: usize) -> Conv {
        Conv { name: "c".into(), out_channels, kernel, stride, padding: Padding::all(kernel / 2), groups, activation: Activation::Relu }
    }

    fn check(layers: impl FnOnce(&mut GraphBuilder, NodeId) -> NodeId, input: [usize; 4]) -> Result<[usize; 4], GraphError> {
        let (mut builder, node) = GraphBuilder::new("test", 3);
        let last = layers(&mut builder, node);
        builder.output("out", last);
        let [images, channels, height, width] = input;
        let shapes = builder.finish().shapes(Shape::new(images, channels, height, width))?;
        Ok(shapes.last().unwrap().dims())
    }

    #[test]
    fn each_layer_has_the_shape_of_its_definition() {
        assert_eq!(check(|b, x| b.conv(x, conv(16, 3, 2, 1)), [2, 3, 33, 64]), Ok([2, 16, 17, 32]));
        assert_eq!(check(|b, x| b.max_pool(x, 3, 2, 1), [1, 3, 208, 208]), Ok([1, 3, 104, 104]));
        assert_eq!(check(|b, x| b.concat(&[x, x, x]), [1, 3, 4, 5]), Ok([1, 9, 4, 5]));
        assert_eq!(check(|b, x| b.upsample_nearest(x, 2), [1, 3, 4, 5]), Ok([1, 3, 8, 10]));
        assert_eq!(check(|b, x| b.resize_bilinear(x, 1, 2), [1, 3, 26, 26]), Ok([1, 3, 13, 13]));
        assert_eq!(check(|b, x| b.channels(x, 1, 2), [1, 3, 4, 5]), Ok([1, 2, 4, 5]));
    }

    #[test]
    fn layers_that_make_no_sense_are_named() {
        let of = |layers: fn(&mut GraphBuilder, NodeId) -> NodeId| check(layers, [1, 3, 8, 8]).unwrap_err();
        assert!(matches!(of(|b, x| b.conv(x, conv(16, 3, 0, 1))), GraphError::Layer { node: 1, .. }));
        assert!(matches!(of(|b, x| b.conv(x, conv(16, 3, 1, 2))), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.conv(x, Conv { padding: Padding::all(0), ..conv(4, 9, 1, 1) })), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.max_pool(x, 2, 2, 2)), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.resize_bilinear(x, 1, 0)), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.resize_bilinear(x, 1, 9)), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.channels(x, 2, 2)), GraphError::Layer { .. }));
        assert!(matches!(of(|b, x| b.upsample_nearest(x, usize::MAX)), GraphError::Size { .. }));
        assert!(matches!(
            of(|b, x| {
                let half = b.max_pool(x, 2, 2, 0);
                b.add(x, half)
            }),
            GraphError::Mismatch { node: 2, .. }
        ));
        assert!(matches!(of(|b, _| b.concat(&[])), GraphError::Inputs { found: 0, .. }));
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        assert_eq!(check(|_, x| x, [1, 4, 8, 8]), Err(GraphError::Channels { expected: 3, found: 4 }));
        assert!(matches!(check(|_, x| x, [1, 3, 0, 8]), Err(GraphError::Size { node: 0, .. })));
        assert!(matches!(check(|_, x| x, [1 << 20, 3, 1 << 20, 1 << 20]), Err(GraphError::Size { .. })));
    }

    #[test]
    fn outputs_need_names_that_differ() {
        let (mut builder, x) = GraphBuilder::new("test", 3);
        builder.output("a", x);
        builder.output("a", x);
        let graph = builder.finish();
        assert_eq!(graph.shapes(Shape::new(1, 3, 4, 4)), Err(GraphError::Outputs { name: "a".into() }));
        assert_eq!(graph.output("b"), Err(GraphError::UnknownOutput { name: "b".into() }));
    }
}
