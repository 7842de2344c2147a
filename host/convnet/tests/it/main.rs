//! The crate from outside: what its executor computes, held against plain loops, and what it does with bad input.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

mod allocations;
mod arbitrary;
mod blocks;
mod case;
mod comparison;
mod convolutions;
mod fusions;
mod layers;
mod networks;
mod pictures;
mod random_graphs;
mod reference;
mod refusals;
mod reuse;
