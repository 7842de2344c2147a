//! The order of what was found.
//!
//! The formula that is used when nobody says otherwise, by the host as by the plugin `rank-weighted`, with `q` for the weight of quality
//! (0..=1) and `w` for the weight of the product's category (0..=100, 1 when it is not named):
//!
//! ```text
//! score = (1 - q) * similarity * w + q * quality
//! ```
//!
//! Best first; among equal scores the more similar first, then the older product. Quality is a number from 0 to 1 and similarity a cosine,
//! so that `q` says how much of the score comes from either as long as no category is weighted.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use breakwater_core::{BoxFuture, CallContext, Failure, Reason};

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
    pub degraded: Option<Reason>,
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

/// The formula of this module, as a ranker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weighted;

/// Most similar first, whatever else is asked: what is left when a ranker fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct BySimilarity;

/// The name of the host as a ranker.
const HOST: &str = "host";

impl RankRequest {
    /// The score of the formula of this module.
    #[must_use]
    pub fn score(&self, candidate: &Candidate) -> f32 {
        let product = &candidate.product.product;
        let weight = self.category_weights.get(&product.category).copied().unwrap_or(1.0);
        (1.0 - self.quality_weight) * candidate.similarity * weight + self.quality_weight * product.quality
    }
}

impl Ranker for Weighted {
    fn rank<'a>(
        &'a self,
        _: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move { Ok(ordered(candidates, |candidate| request.score(candidate))) })
    }
}

impl Ranker for BySimilarity {
    fn rank<'a>(&'a self, _: &'a CallContext, _: &'a RankRequest, candidates: &'a [Candidate]) -> BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move { Ok(ordered(candidates, |candidate| candidate.similarity)) })
    }
}

fn ordered(candidates: &[Candidate], score: impl Fn(&Candidate) -> f32) -> Ranking {
    let mut scored: Vec<_> = candidates.iter().enumerate().map(|(index, candidate)| (index, score(candidate), candidate)).collect();
    scored.sort_by(|(_, a_score, a), (_, b_score, b)| {
        let similar = || b.similarity.total_cmp(&a.similarity);
        b_score.total_cmp(a_score).then_with(similar).then_with(|| a.product.key.cmp(&b.product.key))
    });
    let ranked = scored.into_iter().map(|(candidate, score, _)| Ranked { candidate, score }).collect();
    Ranking { ranked, by: HOST.to_owned(), degraded: None }
}

impl Ranking {
    /// Whether every place is one of `candidates` and none is there twice, and every score is finite: what a ranker must answer.
    #[must_use]
    pub fn fits(&self, candidates: usize) -> bool {
        let mut seen = vec![false; candidates];
        self.ranked.iter().all(|ranked| match seen.get_mut(ranked.candidate) {
            Some(seen) if !*seen && ranked.score.is_finite() => {
                *seen = true;
                true
            }
            _ => false,
        })
    }
}

/// The order of two candidates that nobody ranked: most similar first, then the older one.
#[must_use]
pub fn by_similarity(a: &Candidate, b: &Candidate) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then_with(|| a.product.key.cmp(&b.product.key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::Principal;

    use super::*;
    use crate::index::Key;
    use crate::product::tests::product;

    fn candidate(key: u64, similarity: f32, category: &str, quality: f32) -> Candidate {
        let product = crate::Product { category: category.to_owned(), quality, ..product(&key.to_string()) };
        Candidate { product: Stored { key: Key(key), sequence: key, created: key, product }, similarity }
    }

    async fn order(ranker: &dyn Ranker, request: &RankRequest, candidates: &[Candidate]) -> Vec<(u64, f32)> {
        let context = CallContext::root(Principal::System, Duration::from_secs(1));
        let ranking = ranker.rank(&context, request, candidates).await.unwrap();
        assert!(ranking.fits(candidates.len()));
        ranking.ranked.iter().map(|ranked| (candidates[ranked.candidate].product.key.0, ranked.score)).collect()
    }

    #[tokio::test]
    async fn category_and_quality_count_as_the_formula_says() {
        let candidates = [candidate(1, 0.8, "shoes", 0.0), candidate(2, 0.6, "hats", 1.0), candidate(3, 0.5, "shoes", 0.5)];
        let mut request = RankRequest::default();
        assert_eq!(order(&Weighted, &request, &candidates).await, [(1, 0.8), (2, 0.6), (3, 0.5)]);
        request.category_weights.insert("hats".to_owned(), 2.0);
        assert_eq!(order(&Weighted, &request, &candidates).await, [(2, 1.2), (1, 0.8), (3, 0.5)]);
        request = RankRequest { quality_weight: 0.5, ..RankRequest::default() };
        assert_eq!(order(&Weighted, &request, &candidates).await, [(2, 0.8), (3, 0.5), (1, 0.4)]);
        assert_eq!(order(&BySimilarity, &request, &candidates).await, [(1, 0.8), (2, 0.6), (3, 0.5)]);
    }

    #[tokio::test]
    async fn equal_scores_are_ordered_by_similarity_then_by_age() {
        let candidates = [candidate(3, 0.5, "", 1.0), candidate(1, 0.5, "", 1.0), candidate(2, 0.7, "", 1.0)];
        let request = RankRequest { quality_weight: 1.0, ..RankRequest::default() };
        assert_eq!(order(&Weighted, &request, &candidates).await, [(2, 1.0), (1, 1.0), (3, 1.0)]);
    }

    #[test]
    fn a_ranking_names_each_candidate_at_most_once_with_a_score() {
        let ranking = |ranked: &[(usize, f32)]| Ranking {
            ranked: ranked.iter().map(|&(candidate, score)| Ranked { candidate, score }).collect(),
            by: String::new(),
            degraded: None,
        };
        assert!(ranking(&[]).fits(0) && ranking(&[(1, 0.5)]).fits(2));
        for wrong in [&[(2, 0.5)][..], &[(0, 0.5), (0, 0.4)], &[(0, f32::NAN)], &[(0, f32::INFINITY)]] {
            assert!(!ranking(wrong).fits(2), "{wrong:?}");
        }
    }
}
