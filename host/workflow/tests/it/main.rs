//! The embedded executor over records in memory, on paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod commands;
mod crash;
mod steps;
mod support;
