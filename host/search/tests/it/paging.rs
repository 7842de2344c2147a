//! Pages that stay stable while products change.

use std::collections::BTreeSet;
use std::time::Duration;

use breakwater_core::{CallContext, Failure, Principal};
use breakwater_search::find::{Page, PageRequest, find};
use breakwater_search::ranking::{BySimilarity, Candidate, RankRequest, Ranker, Ranking, Weighted};
use breakwater_search::records::{Change, Draft, ProductRecords};
use breakwater_search::{ExactIndices, Filter, Indices, MemoryProductRecords, Passed, Product, Space, Vector, VectorIndex};
use proptest::prelude::*;

use crate::product_records::{draft, product, space};

/// Products and an index of one space.
struct Shop {
    records: MemoryProductRecords,
    index: std::sync::Arc<dyn VectorIndex>,
    space: Space,
}

impl Shop {
    async fn new() -> Self {
        let space = space("a", 2);
        let index = ExactIndices::default().open(&space).await.unwrap();
        Self { records: MemoryProductRecords::default(), index, space }
    }

    async fn follow(&self) {
        let after = self.index.sequence().await.unwrap();
        for change in self.records.changes(&self.space, after, usize::MAX).await.unwrap() {
            match change {
                Change::Upserted { sequence, entry } => self.index.upsert(vec![entry], sequence).await.unwrap(),
                Change::Deleted { sequence, key } => drop(self.index.delete(vec![key], sequence).await.unwrap()),
            }
        }
    }

    /// At an angle between 0 and 90 degrees from what is looked for.
    async fn put(&self, id: u32, degrees: f32, hash: Option<u64>) {
        let (y, x) = degrees.to_radians().sin_cos();
        let product =
            Product { perceptual_hash: hash, category: format!("c{}", id % 3), quality: (id % 7) as f32 / 6.0, ..product(&id.to_string()) };
        let draft = Draft { product, ..draft(&id.to_string(), &[(&self.space, &[x, y])]) };
        self.records.put(vec![draft], None).await.unwrap();
        self.follow().await;
    }

    async fn delete(&self, id: u32) {
        ProductRecords::delete(&self.records, &id.to_string()).await.unwrap();
        self.follow().await;
    }

    fn request(&self, size: usize, passed: Passed) -> PageRequest {
        PageRequest {
            vector: Vector::new(&[1.0, 0.0]).unwrap(),
            filter: Filter::default(),
            except: None,
            min_similarity: -1.0,
            duplicate_distance: Some(2),
            rank: RankRequest { category_weights: [("c1".to_owned(), 5.0)].into(), quality_weight: 0.4, ..RankRequest::default() },
            size,
            exact: false,
            passed,
        }
    }

    async fn page(&self, request: &PageRequest, ranker: &dyn Ranker) -> Page {
        let context = CallContext::root(Principal::System, Duration::from_secs(60));
        find(&*self.index, &self.records, ranker, &context, request).await.unwrap()
    }
}

/// Ids shown and folded.
fn ids(page: &Page) -> Vec<u32> {
    let folded = page.shown.iter().flat_map(|shown| std::iter::once(&shown.folded.candidate).chain(&shown.folded.duplicates));
    folded.map(|candidate| candidate.product.product.id.parse().unwrap()).collect()
}

#[derive(Debug, Clone)]
enum Event {
    Put(u32, f32, Option<u64>),
    Delete(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let hash = prop_oneof![Just(None), (0u64..4).prop_map(|group| Some(group * 0x0f0f_0f0f))];
    prop_oneof![
        3 => (0u32..400, 0f32..90.0, hash).prop_map(|(id, degrees, hash)| Event::Put(id, degrees, hash)),
        2 => (0u32..400).prop_map(Event::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// What was there all along is shown or folded exactly once; nothing is shown twice.
    #[test]
    fn no_product_comes_twice_and_none_is_left_out(
        start in 1u32..300,
        size in 1usize..30,
        weighted in any::<bool>(),
        between in proptest::collection::vec(proptest::collection::vec(event(), 0..6), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shop = Shop::new().await;
            for id in 0..start {
                shop.put(id, (id * 37 % 90) as f32, (id % 5 == 0).then_some(u64::from(id % 4) << 8)).await;
            }
            let ranker: &dyn Ranker = if weighted { &Weighted } else { &BySimilarity };
            let mut passed = Some(Passed::nothing(shop.records.sequence().await.unwrap()));
            // New ones, deleted ones; an id that was put anew after it was deleted is another product.
            let (mut all_along, mut deleted): (BTreeSet<u32>, BTreeSet<u32>) = ((0..start).collect(), BTreeSet::new());
            let (mut seen, mut between) = (Vec::new(), between.into_iter());
            while let Some(now) = passed {
                let page = shop.page(&shop.request(size, now), ranker).await;
                prop_assert!(page.shown.len() <= size);
                seen.extend(ids(&page));
                passed = page.next;
                for event in between.next().unwrap_or_default() {
                    match event {
                        Event::Put(id, degrees, hash) => shop.put(id, degrees, hash).await,
                        Event::Delete(id) => {
                            shop.delete(id).await;
                            all_along.remove(&id);
                            deleted.insert(id);
                        }
                    }
                }
            }
            let distinct: BTreeSet<u32> = seen.iter().copied().collect();
            prop_assert_eq!(distinct.len(), seen.len(), "twice: {:?}", seen);
            prop_assert!(all_along.is_subset(&distinct), "left out: {:?}", all_along.difference(&distinct));
            prop_assert!(distinct.iter().all(|id| *id < start), "a product was shown that came later");
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn pages_are_full_though_much_is_folded_or_filtered() {
    let shop = Shop::new().await;
    // Nine of ten look the same.
    for id in 0..600 {
        shop.put(
            id,
            id as f32 / 10.0,
            Some(if id % 10 == 0 { u64::from(id) << 16 | u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { 7 }),
        )
        .await;
    }
    let request = PageRequest { duplicate_distance: Some(0), rank: RankRequest::default(), ..shop.request(20, Passed::nothing(u64::MAX)) };
    let page = shop.page(&request, &BySimilarity).await;
    assert_eq!(page.shown.len(), 20);
    assert_eq!(page.shown[1].folded.duplicates.len(), ids(&page).len() - 20, "one stands for all that look the same");
    let filtered =
        PageRequest { filter: Filter { categories: vec!["c2".to_owned()], ..Filter::default() }, min_similarity: 0.9, ..request };
    let page = shop.page(&filtered, &BySimilarity).await;
    let least = |page: &Page| page.shown.iter().map(|shown| shown.folded.candidate.similarity).fold(1.0, f32::min);
    assert!(least(&page) >= 0.9 && ids(&page).iter().all(|id| id % 3 == 2));
}

/// Leaves out every other candidate.
struct Picky;

impl Ranker for Picky {
    fn rank<'a>(
        &'a self,
        context: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> breakwater_core::BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move {
            let mut ranking = BySimilarity.rank(context, request, candidates).await?;
            ranking.ranked.retain(|ranked| candidates[ranked.candidate].product.key.0.is_multiple_of(2));
            Ok(ranking)
        })
    }
}

#[tokio::test]
async fn what_a_ranker_leaves_out_is_not_shown_and_the_search_ends() {
    let shop = Shop::new().await;
    for id in 0..250 {
        shop.put(id, id as f32 / 5.0, None).await;
    }
    let (mut passed, mut seen, mut pages) = (Some(Passed::nothing(u64::MAX)), Vec::new(), 0);
    while let Some(now) = passed {
        let page = shop.page(&shop.request(30, now), &Picky).await;
        seen.extend(ids(&page));
        passed = page.next;
        pages += 1;
        assert!(pages < 20);
    }
    assert_eq!(seen.len(), 125);
}

/// Names a candidate that is not there.
struct Wrong;

impl Ranker for Wrong {
    fn rank<'a>(
        &'a self,
        context: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> breakwater_core::BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move {
            let mut ranking = BySimilarity.rank(context, request, candidates).await?;
            ranking.ranked[0].candidate = candidates.len();
            Ok(ranking)
        })
    }
}

#[tokio::test]
async fn a_ranking_that_names_nobody_is_a_defect_and_no_panic() {
    let shop = Shop::new().await;
    shop.put(1, 1.0, None).await;
    let context = CallContext::root(Principal::System, Duration::from_secs(60));
    let request = shop.request(5, Passed::nothing(u64::MAX));
    let failure = find(&*shop.index, &shop.records, &Wrong, &context, &request).await.unwrap_err();
    assert_eq!(failure.code, "internal");
}
