//! What a search asks for.

use std::collections::BTreeMap;

use breakwater_search::Filter;
use serde_json::Value;

use crate::source::ImageSource;

/// The most products on a page.
pub const MAX_PAGE_SIZE: usize = 100;
/// The longest text that is looked for, in bytes. Models cut off or refuse far shorter ones; this is what is looked at at all.
pub const MAX_TEXT: usize = 64 << 10;
/// The most categories and attributes of a filter together, and the most weights of categories.
pub const MAX_CONDITIONS: usize = 256;
/// The largest parameters of a ranker, as JSON text, in bytes.
pub const MAX_PARAMETERS: usize = 64 << 10;

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchBy {
    /// What looks like this picture.
    Image(ImageSource),
    /// What this text describes; needs a model that takes images and texts.
    Text(String),
    /// What is near this vector. `model` is the id of a model, or a space as answers name it; none means the default model.
    Vector {
        /// The numbers; they need not have length one.
        values: Vec<f32>,
        /// Whose they are.
        model: Option<String>,
    },
    /// What looks like this product, which is not found itself.
    Product(String),
}

/// A search. [`SearchRequest::by`] fills in what is usual.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// What is looked for.
    pub by: SearchBy,
    /// Products on a page, 1..=[`MAX_PAGE_SIZE`]; the configured number when absent.
    pub page_size: Option<usize>,
    /// Where the page before ended: [`super::SearchPage::next_cursor`] of the same search. Everything but the page's size must be the same.
    pub cursor: Option<String>,
    /// Only these.
    pub filter: Filter,
    /// Only products at least so similar, -1..=1; as configured when absent.
    pub min_similarity: Option<f32>,
    /// Whether near-duplicates are shown as one.
    pub fold_duplicates: bool,
    /// Bits of 64 in which perceptual hashes of near-duplicates may differ, 0..=32; as configured when absent.
    pub duplicate_distance: Option<u32>,
    /// How much categories count, 0..=100 each; those that are not named count 1.
    pub category_weights: BTreeMap<String, f32>,
    /// How much quality counts beside similarity, 0..=1; as configured when absent.
    pub quality_weight: Option<f32>,
    /// What the ranker is told besides, an object; an empty one when null.
    pub parameters: Value,
    /// Compare with everything that the filter admits, however long that takes.
    pub exact: bool,
    /// The model, or an alias of models, that the picture or text is given to; the default when absent.
    pub model: Option<String>,
}

impl SearchRequest {
    /// The first page of what looks like `by`, with what is configured.
    #[must_use]
    pub fn by(by: SearchBy) -> Self {
        Self {
            by,
            page_size: None,
            cursor: None,
            filter: Filter::default(),
            min_similarity: None,
            fold_duplicates: true,
            duplicate_distance: None,
            category_weights: BTreeMap::new(),
            quality_weight: None,
            parameters: Value::Null,
            exact: false,
            model: None,
        }
    }
}
