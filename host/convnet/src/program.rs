//! A network for one instruction set: layers fused, weights packed, whatever the input's size.

mod concat;
mod heads;
mod lower;
mod pack;
mod sums;
mod winograd;

pub(crate) use lower::lower;

use crate::kernel::Clamp;
use crate::kernel::dense::panels;
use crate::memory::Memory;
use crate::table::{Id, Table};

/// A tensor. Its channels lie in blocks of `lanes`.
#[derive(Debug)]
pub(crate) struct Value {
    /// The node of the graph that has its shape.
    pub(crate) node: usize,
    pub(crate) channels: usize,
    pub(crate) lanes: usize,
    /// The tensor that it is written into instead of memory of its own, and at which block.
    pub(crate) home: Option<(Id<Value>, usize)>,
}

impl Value {
    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }
}

/// Some blocks of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) value: Id<Value>,
    pub(crate) first_block: usize,
    pub(crate) channels: usize,
}

/// Sizes of a window that slides over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

impl Window {
    /// One row for one row.
    pub(crate) const ONE: Self = Self { size: 1, stride: 1, top: 0, left: 0 };
}

/// What a layer computes from its input, and from `extra` if it has one.
pub(crate) enum Kind {
    /// The network's input, brought into blocks.
    Ingest,
    /// A convolution that mixes channels; `extra` is added before the clamp.
    Dense(Dense),
    /// A 3x3 convolution of stride 1 that mixes channels, a tile at a time; `extra` is added before the clamp.
    Winograd(Winograd),
    /// A convolution that keeps channels apart.
    Depthwise(Depthwise),
    /// Max pooling.
    MaxPool(Window),
    /// The sum with `extra`, each of whose rows and columns is used `repeat` times.
    Add {
        repeat: usize,
        clamp: Clamp,
    },
    /// The sum with `extra` after bilinear resizing by `numerator / denominator`, or that alone.
    Resize {
        numerator: usize,
        denominator: usize,
        clamp: Clamp,
    },
    /// Each row and column `factor` times.
    Nearest {
        factor: usize,
    },
    /// The mean of each channel.
    Average,
    Clamp(Clamp),
    Sigmoid,
    /// Channels from any position to any other of the output, which other layers may write into, too.
    Copy {
        from: usize,
        to: usize,
        count: usize,
    },
}

/// A convolution's packed weights.
pub(crate) struct Dense {
    pub(crate) window: Window,
    pub(crate) clamp: Clamp,
    /// Values of a run per line of the window and block of the input, see `DenseRow`.
    pub(crate) length: usize,
    pub(crate) last_length: usize,
    pub(crate) panels: Vec<Panel>,
    pub(crate) weights: Memory,
    pub(crate) bias: Memory,
}

/// Some registers of output channels, computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panel {
    pub(crate) first_block: usize,
    pub(crate) blocks: usize,
    /// Position of its weights.
    pub(crate) weights: usize,
}

/// The panel that a block belongs to.
fn panel_of(panels: &[Panel], block: usize) -> Option<&Panel> {
    panels.iter().find(|panel| (panel.first_block..panel.first_block + panel.blocks).contains(&block))
}

/// Panels over so many blocks whose weights are `depth` registers per block.
fn panels_of(blocks: usize, depth: usize, lanes: usize) -> Vec<Panel> {
    let mut first_block = 0;
    let panel = |blocks| {
        let panel = Panel { first_block, blocks, weights: first_block * depth * lanes };
        first_block += blocks;
        panel
    };
    panels(blocks).into_iter().map(panel).collect()
}

/// A convolution's weights, transformed: a pointwise convolution for each of `(tile + 2)²` positions.
pub(crate) struct Winograd {
    pub(crate) window: Window,
    pub(crate) clamp: Clamp,
    /// Outputs along a tile's edge: 2 or 4.
    pub(crate) tile: usize,
    /// Channels in the last block of the input.
    pub(crate) last_length: usize,
    pub(crate) panels: Vec<Panel>,
    /// Values from one position's weights to the next one's.
    pub(crate) position_stride: usize,
    pub(crate) weights: Memory,
    pub(crate) bias: Memory,
    /// What sums begin with at every position.
    pub(crate) zeros: Memory,
}

impl Winograd {
    /// Inputs along a tile's edge.
    pub(crate) fn span(&self) -> usize {
        self.tile + 2
    }
}

/// A depthwise convolution's weights.
pub(crate) struct Depthwise {
    pub(crate) window: Window,
    pub(crate) clamp: Clamp,
    pub(crate) weights: Memory,
    pub(crate) bias: Memory,
}

/// One step of the computation.
pub(crate) struct Layer {
    pub(crate) kind: Kind,
    pub(crate) input: Option<Piece>,
    pub(crate) extra: Option<Piece>,
    pub(crate) output: Id<Value>,
}

impl Layer {
    /// How rows of the input become rows of the output.
    pub(crate) fn window(&self) -> Window {
        match &self.kind {
            Kind::Dense(Dense { window, .. }) | Kind::Depthwise(Depthwise { window, .. }) | Kind::MaxPool(window) => *window,
            Kind::Winograd(Winograd { window, .. }) => *window,
            _ => Window::ONE,
        }
    }

    /// Whether it reads beyond the edges of its input.
    pub(crate) fn reads_padding(&self) -> bool {
        matches!(self.kind, Kind::Dense(_) | Kind::Winograd(_) | Kind::Depthwise(_))
    }

    /// Whether rows of the output need only the rows of the input that [`Layer::window`] says, so that it can follow another
    /// layer row by row.
    pub(crate) fn streams(&self) -> bool {
        match self.kind {
            Kind::Dense(_) | Kind::Depthwise(_) | Kind::MaxPool(_) | Kind::Add { .. } | Kind::Clamp(_) | Kind::Sigmoid => true,
            Kind::Resize { .. } => self.extra.is_some(),
            // Tiles begin at fixed rows; following another layer they would ask it for rows twice.
            Kind::Winograd(_) | Kind::Ingest | Kind::Nearest { .. } | Kind::Average | Kind::Copy { .. } => false,
        }
    }

    /// Rows that are computed together and begin at a multiple of their number.
    pub(crate) fn tile(&self) -> usize {
        if let Kind::Winograd(winograd) = &self.kind { winograd.tile } else { 1 }
    }

    pub(crate) fn weight_bytes(&self) -> usize {
        match &self.kind {
            Kind::Dense(dense) => dense.weights.bytes() + dense.bias.bytes(),
            Kind::Winograd(winograd) => winograd.weights.bytes() + winograd.bias.bytes() + winograd.zeros.bytes(),
            Kind::Depthwise(depthwise) => depthwise.weights.bytes() + depthwise.bias.bytes(),
            _ => 0,
        }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.input.into_iter().chain(self.extra)
    }
}

/// A result that callers read.
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) value: Id<Value>,
    pub(crate) first_channel: usize,
    pub(crate) channels: usize,
    pub(crate) sigmoid: bool,
}

/// The whole network.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) values: Table<Value>,
    /// In an order in which they can be computed.
    pub(crate) layers: Table<Layer>,
    pub(crate) exports: Vec<Export>,
}
