//! Answers held against a plain search.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_search::{Entry, Filter, Indices, Key, Method, Query, Vector, VectorIndex};

use super::data::{check, entry, half, open, query, twentieth, two_hundredth, vector};

const ENTRIES: u64 = 4000;

/// An index of 4000 entries of which some were replaced and some deleted, and what is in it.
async fn filled(indices: &dyn Indices, name: &str) -> (Arc<dyn VectorIndex>, BTreeMap<Key, Entry>) {
    let index = open(indices, name).await;
    let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
    let mut sequence = 0;
    for chunk in (0..ENTRIES).collect::<Vec<_>>().chunks(500) {
        let given: Vec<_> = chunk.iter().map(|key| Entry { vector: vector(key + 123_456), ..entry(*key) }).collect();
        sequence += 500;
        index.upsert(given, sequence).await.unwrap();
    }
    let replaced: Vec<_> = (0..ENTRIES).map(entry).collect();
    entries.extend(replaced.iter().map(|entry| (entry.key, entry.clone())));
    index.upsert(replaced, sequence + ENTRIES).await.unwrap();
    let deleted: Vec<_> = (0..ENTRIES).filter(|key| key % 9 == 4).map(Key).collect();
    for key in &deleted {
        entries.remove(key);
    }
    assert_eq!(index.delete(deleted.clone(), sequence + ENTRIES + 1).await.unwrap(), deleted.len());
    (index, entries)
}

pub(crate) async fn filtered_queries_are_never_short(indices: &dyn Indices) {
    let (index, entries) = filled(indices, "filters").await;
    let nothing = Filter { categories: vec!["none such".to_owned()], ..Filter::default() };
    for filter in [Filter::default(), half(), twentieth(), two_hundredth(), nothing] {
        let (mut recall, mut queries) = (0.0, 0.0);
        for (seed, count) in (0..40).map(|seed| (seed, [1, 10, 50, 300][seed as usize % 4])) {
            for exact in [false, true] {
                let query = Query { filter: filter.clone(), exact, ..query(vector(500_000 + seed), count) };
                let found = index.search(query.clone()).await.unwrap();
                let share = check(&entries, &query, &found);
                let admitted = entries.values().filter(|entry| filter.admits(&entry.traits)).count();
                assert!(found.scanned <= 2 * ENTRIES, "{found:?}");
                if found.method == Method::Exact {
                    assert_eq!(share, 1.0, "{found:?}");
                    assert!(found.scanned >= admitted as u64, "{found:?}");
                }
                assert!(!exact || found.method == Method::Exact, "{found:?}");
                recall += share;
                queries += 1.0;
            }
        }
        assert!(recall / queries > 0.97, "{filter:?}: {}", recall / queries);
    }
}

pub(crate) async fn counts_are_exact(indices: &dyn Indices) {
    let (index, entries) = filled(indices, "counts").await;
    let low = Filter { min_quality: Some(0.0), ..Filter::default() };
    let middle = Filter { min_quality: Some(0.5), ..Filter::default() };
    let size = Filter { attributes: [("size".to_owned(), "3".to_owned())].into(), min_quality: Some(0.1), ..half() };
    let absent = Filter { attributes: [("weight".to_owned(), "3".to_owned())].into(), ..Filter::default() };
    for filter in [Filter::default(), half(), twentieth(), two_hundredth(), low, middle, size, absent] {
        let admitted = entries.values().filter(|entry| filter.admits(&entry.traits)).count();
        assert_eq!(index.count(&filter).await.unwrap(), admitted as u64, "{filter:?}");
    }
}

pub(crate) async fn hits_are_ordered_by_similarity_then_key(indices: &dyn Indices) {
    let index = open(indices, "ties").await;
    // Thirty keys, in no order, of two vectors.
    let entries = (0..30).map(|place| place * 17 % 30).map(|key| Entry { vector: vector(if key < 5 { 1 } else { 2 }), ..entry(key) });
    index.upsert(entries.collect(), 30).await.unwrap();
    let keys = async |vector: Vector, count, exact| {
        let hits = index.search(Query { exact, ..query(vector, count) }).await.unwrap().hits;
        hits.iter().map(|hit| hit.key.0).collect::<Vec<_>>()
    };
    assert_eq!(keys(vector(2), 10, true).await, (5..15).collect::<Vec<_>>());
    assert_eq!(keys(vector(1), 7, true).await, [0, 1, 2, 3, 4, 5, 6]);
    for exact in [false, true] {
        assert_eq!(keys(vector(2), 30, exact).await, (5..30).chain(0..5).collect::<Vec<_>>());
    }
}
