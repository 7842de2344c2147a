//! One page of a search: candidates of the index, products of the records, near-duplicates folded, ranked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use breakwater_core::{CallContext, Failure, Reason};

use crate::filter::Filter;
use crate::folding::{Folded, fold};
use crate::index::{Hit, Hits, Key, MAX_COUNT, Method, Query, VectorIndex};
use crate::paging::Passed;
use crate::product::Stored;
use crate::ranking::{Candidate, RankRequest, Ranker};
use crate::records::ProductRecords;
use crate::vector::Vector;

/// The fewest candidates that are ranked for a page, if there are so many.
const LEAST_WINDOW: usize = 100;
/// Candidates that are ranked per product on the page.
const WINDOW_PER_ITEM: usize = 4;

/// What a page is made of.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// What is looked for, in the index's space.
    pub vector: Vector,
    /// Only these.
    pub filter: Filter,
    /// Never this one: the product that is looked for.
    pub except: Option<Key>,
    /// Only those at least so similar, -1..=1.
    pub min_similarity: f32,
    /// Bits in which perceptual hashes of near-duplicates may differ; none shows all of them.
    pub duplicate_distance: Option<u32>,
    /// What the ranker is asked.
    pub rank: RankRequest,
    /// Products on the page, at least 1.
    pub size: usize,
    /// Compare with everything.
    pub exact: bool,
    /// What the pages before have passed.
    pub passed: Passed,
}

/// A product on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// It, with its similarity and its near-duplicates.
    pub folded: Folded,
    /// What the ranker made of it.
    pub score: f32,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Best first.
    pub shown: Vec<Shown>,
    /// What the next page is asked with; none when there is nothing more.
    pub next: Option<Passed>,
    /// How the index was searched, the last time it was asked.
    pub method: Method,
    /// As [`Hits::ef`].
    pub ef: usize,
    /// Vectors compared, over all times it was asked.
    pub scanned: u64,
    /// As [`Hits::selectivity`].
    pub selectivity: f64,
    /// Who ordered.
    pub ranked_by: String,
    /// Why the ranker that should have done it could not.
    pub rank_degraded: Option<Reason>,
    /// Asking the index.
    pub index_time: Duration,
    /// Reading the products.
    pub records_time: Duration,
    /// Ranking.
    pub rank_time: Duration,
}

/// Makes a page.
///
/// # Errors
/// What the index, the records and the ranker fail with.
pub async fn find(
    index: &dyn VectorIndex,
    records: &dyn ProductRecords,
    ranker: &dyn Ranker,
    context: &CallContext,
    request: &PageRequest,
) -> Result<Page, Failure> {
    let mut gathering = Gathering { index, records, context, request, stored: HashMap::new(), times: Times::default(), scanned: 0 };
    let Gathered { folded, hits, exhausted } = gathering.gather().await?;

    let started = Instant::now();
    let candidates: Vec<Candidate> = folded.iter().map(|folded| folded.candidate.clone()).collect();
    let ranking = ranker.rank(context, &request.rank, &candidates).await?;
    if !ranking.fits(candidates.len()) {
        return Err(Failure::internal("a ranker named a candidate that is not there, or twice, or gave no score").from_origin(ranking.by));
    }
    let rank_time = started.elapsed();

    let more = ranking.ranked.len() > request.size || !exhausted;
    let (mut passed, mut unranked) = (request.passed.clone(), vec![true; folded.len()]);
    let mut shown = Vec::with_capacity(request.size);
    for (place, ranked) in ranking.ranked.iter().enumerate() {
        if let Some(unranked) = unranked.get_mut(ranked.candidate) {
            *unranked = false;
        }
        if let Some(folded) = folded.get(ranked.candidate).filter(|_| place < request.size) {
            pass(&mut passed, folded);
            shown.push(Shown { folded: folded.clone(), score: ranked.score });
        }
    }
    // What the ranker left out is left out for good; otherwise the search would never end.
    folded.iter().zip(unranked).filter(|(_, unranked)| *unranked).for_each(|(folded, _)| pass(&mut passed, folded));
    Ok(Page {
        shown,
        next: more.then_some(passed),
        method: hits.method,
        ef: hits.ef,
        scanned: gathering.scanned,
        selectivity: hits.selectivity,
        ranked_by: ranking.by,
        rank_degraded: ranking.degraded,
        index_time: gathering.times.index,
        records_time: gathering.times.records,
        rank_time,
    })
}

fn pass(passed: &mut Passed, folded: &Folded) {
    passed.pass(folded.candidate.product.key);
    folded.duplicates.iter().for_each(|duplicate| passed.pass(duplicate.product.key));
}

struct Gathering<'a> {
    index: &'a dyn VectorIndex,
    records: &'a dyn ProductRecords,
    context: &'a CallContext,
    request: &'a PageRequest,
    stored: HashMap<Key, Option<Stored>>,
    times: Times,
    scanned: u64,
}

#[derive(Default)]
struct Times {
    index: Duration,
    records: Duration,
}

struct Gathered {
    folded: Vec<Folded>,
    hits: Hits,
    /// Whether the index has no more that is similar enough.
    exhausted: bool,
}

impl Gathering<'_> {
    /// Asks the index for more and more until there are enough to rank, or no more.
    async fn gather(&mut self) -> Result<Gathered, Failure> {
        let request = self.request;
        let window = (request.size * WINDOW_PER_ITEM).max(LEAST_WINDOW);
        let passed = usize::try_from(request.passed.len()).unwrap_or(MAX_COUNT);
        let mut count = (window + passed + 1).min(MAX_COUNT);
        loop {
            let hits = self.ask(count).await?;
            let similar = hits.hits.iter().take_while(|hit| hit.similarity >= request.min_similarity).count();
            let exhausted = similar < count;
            let candidates = self.candidates(hits.hits.get(..similar).unwrap_or_default()).await?;
            let folded = fold(candidates, request.duplicate_distance);
            if folded.len() >= window || exhausted || count == MAX_COUNT {
                return Ok(Gathered { folded, hits, exhausted });
            }
            count = (count * 2).min(MAX_COUNT);
        }
    }

    async fn ask(&mut self, count: usize) -> Result<Hits, Failure> {
        let started = Instant::now();
        let PageRequest { vector, filter, exact, .. } = self.request;
        let deadline = self.context.deadline;
        let query = Query { vector: vector.clone(), count, filter: filter.clone(), exact: *exact, deadline };
        let hits = deadline.bound("the index", self.index.search(query)).await??;
        self.times.index += started.elapsed();
        self.scanned += hits.scanned;
        Ok(hits)
    }

    /// The products of hits that may be shown. The index may be behind: what it says is held against the records.
    async fn candidates(&mut self, hits: &[Hit]) -> Result<Vec<Candidate>, Failure> {
        let started = Instant::now();
        let PageRequest { passed, except, filter, .. } = self.request;
        let fresh = |hit: &&Hit| !passed.has(hit.key) && *except != Some(hit.key);
        let unknown: Vec<Key> = hits.iter().filter(fresh).map(|hit| hit.key).filter(|key| !self.stored.contains_key(key)).collect();
        if !unknown.is_empty() {
            self.stored.extend(unknown.iter().map(|key| (*key, None)));
            for stored in self.records.by_keys(unknown).await? {
                self.stored.insert(stored.key, Some(stored));
            }
        }
        let candidate = |hit: &Hit| {
            let stored = self.stored.get(&hit.key)?.as_ref()?;
            let admitted = stored.created <= passed.until && filter.admits(&stored.product.traits());
            admitted.then(|| Candidate { product: stored.clone(), similarity: hit.similarity })
        };
        let candidates = hits.iter().filter(fresh).filter_map(candidate).collect();
        self.times.records += started.elapsed();
        Ok(candidates)
    }
}
