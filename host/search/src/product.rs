//! What is searched for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::filter::Traits;
use crate::index::Key;

/// A product and its image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// The caller's name of it, unique; 1 to 256 bytes without control characters.
    pub id: String,
    /// For people; at most 1024 bytes.
    pub title: String,
    /// At most 256 bytes; empty when it has none.
    pub category: String,
    /// At most 64, of 256 bytes each at most.
    pub attributes: BTreeMap<String, String>,
    /// Where its image is: a path below the media root, a URL, or a name; at most 4096 bytes.
    pub image: String,
    /// How good the product's picture or offer is, 0..=1; 1 when nobody said.
    pub quality: f32,
    /// Perceptual hash of the image: near-duplicates differ in few bits. None when only a vector was given.
    pub perceptual_hash: Option<u64>,
    /// SHA-256 of the image's bytes in hexadecimal digits; none when only a vector was given.
    pub image_digest: Option<String>,
}

/// A product as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Never used again for another product.
    pub key: Key,
    /// Sequence number of its last change.
    pub sequence: u64,
    /// Sequence number of the change that made it.
    pub created: u64,
    /// The product.
    pub product: Product,
}

impl Product {
    /// What filters look at.
    #[must_use]
    pub fn traits(&self) -> Traits {
        Traits { category: self.category.clone(), attributes: self.attributes.clone(), quality: self.quality }
    }
}
