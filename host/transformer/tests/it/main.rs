//! CLIP's towers: against what onnxruntime computed, against plain loops in double precision, and with files and inputs that are
//! wrong.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

mod arbitrary;
mod descriptions;
mod fixture;
mod model;
mod parity;
mod random_models;
mod reference;
mod refusals;
mod sharing;
