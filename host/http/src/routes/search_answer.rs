//! What a search answers: products, how they were found, and where the answer came from.

use breakwater_core::{CallContext, Outcome};
use breakwater_operations::search::{SearchArm, SearchItem, SearchPage, SearchRecall, SearchTimings};
use serde::Serialize;
use utoipa::ToSchema;

use super::invoke_answer::HistoryBody;
use super::product_body::ProductBody;
use crate::wire::{each, milliseconds};

/// A page of what was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// Best first.
    pub(crate) items: Vec<SearchItemBody>,
    /// Where the next page goes on; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    #[serde(flatten)]
    pub(crate) found: FoundBody,
    #[serde(flatten)]
    pub(crate) history: HistoryBody,
}

/// A product found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchItem)]
pub(crate) struct SearchItemBody {
    /// It.
    pub(crate) product: ProductBody,
    /// Cosine with what was looked for, -1 to 1.
    #[schema(example = 0.93)]
    pub(crate) similarity: f32,
    /// What the ranker made of it; higher is better, comparable within one page only.
    pub(crate) score: f32,
    /// Ids of products that were found too and are not shown, because their pictures are nearly the same.
    pub(crate) duplicates: Vec<String>,
}

/// How it was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Found)]
pub(crate) struct FoundBody {
    /// The model whose numbers were compared.
    #[schema(example = "efficientnet-lite0")]
    pub(crate) model: String,
    /// The space they are in: the model, its revision and its dimension.
    pub(crate) space: String,
    /// Which model an alias stood for, if the search named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<ArmBody>,
    /// How the index was asked.
    index: IndexBody,
    /// Who ordered: such as `plugin:rank-weighted@0.1.0` or `host`.
    ranked_by: String,
    /// How long each stage took, in milliseconds.
    timings_ms: SearchTimingsBody,
}

/// Which of two models an alias stood for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchArm)]
pub(crate) struct ArmBody {
    /// The alias.
    alias: String,
    /// The model.
    model: String,
    /// Whether it is the other model, the one that is tried out.
    other: bool,
}

/// How the index was asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IndexUse)]
pub(crate) struct IndexBody {
    /// `exact`: compared with everything admitted; `approximate`: the graph was walked once; `iterative`: it was walked until the filter had
    /// admitted enough.
    #[schema(value_type = String, example = "exact")]
    method: breakwater_operations::Method,
    /// Candidates kept while the graph was walked; 0 when it was not.
    ef: usize,
    /// Vectors compared.
    scanned: u64,
    /// The share of the index that the filter was expected to admit, 0 to 1.
    selectivity: f64,
    /// What the index's recall has been lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<RecallBody>,
    /// Changes of products that the index has yet to take in.
    pending: u64,
}

/// How many of the true neighbours an index has found lately.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recall)]
pub(crate) struct RecallBody {
    /// Mean, 0 to 1.
    mean: f64,
    /// Mean of the worst tenth, 0 to 1.
    worst_decile: f64,
    /// Searches that were also answered exactly.
    sample: u64,
}

/// Milliseconds of each stage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchTimings)]
pub(crate) struct SearchTimingsBody {
    /// From the picture or text to its numbers.
    embed: f64,
    /// Asking the index.
    index: f64,
    /// Reading the products.
    records: f64,
    /// Ordering.
    rank: f64,
    /// All of it.
    total: f64,
}

impl From<SearchItem> for SearchItemBody {
    fn from(SearchItem { product, similarity, score, duplicates }: SearchItem) -> Self {
        Self { product: product.into(), similarity, score, duplicates }
    }
}

impl From<SearchArm> for ArmBody {
    fn from(SearchArm { alias, model, other }: SearchArm) -> Self {
        Self { alias, model, other }
    }
}

impl From<SearchRecall> for RecallBody {
    fn from(SearchRecall { mean, worst_decile, sample }: SearchRecall) -> Self {
        Self { mean, worst_decile, sample }
    }
}

impl From<SearchTimings> for SearchTimingsBody {
    fn from(SearchTimings { embed, index, records, rank, total }: SearchTimings) -> Self {
        let [embed, index, records, rank, total] = [embed, index, records, rank, total].map(milliseconds);
        Self { embed, index, records, rank, total }
    }
}

impl SearchAnswer {
    /// The answer of a search.
    #[must_use]
    pub fn of(outcome: Outcome<SearchPage>, context: &CallContext) -> Self {
        let (page, history) = HistoryBody::of(outcome, context);
        let index = IndexBody {
            method: page.method,
            ef: page.ef,
            scanned: page.scanned,
            selectivity: page.selectivity,
            recall: page.recall.map(RecallBody::from),
            pending: page.pending,
        };
        let found = FoundBody {
            model: page.model,
            space: page.space,
            arm: page.arm.map(ArmBody::from),
            index,
            ranked_by: page.ranked_by,
            timings_ms: page.timings.into(),
        };
        Self { items: each(page.items), next_cursor: page.next_cursor, found, history }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use breakwater_core::{Principal, ServedBy};
    use breakwater_operations::{Method, Product};
    use serde_json::json;

    use super::*;

    pub(crate) fn page(ids: &[&str], next_cursor: Option<&str>) -> Outcome<SearchPage> {
        let item = |id: &&str| SearchItem {
            product: Product {
                id: (*id).into(),
                title: "A".into(),
                category: "c".into(),
                attributes: [("colour".to_owned(), "red".to_owned())].into(),
                image: "/a.jpg".into(),
                quality: 1.0,
                perceptual_hash: Some(255),
                image_digest: None,
            },
            similarity: 0.5,
            score: 0.75,
            duplicates: vec!["b".into()],
        };
        let page = SearchPage {
            items: ids.iter().map(item).collect(),
            next_cursor: next_cursor.map(str::to_owned),
            model: "m".into(),
            space: "m-0123-2".into(),
            arm: Some(SearchArm { alias: "best".into(), model: "m".into(), other: true }),
            method: Method::Iterative,
            ef: 64,
            scanned: 128,
            selectivity: 0.25,
            recall: Some(SearchRecall { mean: 1.0, worst_decile: 0.5, sample: 3 }),
            pending: 2,
            ranked_by: "host".into(),
            timings: SearchTimings { embed: Duration::from_micros(1500), ..SearchTimings::default() },
        };
        Outcome::new(page, ServedBy::Host { name: "local".into() })
    }

    #[test]
    fn a_page_says_how_it_came_about() {
        let context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        let mut body = serde_json::to_value(SearchAnswer::of(page(&["a"], Some("next")), &context)).unwrap();
        body["correlation_id"].take();
        assert_eq!(
            body,
            json!({
                "items": [{
                    "product": {
                        "id": "a", "title": "A", "category": "c", "attributes": { "colour": "red" }, "image": "/a.jpg", "quality": 1.0,
                        "perceptual_hash": "00000000000000ff", "image_digest": null,
                    },
                    "similarity": 0.5,
                    "score": 0.75,
                    "duplicates": ["b"],
                }],
                "next_cursor": "next",
                "model": "m",
                "space": "m-0123-2",
                "arm": { "alias": "best", "model": "m", "other": true },
                "index": {
                    "method": "iterative", "ef": 64, "scanned": 128, "selectivity": 0.25,
                    "recall": { "mean": 1.0, "worst_decile": 0.5, "sample": 3 }, "pending": 2,
                },
                "ranked_by": "host",
                "timings_ms": { "embed": 1.5, "index": 0.0, "records": 0.0, "rank": 0.0, "total": 0.0 },
                "served_by": "host:local",
                "degraded": false,
                "degraded_reasons": [],
                "level": null,
                "attempts": 1,
                "upstream_attempts": 0,
                "cached_age_ms": null,
                "elapsed_ms": 0.0,
                "correlation_id": null,
            })
        );
    }
}
