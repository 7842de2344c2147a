//! Which way a query is answered, and that it finds what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, Key, Method, Query, VectorIndex};
use breakwater_search_pgvector::{Config, IterativeScan};
use sqlx::postgres::PgPool;

use crate::server::{config, entry, indices, observer, of, open, query, shared, vector};

const DIMENSION: u32 = 24;
/// More than are always compared one by one.
const ENTRIES: u64 = 3000;

async fn filled(config: Config) -> Arc<dyn VectorIndex> {
    let index = open(&indices(config), DIMENSION).await;
    for start in (0..ENTRIES).step_by(1000) {
        index.upsert((start..start + 1000).map(|key| entry(key, DIMENSION)).collect(), start + 1000).await.unwrap();
    }
    index
}

/// How often the graph of the only index in a schema was walked. Asked after the session that walked it has said so.
async fn walks(observer: &PgPool, schema: &str) -> i64 {
    let text = "SELECT idx_scan FROM pg_stat_user_indexes WHERE schemaname = $1 AND indexrelname LIKE '%_hnsw'";
    sqlx::query_scalar(text).bind(schema).fetch_one(observer).await.unwrap()
}

/// The true answer.
fn nearest(query: &Query) -> Vec<Key> {
    let entries = (0..ENTRIES).map(|key| entry(key, DIMENSION)).filter(|entry| query.filter.admits(&entry.traits));
    let mut hits: Vec<_> = entries.map(|entry| (entry.vector.cosine(&query.vector), entry.key)).collect();
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    hits.into_iter().take(query.count).map(|(_, key)| key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_follows_the_filter() {
    let Some(server) = shared() else { return };
    let index = filled(Config { ef_search: 40, ..config(server, "ways") }).await;
    sqlx::raw_sql("ANALYZE").execute(&observer(server).await).await.unwrap();
    let ask = async |count, filter: Filter, exact| {
        let mut recall = 0.0;
        let mut last = None;
        for seed in 0..20 {
            let query = Query { filter: filter.clone(), exact, ..query(vector(100_000 + seed, DIMENSION), count) };
            let found = index.search(query.clone()).await.unwrap();
            assert_eq!(found.hits.len(), count.min(if filter == of("rare") { 30 } else { 3000 }));
            let near = nearest(&query);
            recall += found.hits.iter().filter(|hit| near.contains(&hit.key)).count() as f64 / near.len() as f64 / 20.0;
            last = Some(found);
        }
        println!("{count} hits, {filter:?}: recall {recall:.3}, {:?}", last.as_ref().map(|last| (last.method, last.ef, last.scanned)));
        (recall, last.unwrap())
    };
    let (recall, found) = ask(10, Filter::default(), false).await;
    assert_eq!((found.method, found.ef, found.selectivity), (Method::Approximate, 40, 1.0));
    assert!(recall > 0.9, "{recall}");
    let (recall, found) = ask(10, of("common"), false).await;
    assert_eq!((found.method, found.ef), (Method::Iterative, 41));
    assert!((found.selectivity - 0.99).abs() < 0.03, "{found:?}");
    assert!(recall > 0.9, "{recall}");
    // With few or all to compare, and when it is asked for, the answer is the true one, and what was compared is said exactly.
    for (count, filter, exact, scanned) in [
        (10, of("rare"), false, 30),
        (100, of("rare"), false, 30),
        (2000, Filter::default(), false, 3000),
        (10, Filter::default(), true, 3000),
    ] {
        let (recall, found) = ask(count, filter, exact).await;
        assert_eq!((found.method, found.ef, found.scanned), (Method::Exact, 0, scanned));
        assert!(recall > 0.99, "{recall}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_estimate_never_makes_an_answer_short() {
    let Some(server) = shared() else { return };
    for (schema, iterative_scan) in [("relaxed", IterativeScan::RelaxedOrder), ("strict", IterativeScan::StrictOrder)] {
        let config = Config { ef_search: 10, max_scan_tuples: 500, iterative_scan, ..config(server, schema) };
        let index = filled(config).await;
        let observer = observer(server).await;
        // The statistics say that nearly all are new; then nearly none are.
        let category = |name: &str, keys: std::ops::Range<u64>| {
            let traits = Traits { category: name.to_owned(), quality: 0.5, ..Traits::default() };
            keys.map(|key| Entry { traits: traits.clone(), ..entry(key, DIMENSION) }).collect::<Vec<_>>()
        };
        index.upsert(category("new", 0..ENTRIES), ENTRIES + 1).await.unwrap();
        sqlx::raw_sql("ANALYZE").execute(&observer).await.unwrap();
        let ask = async || index.search(Query { filter: of("new"), ..query(vector(7, DIMENSION), 30) }).await.unwrap();
        let before = walks(&observer, schema).await;
        assert_eq!(ask().await.method, Method::Iterative);
        crate::server::until("the walk is counted", async || (walks(&observer, schema).await > before).then_some(())).await;
        index.upsert(category("old", 40..ENTRIES), ENTRIES + 2).await.unwrap();
        let found = ask().await;
        assert_eq!((found.hits.len(), found.method, found.scanned), (30, Method::Exact, 40), "{found:?}");
        // What was learnt is used.
        assert!((ask().await.selectivity - 40.0 / 3000.0).abs() < 1e-6);
        index.delete((10..40).map(Key).collect(), ENTRIES + 3).await.unwrap();
        assert_eq!(ask().await.hits.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_there_after_the_nearest_were_deleted() {
    let Some(server) = shared() else { return };
    let index = filled(Config { ef_search: 20, ..config(server, "deleted") }).await;
    let query = query(vector(5, DIMENSION), 200);
    let nearest = nearest(&Query { count: 700, ..query.clone() });
    index.delete(nearest[..500].to_vec(), ENTRIES + 1).await.unwrap();
    let found = index.search(query).await.unwrap();
    // The walk meets the deleted ones first: they are in the graph until the next vacuum.
    assert_eq!((found.hits.len(), found.method, found.ef), (200, Method::Approximate, 200), "{found:?}");
    let right = found.hits.iter().filter(|hit| nearest[500..].contains(&hit.key)).count();
    assert!(right > 160, "{right}");
}

#[tokio::test]
async fn evil_text_is_only_text() {
    let Some(server) = shared() else { return };
    let index = open(&indices(config(server, "evil")), 8).await;
    let texts = ["'; DROP TABLE evil.spaces; --", "$1", "\\", "\0", "a\0b", "{}", "%s", "\u{10ffff}0"];
    let entries = (0u64..).zip(texts).map(|(key, text)| {
        let attributes: BTreeMap<_, _> = [(text.to_owned(), text.to_owned())].into();
        Entry { traits: Traits { category: text.to_owned(), attributes, quality: f32::NAN }, ..entry(key, 8) }
    });
    index.upsert(entries.collect(), 1).await.unwrap();
    for (key, text) in (0u64..).zip(texts) {
        let filter = Filter { attributes: [(text.to_owned(), text.to_owned())].into(), ..of(text) };
        let hits = index.search(Query { filter, ..query(vector(1, 8), 5) }).await.unwrap().hits;
        assert_eq!(hits.iter().map(|hit| hit.key.0).collect::<Vec<_>>(), [key], "{text:?}");
    }
    // A quality that is no number is neither high nor low.
    assert_eq!(index.count(&Filter { min_quality: Some(0.0), ..Filter::default() }).await.unwrap(), 0);
    assert_eq!(index.count(&Filter::default()).await.unwrap(), texts.len() as u64);
}
