//! Convolution networks: a typed [`graph`] of layers written once per network ([`networks`]), and an executor of such graphs
//! for the processor.

pub mod array;
pub mod error;
pub mod executor;
pub mod graph;
pub mod input;
pub mod isa;
mod kernel;
mod memory;
pub mod networks;
mod plan;
mod program;
mod run;
mod simd;
mod table;

pub use error::ConvnetError;
pub use executor::{Executor, Options};
pub use input::{Input, Picture, Scaling};
pub use isa::Isa;
