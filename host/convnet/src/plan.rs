//! A program for one input size: which layers run row by row behind each other, and where everything lies in memory.

mod arena;
mod build;
mod pipelines;
mod taps;

use crate::kernel::rows::Tap;
use crate::program::Layer;
use crate::table::Id;

/// The most memory that a plan may need for one image: 1 GiB.
pub(crate) const MAX_BYTES: usize = 1 << 30;

/// The most rows and columns of a window.
pub(crate) const MAX_WINDOW: usize = 64;

/// The most layers that run behind each other.
pub(crate) const MAX_STAGES: usize = 32;

/// Which memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of the whole run.
    Arena,
    /// That of one pipeline on one thread.
    Scratch,
}

/// Where the rows of a tensor are. A row holds `blocks` runs of pixels, `block_stride` values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) place: Place,
    /// Position of the first row's first pixel, which is behind `left` columns of zeros.
    pub(crate) origin: usize,
    pub(crate) row_stride: usize,
    pub(crate) block_stride: usize,
    pub(crate) blocks: usize,
    pub(crate) lanes: usize,
    /// Columns of zeros before a row's pixels.
    pub(crate) left: usize,
    /// Columns of zeros behind them.
    pub(crate) right: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows that are kept; row `y` lies where row `y - capacity` was.
    pub(crate) capacity: usize,
}

impl Grid {
    /// Position of a row's first pixel.
    pub(crate) fn row(&self, y: usize) -> usize {
        self.origin + y % self.capacity * self.row_stride
    }

    /// Position of a row's first pixel in a block.
    pub(crate) fn run(&self, y: usize, block: usize) -> usize {
        self.row(y) + block * self.block_stride
    }
}

/// A layer and where it reads and writes.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) layer: Id<Layer>,
    pub(crate) input: Option<Grid>,
    pub(crate) extra: Option<Grid>,
    pub(crate) output: Grid,
    /// Where a resize reads.
    pub(crate) taps: Option<Taps>,
    pub(crate) winograd: Option<Positions>,
    /// Rows that are computed at a time.
    pub(crate) rows: usize,
}

/// Where a Winograd convolution keeps what is transformed: some rows of tiles, for each position of the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Positions {
    /// Tiles side by side.
    pub(crate) columns: usize,
    /// Rows of tiles at a time, at the most.
    pub(crate) rows: usize,
    /// Positions of transformed inputs and outputs in the scratch memory.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// Where each column and row of a resize reads.
#[derive(Debug)]
pub(crate) struct Taps {
    pub(crate) columns: Vec<Tap>,
    pub(crate) rows: Vec<Tap>,
}

/// Layers that run behind each other, some rows of the last one at a time.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) stages: Vec<Stage>,
    /// Parts and tiles of the last layer begin at multiples of so many rows.
    pub(crate) align: usize,
    /// Values of scratch memory per thread.
    pub(crate) scratch: usize,
    /// The most parts that threads may take, so that not too many rows are computed twice.
    pub(crate) max_parts: usize,
}

impl Pipeline {
    /// Rows of the last layer.
    pub(crate) fn height(&self) -> usize {
        self.stages.last().map_or(0, |stage| stage.output.height)
    }
}

/// Everything that a run needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) pipelines: Vec<Pipeline>,
    /// Values of memory for tensors.
    pub(crate) arena: usize,
    /// Values of the longest row that is read beyond an image's edges.
    pub(crate) zeros: usize,
    /// The most scratch memory of any pipeline, in values.
    pub(crate) scratch: usize,
    /// The tensor of each output, in the program's order.
    pub(crate) exports: Vec<Grid>,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Plan {
    /// Bytes of memory that a run on so many threads needs.
    pub(crate) fn bytes(&self, threads: usize) -> usize {
        (self.arena + self.zeros + self.scratch * threads) * size_of::<f32>()
    }
}
