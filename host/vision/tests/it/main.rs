//! The crate from outside: real files of every format, hostile ones, and what comes out.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

mod formats;
mod hostile;
mod inputs;
mod largest_allocation;
mod properties;
mod rendering;
mod sheets;
