//! One search: what is looked for, its features, the index of their space, a page.

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{CallContext, Failure, FailureKind, Outcome, ServedBy};
use breakwater_search::find::{self, PageRequest};
use breakwater_search::paging::MAX_DEPTH;
use breakwater_search::{Key, Passed, Space, Vector};

use super::cursor::{self, Question, SearchCursor};
use super::models::Chosen;
use super::page::{SearchItem, SearchPage, SearchTimings};
use super::request::{Checked, SearchBy, SearchRequest, checked_text};
use crate::caching::canonical_digest;
use crate::json;
use crate::operation::SEARCH_PRODUCTS;
use crate::operations::Operations;
use crate::source::ImageSource;
use crate::typed::Typed;

/// What is looked for, in a space.
struct Wanted {
    model: String,
    space: Space,
    vector: Arc<Vector>,
    /// The product that is looked for: it is not found itself.
    except: Option<Key>,
    /// How the vector was come by.
    history: Outcome<()>,
}

impl Operations {
    /// Finds products.
    ///
    /// # Errors
    /// - `search.page-size-invalid`, `search.similarity-invalid`, `search.distance-invalid`, `search.weight-invalid`,
    ///   `search.filter-invalid`, `search.parameters-invalid`, `search.text-invalid`, `search.vector-invalid`,
    ///   `search.dimension-mismatch`, `search.cursor-invalid`, `search.cursor-mismatch` (invalid request)
    /// - `search.space-unknown`, `search.space-not-indexed`, `embedder.unknown-model`, `product.not-found` (not found)
    /// - `search.too-deep` (limit): more pages than a search may have
    /// - `search.index-unavailable`, `search.records` (unavailable), `search.index-timeout` (timeout)
    /// - what loading, decoding and the chain of features fail with
    pub async fn search(&self, context: &CallContext, request: SearchRequest) -> Result<Outcome<SearchPage>, Failure> {
        let (context, snapshot) = self.enter(context);
        let entry = snapshot.table.get(SEARCH_PRODUCTS.name)?;
        let here = async |context: CallContext| self.search_here(&context, request.clone()).await;
        let failed =
            match self.typed(&context, entry, |outcome: &Outcome<SearchPage>| (&outcome.served_by, outcome.is_degraded()), here).await {
                Typed::Ended(result) => return result,
                Typed::Continues(failed) => failed,
            };
        let payload = json::search::to_payload(&request);
        let outcome = self.answer(context, Arc::clone(&snapshot), SEARCH_PRODUCTS.name, payload, failed).await?;
        let history = outcome.clone().map(drop);
        let page = json::search::from_payload(outcome.value)?;
        Ok(history.map(|()| page))
    }

    /// With the products of the host.
    pub(crate) async fn search_here(&self, context: &CallContext, request: SearchRequest) -> Result<Outcome<SearchPage>, Failure> {
        let started = Instant::now();
        let (context, snapshot) = self.enter(context);
        let checked = request.check(self.search_config())?;
        let after = request.cursor.as_deref().map(SearchCursor::decode).transpose()?;
        if after.as_ref().is_some_and(|after| after.passed.len() >= MAX_DEPTH) {
            let message = format!("a search shows at most about {MAX_DEPTH} products; look for something narrower");
            return Err(Failure::limit("search.too-deep", message));
        }
        let chosen = self.chosen_model(&context, request.model.as_deref(), after.as_ref().and_then(|after| after.other))?;
        let (wanted, by) = self.wanted(&context, request.by.clone(), chosen.model.as_deref()).await?;
        let embed = started.elapsed();

        let question = question(&request, &checked, &by, &wanted);
        let passed = match after {
            Some(after) if after.question != question => return Err(cursor::mismatch()),
            Some(after) => after.passed,
            None => Passed::nothing(self.products().records().sequence().await?),
        };
        let index = self.products().index(&wanted.space, context.deadline).await?;
        let page = PageRequest {
            vector: (*wanted.vector).clone(),
            filter: checked.filter,
            except: wanted.except,
            min_similarity: checked.min_similarity,
            duplicate_distance: checked.duplicate_distance,
            rank: checked.rank,
            size: checked.size,
            exact: checked.exact,
            passed,
        };
        let ranker = self.ranker(&snapshot);
        let found = find::find(&*index, &**self.products().records(), &*ranker, &context, &page).await?;
        let total = started.elapsed();
        Ok(self.answered(wanted, chosen, question, found, SearchTimings { embed, total, ..SearchTimings::default() }))
    }

    fn answered(
        &self,
        wanted: Wanted,
        chosen: Chosen,
        question: Question,
        found: find::Page,
        timings: SearchTimings,
    ) -> Outcome<SearchPage> {
        let other = chosen.arm.as_ref().map(|arm| arm.other);
        let items: Vec<SearchItem> = found.shown.into_iter().map(item).collect();
        let best = items.iter().map(|item| item.similarity).reduce(f32::max);
        let timings = SearchTimings { index: found.index_time, records: found.records_time, rank: found.rank_time, ..timings };
        self.metrics().search_answered(&wanted.model, method_name(found.method), best, timings.total);
        let mut history = wanted.history;
        history.reasons.extend(found.rank_degraded);
        history.elapsed = timings.total;
        let page = SearchPage {
            items,
            next_cursor: found.next.map(|passed| SearchCursor { question, other, passed }.encode()),
            model: wanted.model,
            pending: self.products().pending(&wanted.space),
            recall: self.recall_of(&wanted.space),
            space: wanted.space.slug(),
            arm: chosen.arm,
            method: found.method,
            ef: found.ef,
            scanned: found.scanned,
            selectivity: found.selectivity,
            ranked_by: found.ranked_by,
            timings,
        };
        history.map(|()| page)
    }

    /// The features of what is looked for, and the bytes that name it in the digest of the question.
    async fn wanted(&self, context: &CallContext, by: SearchBy, model: Option<&str>) -> Result<(Wanted, Vec<u8>), Failure> {
        match by {
            SearchBy::Image(image) => {
                let image = self.fetched(context, image).await?;
                let named = match &image {
                    ImageSource::Bytes(bytes) => breakwater_core::Digest::of(bytes).as_bytes().to_vec(),
                    ImageSource::Path(path) | ImageSource::Url(path) => path.clone().into_bytes(),
                };
                Ok((Wanted::of(self.features(context, image, model).await?), [&b"image"[..], &named].concat()))
            }
            SearchBy::Text(text) => {
                let text = checked_text(text)?;
                Ok((Wanted::of(self.text_features(context, &text, model).await?), [&b"text"[..], text.as_bytes()].concat()))
            }
            SearchBy::Vector { values, model: of } => {
                let space = self.space_named(context, of.as_deref().or(model))?;
                let vector = given_vector(&values, &space)?;
                let named: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Ok((Wanted::given(space, vector, None), [&b"vector"[..], &named].concat()))
            }
            SearchBy::Product(id) => {
                let stored = self.stored_product(&id).await?;
                let (space, vector) = self.vector_of_product(context, stored.key, model).await?;
                Ok((Wanted::given(space, vector, Some(stored.key)), [&b"product"[..], id.as_bytes()].concat()))
            }
        }
    }

    /// A vector of a product: in the space of a model, or in the first that searches use and it has one in.
    async fn vector_of_product(&self, context: &CallContext, key: Key, model: Option<&str>) -> Result<(Space, Vector), Failure> {
        let spaces = match model {
            Some(model) => vec![self.space_named(context, Some(model))?],
            None => self.used_spaces(),
        };
        for space in spaces {
            if let Some(vector) = self.products().records().vector(key, &space).await? {
                return Ok((space, vector));
            }
        }
        let message = "the product has no vector in a space that is searched";
        Err(Failure::new(FailureKind::NotFound, "search.space-not-indexed", message))
    }
}

impl Wanted {
    fn of(outcome: Outcome<crate::features::Features>) -> Self {
        let history = outcome.clone().map(drop);
        let crate::features::Features { model, space, vector, .. } = outcome.value;
        Self { model, space, vector, except: None, history }
    }

    fn given(space: Space, vector: Vector, except: Option<Key>) -> Self {
        let history = Outcome::new((), ServedBy::Host { name: "index".to_owned() });
        Self { model: space.model.to_string(), space, vector: Arc::new(vector), except, history }
    }
}

/// A vector that a caller made.
///
/// # Errors
/// `search.vector-invalid`, `search.dimension-mismatch`.
pub(super) fn given_vector(values: &[f32], space: &Space) -> Result<Vector, Failure> {
    let vector = Vector::new(values).map_err(|error| Failure::invalid("search.vector-invalid", error.to_string()))?;
    if vector.dimension() != space.dimension as usize {
        let message = format!("the vector has {} numbers, those of {} have {}", vector.dimension(), space.model, space.dimension);
        let detail = serde_json::json!({ "expected": space.dimension, "found": vector.dimension() });
        return Err(Failure::invalid("search.dimension-mismatch", message).with_detail(detail));
    }
    Ok(vector)
}

/// The digest of everything that decides what is shown, but the page's size.
fn question(request: &SearchRequest, checked: &Checked, by: &[u8], wanted: &Wanted) -> Question {
    let Checked { filter, min_similarity, duplicate_distance, rank, exact, size: _ } = checked;
    let weights = serde_json::json!({
        "filter": filter, "weights": rank.category_weights, "parameters": rank.parameters, "distance": duplicate_distance, "exact": exact,
    });
    cursor::question([
        by,
        wanted.space.slug().as_bytes(),
        canonical_digest(&weights).as_bytes(),
        &min_similarity.to_le_bytes(),
        &rank.quality_weight.to_le_bytes(),
        request.model.as_deref().unwrap_or_default().as_bytes(),
    ])
}

fn item(shown: find::Shown) -> SearchItem {
    let find::Shown { folded, score } = shown;
    SearchItem {
        product: folded.candidate.product.product,
        similarity: folded.candidate.similarity,
        score,
        duplicates: folded.duplicates.into_iter().map(|duplicate| duplicate.product.product.id).collect(),
    }
}

fn method_name(method: breakwater_search::Method) -> &'static str {
    match method {
        breakwater_search::Method::Exact => "exact",
        breakwater_search::Method::Approximate => "approximate",
        breakwater_search::Method::Iterative => "iterative",
    }
}
