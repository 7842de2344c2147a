//! Indices of vectors and search over them, from outside of the crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a shared function"
)]

mod catalogue;
mod embedded;
#[path = "../conformance/indices.rs"]
mod indices;
mod paging;
#[path = "../records/conformance.rs"]
mod product_records;
mod recall;
