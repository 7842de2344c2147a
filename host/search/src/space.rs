//! Which vectors may be compared.

use std::fmt;
use std::sync::Arc;

use breakwater_core::Digest;

/// Vectors of one model, with the same weights and the same preparation of images: only those can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space {
    /// Id of the model, such as `clip-vit-base-patch32`: lower-case letters, digits, `-`, `_` and `.`.
    pub model: Arc<str>,
    /// Digest of everything else that a vector depends on: weights and preparation. A remote model has the digest of its name.
    pub revision: Digest,
    /// Numbers in a vector, 1..=16384.
    pub dimension: u32,
}

impl Space {
    /// A name for files and tables: the model, 12 digits of the revision, and the dimension.
    #[must_use]
    pub fn slug(&self) -> String {
        format!("{}-{}-{}", self.model, self.revision.short(), self.dimension)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.slug())
    }
}
