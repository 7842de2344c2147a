//! Sidecars as they are: real processes under a real reaper. The servers are shell and Python of the standard library; what real frameworks
//! do is for the end-to-end tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a shared function"
)]

#[path = "supervision/between.rs"]
mod between;
#[path = "supervision/life.rs"]
mod life;
#[path = "supervision/rough.rs"]
mod rough;
#[path = "supervision/support.rs"]
mod support;
