//! The order of what was found.

use std::collections::BTreeMap;

use breakwater_core::{BoxFuture, CallContext, Failure};

use crate::product::Stored;

/// Something found, before it is ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What.
    pub product: Stored,
    /// Cosine with the query, -1..=1.
    pub similarity: f32,
}

/// What a ranker may look at besides the candidates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankRequest {
    /// How much a category counts; 1 for those that are not named. Each 0..=100.
    pub category_weights: BTreeMap<String, f32>,
    /// How much quality counts beside similarity, 0..=1.
    pub quality_weight: f32,
    /// What the caller gave the ranker, as it is.
    pub parameters: serde_json::Value,
}

/// Something ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Place in the list of candidates that was given.
    pub candidate: usize,
    /// Higher is better; finite.
    pub score: f32,
}

/// The order, and who made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Best first. Candidates left out are not shown.
    pub ranked: Vec<Ranked>,
    /// Such as `plugin:rank-weighted@0.1.0` or `host`.
    pub by: String,
    /// Why the ranker that should have done it could not.
    pub degraded: Option<String>,
}

/// Orders candidates.
pub trait Ranker: Send + Sync + 'static {
    /// Orders `candidates`, which are those of one search, most similar first.
    fn rank<'a>(
        &'a self,
        context: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> BoxFuture<'a, Result<Ranking, Failure>>;
}
