//! How the indices are.

use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::Failure;
use breakwater_search::catalogue::FollowedState;
use breakwater_search::{Filter, Space};

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
    /// Vectors that products lack and cannot get, because their pictures cannot be looked at again; as of the last time it was tried.
    pub backfill_failed: u64,
}

impl Operations {
    /// How products and indices are.
    ///
    /// # Errors
    /// `search.records` (unavailable).
    pub async fn search_status(&self) -> Result<SearchStatus, Failure> {
        let records = self.products().records();
        let (products, sequence, held) = (records.count().await?, records.sequence().await?, records.spaces().await?);
        let used = self.answering_spaces();
        let mut spaces = Vec::new();
        for (space, state) in self.products().followed() {
            let vectors = held.iter().find(|(known, _)| *known == space).map_or(0, |(_, vectors)| *vectors);
            let everything = Filter::default();
            let (indexed, bytes) = match &state.index {
                Some(index) => (index.count(&everything).await.ok(), index.bytes()),
                None => (None, 0),
            };
            let recall = recall(&state);
            spaces.push(SpaceStatus {
                missing: used.contains(&space).then(|| products.saturating_sub(vectors)),
                phase: match &state {
                    FollowedState { problem: Some(_), .. } => SpacePhase::Unavailable,
                    FollowedState { ready: true, .. } => SpacePhase::Ready,
                    _ => SpacePhase::CatchingUp,
                },
                problem: state.problem.map(|problem| problem.code.to_owned()),
                model: space.model.to_string(),
                dimension: space.dimension,
                vectors,
                indexed,
                sequence: state.sequence,
                pending: self.products().pending(&space),
                bytes,
                recall,
                space: space.slug(),
            });
        }
        let state = self.search_state();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (backfilled, backfill_failed) = (count(&state.backfilled), count(&state.backfill_failed));
        Ok(SearchStatus { products, sequence, spaces, backfilled, backfill_failed })
    }

    /// What the recall of a space's index has been lately.
    pub(super) fn recall_of(&self, space: &Space) -> Option<SearchRecall> {
        let followed = self.products().followed().into_iter().find(|(known, _)| known == space);
        recall(&followed?.1)
    }
}

fn recall(state: &FollowedState) -> Option<SearchRecall> {
    let recall = state.index.as_ref()?.recall()?;
    Some(SearchRecall { mean: recall.mean, worst_decile: recall.worst_decile, sample: recall.samples as u64 })
}
