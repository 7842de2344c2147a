//! How products and indices are, as it goes over the wire.

use breakwater_operations::search::{SearchStatus, SpacePhase, SpaceStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::search_answer::RecallBody;
use crate::wire::each;

/// How products and indices are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchStatus)]
pub(crate) struct SearchStatusBody {
    /// Products.
    products: u64,
    /// Number of the last change of a product.
    sequence: u64,
    /// The index of every space in which a product has a vector.
    spaces: Vec<SpaceBody>,
    /// Products that got a vector of a new model since the service started.
    backfilled: u64,
    /// Products whose picture could not be read again for that.
    backfill_failed: u64,
}

/// The index of one space.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpaceStatus)]
pub(crate) struct SpaceBody {
    /// The space, as answers name it.
    space: String,
    /// The model.
    model: String,
    /// Numbers in a vector.
    dimension: u32,
    /// `ready`, `catching-up` or `unavailable`.
    #[schema(example = "ready")]
    state: &'static str,
    /// Stable code of what it failed with, while it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Vectors in the records.
    vectors: u64,
    /// Vectors in the index; absent while it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    indexed: Option<u64>,
    /// Products without a vector in this space, if searches of now use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
    /// Number of the last change that the index has taken in.
    sequence: u64,
    /// Changes that it has yet to take in.
    pending: u64,
    /// Memory and storage it holds, in bytes, as far as known.
    bytes: u64,
    /// What its recall has been lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<RecallBody>,
}

impl From<SearchStatus> for SearchStatusBody {
    fn from(status: SearchStatus) -> Self {
        let SearchStatus { products, sequence, spaces, backfilled, backfill_failed } = status;
        Self { products, sequence, spaces: each(spaces), backfilled, backfill_failed }
    }
}

impl From<SpaceStatus> for SpaceBody {
    fn from(status: SpaceStatus) -> Self {
        Self {
            state: match status.phase {
                SpacePhase::Ready => "ready",
                SpacePhase::CatchingUp => "catching-up",
                SpacePhase::Unavailable => "unavailable",
            },
            space: status.space,
            model: status.model,
            dimension: status.dimension,
            problem: status.problem,
            vectors: status.vectors,
            indexed: status.indexed,
            missing: status.missing,
            sequence: status.sequence,
            pending: status.pending,
            bytes: status.bytes,
            recall: status.recall.map(RecallBody::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_that_is_away_says_why() {
        let space = SpaceStatus {
            space: "m-0-2".into(),
            model: "m".into(),
            dimension: 2,
            phase: SpacePhase::Unavailable,
            problem: Some("search.index-unavailable".into()),
            vectors: 5,
            indexed: None,
            missing: None,
            sequence: 7,
            pending: 3,
            bytes: 100,
            recall: None,
        };
        let status = SearchStatus { products: 5, sequence: 10, spaces: vec![space], backfilled: 1, backfill_failed: 0 };
        assert_eq!(
            serde_json::to_value(SearchStatusBody::from(status)).unwrap(),
            json!({
                "products": 5,
                "sequence": 10,
                "spaces": [{
                    "space": "m-0-2", "model": "m", "dimension": 2, "state": "unavailable", "problem": "search.index-unavailable",
                    "vectors": 5, "sequence": 7, "pending": 3, "bytes": 100,
                }],
                "backfilled": 1,
                "backfill_failed": 0,
            })
        );
    }
}
