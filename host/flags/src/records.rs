//! What survives a restart, and what several processes share: the stored flags.

mod memory;

use std::collections::BTreeMap;

use breakwater_core::BoxFuture;

use crate::definition::Flag;

pub use memory::MemoryFlagRecords;

/// All stored flags at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagState {
    /// Grows by one with every change of any flag; 0 before the first.
    pub revision: u64,
    /// By name.
    pub flags: BTreeMap<String, Flag>,
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FlagRecordsError {
    /// Somebody else changed the flag meanwhile; nothing was written.
    #[error("the stored flag is at version {found}, not {expected}: it was changed meanwhile")]
    Conflict {
        /// The version the change was made from.
        expected: u64,
        /// The version found; 0 when no such flag is stored.
        found: u64,
    },
    /// What was stored cannot be understood.
    #[error("what is stored cannot be read: {0}")]
    Corrupt(String),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps flags.
///
/// A flag's version is the revision its last change made, so that it never comes back, not even after a removal. The version and the
/// name are the records' business: `version` of a given flag is not looked at.
pub trait FlagRecords: Send + Sync + 'static {
    /// The number of changes so far. Asked often, to notice the changes of other processes: it must be cheap.
    fn revision(&self) -> BoxFuture<'_, Result<u64, FlagRecordsError>>;

    /// Every stored flag, all of one revision.
    fn load(&self) -> BoxFuture<'_, Result<FlagState, FlagRecordsError>>;

    /// Stores a flag if the stored one is still at version `expected`, or if there is none and `expected` is 0. Returns the new
    /// revision, which is the flag's version.
    fn put<'a>(&'a self, name: &'a str, expected: u64, flag: &'a Flag) -> BoxFuture<'a, Result<u64, FlagRecordsError>>;

    /// Removes a flag if it is still at version `expected`, which is at least 1. Returns the new revision.
    fn remove<'a>(&'a self, name: &'a str, expected: u64) -> BoxFuture<'a, Result<u64, FlagRecordsError>>;
}
