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

/// The longest id, in bytes.
pub const MAX_ID: usize = 256;
/// The longest title, in bytes.
pub const MAX_TITLE: usize = 1024;
/// The longest category, name or value of an attribute, in bytes.
pub const MAX_TEXT: usize = 256;
/// The most attributes.
pub const MAX_ATTRIBUTES: usize = 64;
/// The longest name of an image, in bytes.
pub const MAX_IMAGE: usize = 4096;

/// Why something is no product: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} of a product {problem}")]
pub struct InvalidProduct {
    /// Such as `title`.
    pub field: &'static str,
    /// Such as `has at most 1024 bytes`.
    pub problem: String,
}

fn checked(field: &'static str, text: &str, least: usize, most: usize) -> Result<(), InvalidProduct> {
    let problem = if text.len() < least {
        "is empty".to_owned()
    } else if text.len() > most {
        format!("has at most {most} bytes")
    } else if text.chars().any(char::is_control) {
        "has no control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidProduct { field, problem })
}

impl Product {
    /// Checks every field against its limits.
    ///
    /// # Errors
    /// The first that is outside.
    pub fn check(&self) -> Result<(), InvalidProduct> {
        checked("id", &self.id, 1, MAX_ID)?;
        checked("title", &self.title, 0, MAX_TITLE)?;
        checked("category", &self.category, 0, MAX_TEXT)?;
        checked("image", &self.image, 0, MAX_IMAGE)?;
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(InvalidProduct { field: "attributes", problem: format!("are at most {MAX_ATTRIBUTES}") });
        }
        for (name, value) in &self.attributes {
            checked("attribute name", name, 1, MAX_TEXT)?;
            checked("attribute", value, 0, MAX_TEXT)?;
        }
        if !(0.0..=1.0).contains(&self.quality) {
            return Err(InvalidProduct { field: "quality", problem: "is a number from 0 to 1".to_owned() });
        }
        Ok(())
    }

    /// What filters look at.
    #[must_use]
    pub fn traits(&self) -> Traits {
        Traits { category: self.category.clone(), attributes: self.attributes.clone(), quality: self.quality }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn product(id: &str) -> Product {
        Product {
            id: id.to_owned(),
            title: String::new(),
            category: String::new(),
            attributes: BTreeMap::new(),
            image: String::new(),
            quality: 1.0,
            perceptual_hash: None,
            image_digest: None,
        }
    }

    #[test]
    fn each_limit_is_held() {
        let good = Product {
            title: "x".repeat(MAX_TITLE),
            category: "«schön» & 'gut'; DROP TABLE product".to_owned(),
            attributes: (0..MAX_ATTRIBUTES).map(|index| (index.to_string(), "x".repeat(MAX_TEXT))).collect(),
            image: "x".repeat(MAX_IMAGE),
            ..product(&"x".repeat(MAX_ID))
        };
        assert_eq!(good.check(), Ok(()));
        let one_more = (0..=MAX_ATTRIBUTES).map(|index| (index.to_string(), String::new())).collect();
        let long = |most: usize| "x".repeat(most + 1);
        let wrong = [
            (product(""), "id"),
            (product("a\0b"), "id"),
            (product(&long(MAX_ID)), "id"),
            (Product { title: long(MAX_TITLE), ..good.clone() }, "title"),
            (Product { category: long(MAX_TEXT), ..good.clone() }, "category"),
            (Product { category: "a\nb".to_owned(), ..good.clone() }, "category"),
            (Product { image: long(MAX_IMAGE), ..good.clone() }, "image"),
            (Product { attributes: one_more, ..good.clone() }, "attributes"),
            (Product { attributes: [(String::new(), String::new())].into(), ..good.clone() }, "attribute name"),
            (Product { attributes: [("a".to_owned(), long(MAX_TEXT))].into(), ..good.clone() }, "attribute"),
            (Product { quality: 1.1, ..good.clone() }, "quality"),
            (Product { quality: f32::NAN, ..good.clone() }, "quality"),
        ];
        for (wrong, field) in wrong {
            assert_eq!(wrong.check().unwrap_err().field, field);
        }
    }
}
