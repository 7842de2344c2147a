//! What a search answers.

use std::time::Duration;

use breakwater_search::{Method, Product};

/// A product found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchItem {
    /// It.
    pub product: Product,
    /// Cosine with what was looked for, -1..=1.
    pub similarity: f32,
    /// What the ranker made of it; higher is better. Comparable within one page only.
    pub score: f32,
    /// Ids of products that were found too and are not shown, because their pictures are nearly the same; most similar first.
    pub duplicates: Vec<String>,
}

/// Which of two models an alias stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchArm {
    /// The alias.
    pub alias: String,
    /// The model's id.
    pub model: String,
    /// Whether it is the other model, the one that is tried out.
    pub other: bool,
}

/// How many of the true neighbours the index has found lately, measured on a sample of searches that were answered exactly too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchRecall {
    /// Mean, 0..=1.
    pub mean: f64,
    /// Mean of the worst tenth, 0..=1.
    pub worst_decile: f64,
    /// Searches in the sample.
    pub sample: u64,
}

/// How long each stage of a search took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchTimings {
    /// From the picture or text to its features.
    pub embed: Duration,
    /// Asking the index.
    pub index: Duration,
    /// Reading the products.
    pub records: Duration,
    /// Ranking.
    pub rank: Duration,
    /// All of it.
    pub total: Duration,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// Best first.
    pub items: Vec<SearchItem>,
    /// Where the next page goes on; none when there is nothing more.
    pub next_cursor: Option<String>,
    /// The model whose features were compared.
    pub model: String,
    /// The space they are in: the model, its revision and its dimension.
    pub space: String,
    /// Which model an alias stood for, if the search named one.
    pub arm: Option<SearchArm>,
    /// How the index was searched.
    pub method: Method,
    /// Candidates that the index kept while it walked its graph; 0 when it did not.
    pub ef: usize,
    /// Vectors compared.
    pub scanned: u64,
    /// The share of the index that the filter was expected to admit, 0..=1.
    pub selectivity: f64,
    /// What the index's recall has been lately; none before anything was measured.
    pub recall: Option<SearchRecall>,
    /// Changes of products that the index has yet to take in.
    pub pending: u64,
    /// Who ordered: such as `plugin:rank-weighted@0.1.0` or `host`.
    pub ranked_by: String,
    /// How long each stage took.
    pub timings: SearchTimings,
}
