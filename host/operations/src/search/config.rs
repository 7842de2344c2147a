//! How search behaves when a call does not say.

use std::collections::BTreeMap;

/// A name that stands for one of two models, so that they can be compared under load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAlias {
    /// The model that it stands for.
    pub model: String,
    /// The other model, for whom the flag is on. None: the alias is only another name.
    pub other: Option<String>,
    /// The flag that decides, sticky per subject. Off, or no such flag: [`Self::model`].
    pub flag: String,
}

/// What the operator decides about search and imports.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchConfig {
    /// Models of which every product gets a vector besides the default model: those of aliases, so that both arms can be searched.
    pub models: Vec<String>,
    /// Whether every product also gets the descriptor of the fallback of `extract-features`, so that a search still finds something
    /// when no model answers.
    pub descriptor: bool,
    /// Names that stand for one of two models.
    pub aliases: BTreeMap<String, ModelAlias>,
    /// Products on a page, 1..=[`super::request::MAX_PAGE_SIZE`].
    pub page_size: usize,
    /// Products less similar than this are not shown, -1..=1.
    pub min_similarity: f32,
    /// Products whose perceptual hashes differ in at most so many of 64 bits are shown as one, 0..=32.
    pub duplicate_distance: u32,
    /// How much a product's quality counts beside its similarity, 0..=1.
    pub quality_weight: f32,
    /// The plugin that orders what was found. None: `rank-weighted` if it is there, otherwise the host.
    pub ranker: Option<String>,
    /// Imports that run at once, at least 1.
    pub max_imports: usize,
    /// Items of one import that are worked on at the same time, at least 1.
    pub import_concurrency: usize,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            descriptor: true,
            aliases: BTreeMap::new(),
            page_size: 20,
            min_similarity: 0.0,
            duplicate_distance: 4,
            quality_weight: 0.1,
            ranker: None,
            max_imports: 2,
            import_concurrency: 4,
        }
    }
}
