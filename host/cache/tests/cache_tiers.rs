//! The cache as a whole: its tiers, a real Redis that comes and goes, and a stampede.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

#[path = "tiers/memory.rs"]
mod memory;
#[path = "tiers/outage.rs"]
mod outage;
#[path = "tiers/redis_server.rs"]
mod redis_server;
#[path = "tiers/shared.rs"]
mod shared;
#[path = "tiers/stampede.rs"]
mod stampede;
#[path = "tiers/support.rs"]
mod support;
