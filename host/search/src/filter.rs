//! Which products a search may find.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Conditions that all must hold. The default lets everything through.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The product's category is one of these; empty means any.
    pub categories: Vec<String>,
    /// The product has each of these attributes with this value.
    pub attributes: BTreeMap<String, String>,
    /// The least quality, 0..=1.
    pub min_quality: Option<f32>,
}

impl Filter {
    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.attributes.is_empty() && self.min_quality.is_none()
    }

    /// Whether a product with these traits passes.
    #[must_use]
    pub fn admits(&self, traits: &Traits) -> bool {
        let category = self.categories.is_empty() || self.categories.contains(&traits.category);
        category
            && self.attributes.iter().all(|(name, value)| traits.attributes.get(name) == Some(value))
            && self.min_quality.is_none_or(|least| traits.quality >= least)
    }
}

/// What a filter looks at. Kept in every index beside the vector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Traits {
    /// Empty when the product has none.
    pub category: String,
    /// Such as `colour` to `red`.
    pub attributes: BTreeMap<String, String>,
    /// 0..=1.
    pub quality: f32,
}
