//! The embedded executor over records in memory: on paused time, and against the suites that every executor and all records pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod conforms;
mod crash;
mod embedded;
#[path = "../executor/conformance.rs"]
mod executor;
#[path = "../records/conformance.rs"]
mod records;
mod support;
