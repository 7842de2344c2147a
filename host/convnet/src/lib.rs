//! Convolution networks: a typed [`graph`] of layers written once per network ([`networks`]), and an executor of such graphs
//! for the CPU.

pub mod array;
pub mod graph;
pub mod networks;
