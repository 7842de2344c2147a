//! Convolution networks: a typed [`graph`] of layers written once per network ([`networks`]), and an executor of such graphs
//! for the processor.
//!
//! # From a graph to numbers
//!
//! 1. [`Executor::new`] lowers the graph to a `program`, once per network and instruction set: activations become part of the
//!    layer before them, an addition part of the convolution before it, an enlarging part of the addition after it; small heads
//!    on one feature become one; slices and concatenations become places in memory. Weights are packed in the order in which
//!    kernels read them; a 3x3 convolution of stride 1 gets transformed weights (Winograd) where that is cheaper.
//! 2. The first run of an input size makes a `plan`, of which the latest are kept: layers that are read by one other only run
//!    behind each other, a few rows at a time, through rings of rows that stay in the second-level cache. A convolution with few
//!    weights goes on row by row; the more weights, the more rows between two passes over them. Tensors that do not live at the
//!    same time share memory. Every size is known then, so that nothing can fail, and nothing is allocated, while numbers are
//!    computed.
//! 3. `run` walks through the plan with the kernels of one instruction set. Images go side by side over the threads of a pool;
//!    threads that are left divide the rows of an image. Each value is the same sum in the same order whoever computes it.
//!
//! # Memory
//!
//! A tensor is rows; a row is blocks of as many channels as a register has lanes; a block is pixels. So a pixel of a block is one
//! register, a window's next column is the next register, and the value of a channel is at a distance known when kernels are
//! compiled. Rows that windows read beyond the edge of have columns of zeros on both sides, and rows above and below are one row
//! of zeros: no kernel asks where an edge is. Channels that fill up the last block are zero times something finite.

pub mod array;
pub mod error;
pub mod executor;
pub mod exp;
pub mod graph;
pub mod input;
pub mod isa;
mod kernel;
pub mod memory;
pub mod networks;
mod plan;
mod program;
mod run;
pub mod simd;
mod table;
pub mod tiles;

pub use error::ConvnetError;
pub use executor::{Executor, LEAST_PART, Options};
pub use input::{Input, Picture, Scaling};
pub use isa::Isa;
pub use run::{Active, Busy, Crew};
