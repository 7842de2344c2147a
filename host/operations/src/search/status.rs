//! How the indices are.

use breakwater_core::Failure;

use super::page::SearchRecall;
use crate::operations::Operations;

/// What the index of a space is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpacePhase {
    /// It holds what the records hold.
    Ready,
    /// It takes in changes.
    CatchingUp,
    /// It is not there now; tried again with growing pauses.
    Unavailable,
}

/// The index of one space.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceStatus {
    /// The space, as answers name it.
    pub space: String,
    /// The model.
    pub model: String,
    /// Numbers in a vector.
    pub dimension: u32,
    /// What it is doing.
    pub phase: SpacePhase,
    /// The code of what it failed with, while it is not there.
    pub problem: Option<String>,
    /// Vectors in the records.
    pub vectors: u64,
    /// Vectors in the index; none while it is not there.
    pub indexed: Option<u64>,
    /// Products without a vector in this space. Only of spaces that searches of now use.
    pub missing: Option<u64>,
    /// Sequence number up to which the index has taken in changes.
    pub sequence: u64,
    /// Changes that it has yet to take in.
    pub pending: u64,
    /// Memory and storage it holds, in bytes, as far as known.
    pub bytes: u64,
    /// What its recall has been lately.
    pub recall: Option<SearchRecall>,
}

/// How products and indices are.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchStatus {
    /// Products.
    pub products: u64,
    /// Sequence number of the last change of a product.
    pub sequence: u64,
    /// The index of every space in which a product has a vector.
    pub spaces: Vec<SpaceStatus>,
    /// Products that got a vector of a new model since the service started.
    pub backfilled: u64,
    /// Products whose picture could not be read or understood again for that.
    pub backfill_failed: u64,
}

impl Operations {
    /// How products and indices are.
    ///
    /// # Errors
    /// `search.records` (unavailable).
    pub async fn search_status(&self) -> Result<SearchStatus, Failure> {
        Err(Failure::internal("search is being set up"))
    }
}
