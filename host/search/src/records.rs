//! What must survive: products, their vectors, and imports under way.

use breakwater_core::{BoxFuture, Failure, FailureKind};

use crate::index::{Entry, Key};
use crate::product::{Product, Stored};
use crate::space::Space;
use crate::vector::Vector;

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// What was stored cannot be understood.
    #[error("what is stored cannot be read: {0}")]
    Corrupt(String),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<RecordsError> for Failure {
    fn from(error: RecordsError) -> Self {
        Self::new(FailureKind::Unavailable, "search.records", "the records of products failed").caused_by(error)
    }
}

/// A product to store, with its vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The product.
    pub product: Product,
    /// Its vectors, each of another space. Vectors of spaces that are not named here are forgotten when `replace_vectors` is set.
    pub vectors: Vec<(Space, Vector)>,
    /// Whether these are all the vectors it has from now on. Set when the image changed.
    pub replace_vectors: bool,
    /// What this draft was made from: the sequence number of the stored product, 0 for none. If it is another by now, the draft is not
    /// stored. None stores it whatever is there.
    pub of: Option<u64>,
}

/// A change of one space, in the order of sequence numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A vector, or its traits, is new.
    Upserted {
        /// Of this change.
        sequence: u64,
        /// What to keep now.
        entry: Entry,
    },
    /// A vector is no more.
    Deleted {
        /// Of this change.
        sequence: u64,
        /// Whose.
        key: Key,
    },
}

/// A vector of a product that has none in its space yet, or another one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVector {
    /// Whose it is.
    pub key: Key,
    /// The sequence number of the product from which it was made. When the product has changed since, the vector is left out.
    pub of: u64,
    /// Its space.
    pub space: Space,
    /// It.
    pub vector: Vector,
}

/// How far an import has come, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportState {
    /// What it reads, as whoever imports writes it.
    pub source: String,
    /// Items read so far, failed ones included: where a resumed import goes on.
    pub position: u64,
    /// The item read last, for sources whose items are found again by name.
    pub marker: String,
    /// Products stored.
    pub stored: u64,
    /// Items that failed.
    pub failed: u64,
    /// Whether its end was reached.
    pub finished: bool,
    /// Whether it was cancelled: it goes on only when somebody asks for it.
    pub cancelled: bool,
}

/// Where a list of products goes on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListRequest {
    /// Only of this category.
    pub category: Option<String>,
    /// Only after this key.
    pub after: Option<Key>,
    /// At most so many, 1..=1000.
    pub limit: usize,
}

/// Keeps products durably: what was answered with `Ok` is there after a crash.
///
/// Every change gets a sequence number that is larger than all before, also across restarts. One call is one transaction.
pub trait ProductRecords: Send + Sync + 'static {
    /// Stores products, replacing those with the same id, which keep their key. In the order given; the answer has none where a draft was
    /// made from something else than what is there ([`Draft::of`]). With `import`, the state of that import is stored in the same
    /// transaction.
    fn put<'a>(
        &'a self,
        drafts: Vec<Draft>,
        import: Option<(&'a str, ImportState)>,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, RecordsError>>;

    /// The product with this id.
    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Stored>, RecordsError>>;

    /// The products with these keys, in the order of the keys; those that are gone are left out.
    fn by_keys(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>>;

    /// The vector that a product has in a space.
    fn vector<'a>(&'a self, key: Key, space: &'a Space) -> BoxFuture<'a, Result<Option<Vector>, RecordsError>>;

    /// Deletes a product and its vectors. Returns what it was and the sequence number of the deletion.
    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<(Stored, u64)>, RecordsError>>;

    /// Gives products vectors besides those they have. Products that have changed or are gone since are left out; returns how many were
    /// not. The product's own sequence number stays; the change of the space gets one of its own.
    fn add_vectors(&self, vectors: Vec<NewVector>) -> BoxFuture<'_, Result<usize, RecordsError>>;

    /// Products by rising key.
    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>>;

    /// How many products there are.
    fn count(&self) -> BoxFuture<'_, Result<u64, RecordsError>>;

    /// Every space in which a product has a vector, with the number of those.
    fn spaces(&self) -> BoxFuture<'_, Result<Vec<(Space, u64)>, RecordsError>>;

    /// The sequence number of the last change; 0 before the first.
    fn sequence(&self) -> BoxFuture<'_, Result<u64, RecordsError>>;

    /// Changes of a space after a sequence number, at most `limit`, by rising sequence number. Only the last change of a key is there.
    fn changes<'a>(&'a self, space: &'a Space, after: u64, limit: usize) -> BoxFuture<'a, Result<Vec<Change>, RecordsError>>;

    /// Products that have no vector in a space, by rising key: what is left to do when a model is new.
    fn without_vector<'a>(&'a self, space: &'a Space, after: Option<Key>, limit: usize)
    -> BoxFuture<'a, Result<Vec<Stored>, RecordsError>>;

    /// How far an import has come; none when it was never begun.
    fn import<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ImportState>, RecordsError>>;

    /// Every import and how far it has come, by name; at most `limit`.
    fn imports(&self, limit: usize) -> BoxFuture<'_, Result<Vec<(String, ImportState)>, RecordsError>>;

    /// Stores how far an import has come, without products.
    fn set_import<'a>(&'a self, name: &'a str, state: ImportState) -> BoxFuture<'a, Result<(), RecordsError>>;
}
