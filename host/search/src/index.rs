//! Indices of vectors.

use breakwater_core::{BoxFuture, Deadline, Failure, FailureKind};
use serde::{Deserialize, Serialize};

use crate::filter::{Filter, Traits};
use crate::recall::Recall;
use crate::space::Space;
use crate::vector::Vector;

/// The number of a product, given by the records and never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Key(pub u64);

/// A vector to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose it is. A key that is there already is replaced.
    pub key: Key,
    /// Of the index's space.
    pub vector: Vector,
    /// For filters.
    pub traits: Traits,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of the index's space.
    pub vector: Vector,
    /// At most so many hits, 1..=[`MAX_COUNT`].
    pub count: usize,
    /// Only these.
    pub filter: Filter,
    /// Always compare with everything that the filter admits.
    pub exact: bool,
    /// When the caller stops waiting.
    pub deadline: Deadline,
}

/// The most hits that one query may ask for.
pub const MAX_COUNT: usize = 10_000;

/// One vector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Whose it is.
    pub key: Key,
    /// Cosine with the query, -1..=1.
    pub similarity: f32,
}

/// How a query was answered. Chosen by the share of the index that the filter admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Compared with everything admitted.
    Exact,
    /// The graph was walked once.
    Approximate,
    /// The graph was walked further and further until the filter had admitted enough.
    Iterative,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// Most similar first; equal ones by key. Fewer than asked for only if the filter admits no more.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub method: Method,
    /// Candidates kept while the graph was walked; 0 when it was not.
    pub ef: usize,
    /// Vectors compared with the query, as far as known; the index's size at most.
    pub scanned: u64,
    /// The share of the index that the filter was expected to admit, 0..=1.
    pub selectivity: f64,
}

/// Why an index could not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The vector has another dimension than the space.
    #[error("the vector has {found} numbers, the index holds vectors of {expected}")]
    Dimension {
        /// Of the index.
        expected: u32,
        /// Of the vector.
        found: usize,
    },
    /// A query asks for none or too many.
    #[error("a query asks for 1 to {MAX_COUNT} hits, not {0}")]
    Count(usize),
    /// The deadline came first.
    #[error("the index did not answer in time")]
    Timeout,
    /// The index holds as many vectors as it may.
    #[error("the index holds {0} vectors, as many as it may")]
    Full(usize),
    /// The backend can never keep this: a dimension, a number or a text past its limits.
    #[error("the index cannot keep this: {0}")]
    Unsupported(String),
    /// What was stored cannot be understood.
    #[error("what is stored of the index cannot be read: {0}")]
    Corrupt(String),
    /// The database or the file system is not there now; may work later.
    #[error("the index is not available: {what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl IndexError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dimension { .. } => "search.dimension-mismatch",
            Self::Count(_) => "search.count-invalid",
            Self::Timeout => "search.index-timeout",
            Self::Full(_) => "search.index-full",
            Self::Corrupt(_) => "search.index-corrupt",
            Self::Unsupported(_) => "search.index-unsupported",
            Self::Unavailable { .. } => "search.index-unavailable",
        }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let kind = match &error {
            IndexError::Dimension { .. } | IndexError::Count(_) => FailureKind::InvalidRequest,
            IndexError::Timeout => FailureKind::Timeout,
            IndexError::Full(_) | IndexError::Unsupported(_) => FailureKind::Limit,
            IndexError::Corrupt(_) | IndexError::Unavailable { .. } => FailureKind::Unavailable,
        };
        let message = match &error {
            // What was tried is for the log: it may name a file or a host.
            IndexError::Corrupt(_) => "what is stored of the index cannot be read".to_owned(),
            IndexError::Unavailable { .. } => "the index is not available now".to_owned(),
            told => told.to_string(),
        };
        Self::new(kind, error.code(), message).caused_by(error)
    }
}

/// The vectors of one space, found by their direction.
///
/// Changes come in the order of their sequence numbers and are idempotent: applying one again changes nothing. An index remembers the
/// last sequence number with its vectors, so that after a crash it says from where it needs the changes again.
pub trait VectorIndex: Send + Sync + 'static {
    /// Whose vectors these are.
    fn space(&self) -> &Space;

    /// Keeps vectors; those of keys that are there already are replaced. `sequence` is that of the last of these changes.
    fn upsert(&self, entries: Vec<Entry>, sequence: u64) -> BoxFuture<'_, Result<(), IndexError>>;

    /// Forgets vectors. Returns how many were there.
    fn delete(&self, keys: Vec<Key>, sequence: u64) -> BoxFuture<'_, Result<usize, IndexError>>;

    /// The vectors most similar to the query's. Never silently short: see [`Hits::hits`].
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Hits, IndexError>>;

    /// How many vectors the filter admits, exactly.
    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<u64, IndexError>>;

    /// Up to which sequence number changes have been applied.
    fn sequence(&self) -> BoxFuture<'_, Result<u64, IndexError>>;

    /// Makes everything applied so far durable and returns the sequence number from which it goes on after a crash.
    fn snapshot(&self) -> BoxFuture<'_, Result<u64, IndexError>>;

    /// Memory and storage held, in bytes, as far as known.
    fn bytes(&self) -> u64;

    /// What its recall was lately, when somebody measures it; see [`crate::recall`].
    fn recall(&self) -> Option<Recall> {
        None
    }
}

/// Opens the indices of spaces.
pub trait Indices: Send + Sync + 'static {
    /// The index of a space, made when it is not there. An index whose storage cannot be read is begun anew, at sequence 0.
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<std::sync::Arc<dyn VectorIndex>, IndexError>>;

    /// Deletes what is stored of a space.
    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>>;
}
