//! What starts the real binary and talks to it as a user would: for the end-to-end tests, and for `cargo xtask demo`.
//!
//! Nothing here knows the product's crates: a test that passes here passes for somebody who has only the binary.

pub mod artifacts;
pub mod client;
pub mod external;
pub mod flask;
pub mod forged;
pub mod photographs;
pub mod postgres;
pub mod processes;
pub mod service;
pub mod temporal;
pub mod upstream;
