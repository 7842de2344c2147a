//! The default order of what a search found: similarity, weighted by category, and quality.

use breakwater_guest::parameters::NoParameters;
use breakwater_guest::{Candidate, Failure, Host, Ranked, Ranker, Ranking, export_ranker_plugin};

/// `(1 - q) * similarity * w + q * quality`, with `q` for the weight of quality and `w` for the weight of the category.
pub struct Weighted;

impl Ranker for Weighted {
    const SUMMARY: &'static str = "By similarity, weighted by category, and quality.";
    type Parameters = NoParameters;

    fn rank<H: Host>(_: &H, wanted: &Ranking<NoParameters>, candidates: &[Candidate]) -> Result<Vec<Ranked>, Failure> {
        let quality = wanted.quality_weight;
        // The candidates come most similar first, and the host keeps the order of equal scores.
        Ok(Ranked::all(candidates, |one| (1.0 - quality) * one.similarity * wanted.category_weight(&one.category) + quality * one.quality))
    }
}

export_ranker_plugin!(Weighted);
