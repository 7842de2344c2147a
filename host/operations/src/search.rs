//! Products, and the search for those that look alike.
//!
//! A search takes the features of what is looked for from the chain of `extract-features` or `embed-text`, so that caches and fallbacks
//! work as everywhere; the space of the answer decides which index is asked. A product gets a vector in every space that a search may end
//! up in: that of each configured model, of each adapter that is asked before it, and of the fallback's descriptor.

pub mod config;
pub mod import;
pub mod page;
pub mod products;
pub mod request;
pub mod status;

pub use config::{ModelAlias, SearchConfig};
pub use import::{ImportFormat, ImportPhase, ImportProblem, ImportRequest, ImportSource, ImportStatus};
pub use page::{SearchArm, SearchItem, SearchPage, SearchRecall, SearchTimings};
pub use products::{DeletedProduct, GivenVector, ProductInput, ProductList, ProductListRequest, PutProduct};
pub use request::{SearchBy, SearchRequest};
pub use status::{SearchStatus, SpacePhase, SpaceStatus};

use breakwater_core::{CallContext, Failure, Outcome};

use crate::operations::Operations;

impl Operations {
    /// Finds products.
    ///
    /// # Errors
    /// - `search.page-size-invalid`, `search.similarity-invalid`, `search.distance-invalid`, `search.weight-invalid`,
    ///   `search.filter-invalid`, `search.parameters-invalid`, `search.text-invalid`, `search.vector-invalid`,
    ///   `search.dimension-mismatch`, `search.cursor-invalid`, `search.cursor-mismatch` (invalid request)
    /// - `search.space-unknown`, `search.space-not-indexed`, `embedder.unknown-model`, `product.not-found` (not found)
    /// - `search.too-deep` (limit): more pages than a search may have
    /// - `search.index-unavailable`, `search.records` (unavailable), `search.index-timeout` (timeout)
    /// - what loading, decoding and the chain of features fail with
    pub async fn search(&self, context: &CallContext, request: SearchRequest) -> Result<Outcome<SearchPage>, Failure> {
        let _ = (context, request);
        Err(Failure::internal("search is being set up"))
    }
}
