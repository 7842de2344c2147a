//! Products, indices of vectors, and ranked search over them.
//!
//! A [`Product`] has vectors in one or more [`Space`]s; only vectors of one space can be compared, so there is one [`VectorIndex`] per space.
//! [`ProductRecords`] is the truth, kept durably; an index follows its changes by their sequence numbers and can always be made again from
//! it. A search asks an index for candidates, lets a [`Ranker`] order them, and answers a page that stays stable while products change.

#![deny(unsafe_code)]

pub mod catalogue;
pub mod embedded;
pub mod exact;
pub mod filter;
pub mod find;
pub mod folding;
pub mod index;
pub mod memory;
pub mod paging;
pub mod planner;
pub mod product;
pub mod ranking;
pub mod recall;
pub mod records;
pub mod space;
pub mod vector;

pub use catalogue::{CatalogueConfig, CatalogueError, ProductCatalogue};
pub use exact::ExactIndices;
pub use filter::Filter;
pub use index::{Entry, Hit, Hits, IndexError, Indices, Key, Method, Query, VectorIndex};
pub use memory::MemoryProductRecords;
pub use paging::Passed;
pub use product::Product;
pub use ranking::{Candidate, Ranked, Ranker};
pub use records::{Change, ProductRecords, RecordsError};
pub use space::Space;
pub use vector::{Vector, VectorError};
