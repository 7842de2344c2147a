//! Durable records: what must survive a restart, in one SQLite file by default, or in a PostgreSQL that several processes share.
//!
//! The crates that own the data say what they need as a trait; this crate implements those traits. Every implementation of a trait
//! passes the same conformance suite.

#![forbid(unsafe_code)]

mod flags;
mod plugins;
mod postgres;
mod products;
mod registry;
mod services;
mod sqlite;
mod workflows;

pub use postgres::{PostgresConfig, PostgresStore};
pub use sqlite::{SqliteStore, StoreError};
pub use workflows::ExecutorLock;
