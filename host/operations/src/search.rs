//! Products, and the search for those that look alike.
//!
//! A search takes the features of what is looked for from the chain of `extract-features` or `embed-text`, so that caches and fallbacks
//! work as everywhere; the space of the answer decides which index is asked. A product gets a vector in every space that a search may end
//! up in: that of each configured model, of each adapter that is asked before it, and of the fallback's descriptor.

mod backfill;
pub mod config;
mod cursor;
pub mod import;
mod import_items;
mod importing;
mod models;
pub mod page;
mod prepare;
pub mod products;
mod ranker;
pub mod request;
mod searching;
pub(crate) mod shared;
pub mod status;
mod targets;
mod upload;

pub use config::{ModelAlias, SearchConfig};
pub use import::{ImportFormat, ImportPhase, ImportProblem, ImportRequest, ImportSource, ImportStatus};
pub use page::{SearchArm, SearchItem, SearchPage, SearchRecall, SearchTimings};
pub use products::{DeletedProduct, GivenVector, ProductInput, ProductList, ProductListRequest, PutProduct};
pub use request::{SearchBy, SearchRequest};
pub use status::{SearchStatus, SpacePhase, SpaceStatus};
