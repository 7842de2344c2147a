//! The graph: that it is used, that it finds, and that changes do not wear it out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use breakwater_core::Deadline;
use breakwater_search::embedded::EmbeddedOptions;
use breakwater_search::{Entry, Hits, Key, Method, Query, VectorIndex};

use super::{EAGER, open};
use crate::indices::data::{check, entry, half, query, space, twentieth, two_hundredth, vector};

/// Waits until an answer is as it should be.
async fn until(index: &dyn VectorIndex, query: &Query, what: &str, holds: impl Fn(&Hits) -> bool) {
    let start = Instant::now();
    loop {
        let deadline = Deadline::after(Duration::from_secs(60));
        let found = index.search(Query { deadline, ..query.clone() }).await.unwrap();
        if holds(&found) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{what} never came: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_is_taken_where_it_is_cheapest() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { graph_from: 1000, outside: 0, ..EmbeddedOptions::default() };
    let index = open(folder.path(), EmbeddedOptions { ef: 64, ..options }).open(&space("methods")).await.unwrap();
    let entries: BTreeMap<Key, Entry> = (0..12_000).map(|key| (Key(key), entry(key))).collect();
    for (sequence, keys) in (1..).zip((0..12_000).collect::<Vec<_>>().chunks(1000)) {
        index.upsert(keys.iter().map(|key| entry(*key)).collect(), sequence).await.unwrap();
    }
    until(&*index, &query(vector(1), 10), "the graph", |found| found.method == Method::Approximate && found.scanned < 3000).await;
    for (filter, method, selectivity) in [
        (Default::default(), Method::Approximate, 1.0),
        (half(), Method::Iterative, 0.5),
        (twentieth(), Method::Exact, 0.05),
        (two_hundredth(), Method::Exact, 0.005),
    ] {
        let mut recall = 0.0;
        for seed in 0..100 {
            let query = Query { filter: filter.clone(), ..query(vector(900_000 + seed), 10) };
            let found = index.search(query.clone()).await.unwrap();
            recall += check(&entries, &query, &found) / 100.0;
            assert_eq!((found.method, found.selectivity), (method, selectivity));
            assert_eq!(found.ef, if method == Method::Exact { 0 } else { 64 });
        }
        assert!(recall >= 0.98, "{filter:?}: {recall}");
    }
    // A query for many widens the walk.
    assert_eq!(index.search(query(vector(1), 70)).await.unwrap().ef, 140);
    assert_eq!(index.search(Query { exact: true, ..query(vector(1), 70) }).await.unwrap().method, Method::Exact);
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_everything_many_times_keeps_recall_and_memory() {
    const KEYS: u64 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), EmbeddedOptions { ef: 64, ..EAGER }).open(&space("churn")).await.unwrap();
    let mut entries = BTreeMap::new();
    let mut sequence = 0;
    let (mut most_at_first, mut most) = (0, 0);
    for round in 0..12 {
        for keys in (0..KEYS).collect::<Vec<_>>().chunks(500) {
            let changed: Vec<_> = keys.iter().map(|key| Entry { vector: vector(key + round * KEYS), ..entry(*key) }).collect();
            entries.extend(changed.iter().map(|entry| (entry.key, entry.clone())));
            sequence += 1;
            index.upsert(changed, sequence).await.unwrap();
            let counted = if round < 3 { &mut most_at_first } else { &mut most };
            *counted = index.bytes().max(*counted);
        }
        sequence += 1;
        let deleted: Vec<_> = (0..KEYS).filter(|key| key % 10 == round % 10).map(Key).collect();
        assert_eq!(index.delete(deleted.clone(), sequence).await.unwrap(), deleted.len());
        deleted.iter().for_each(|key| drop(entries.remove(key)));
    }
    until(&*index, &query(vector(1), 10), "the graph", |found| found.method == Method::Approximate).await;
    let mut recall = 0.0;
    for seed in 0..100 {
        let query = query(vector(900_000 + seed), 10);
        recall += check(&entries, &query, &index.search(query.clone()).await.unwrap()) / 100.0;
    }
    assert!(recall >= 0.97, "{recall}");
    // Twelve times as much was written as is there; what is held while it is made again is there once more.
    assert!(most < 2 * most_at_first, "{most_at_first} bytes became {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn traits_change_without_a_new_place_in_the_graph() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), EAGER).open(&space("traits")).await.unwrap();
    index.upsert((0..3000).map(entry).collect(), 1).await.unwrap();
    until(&*index, &query(vector(1), 10), "the graph", |found| found.method == Method::Approximate).await;
    let before = index.bytes();
    assert!(before > 3000 * 2 * 32 * 2, "{before}");
    for sequence in 2..40 {
        let changed = (0..3000).map(|key| Entry { traits: entry(key + sequence).traits, ..entry(key) });
        index.upsert(changed.collect(), sequence).await.unwrap();
    }
    assert!(index.bytes() < before + before / 2, "{before} bytes became {}", index.bytes());
    let expected = (0..3000).filter(|key| half().admits(&entry(key + 39).traits)).count();
    assert_eq!(index.count(&half()).await.unwrap(), expected as u64);
}
