//! What is there after a restart, and how the rest comes back: the records keep all changes and apply those after the index's sequence
//! number again.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_search::{Entry, Filter, Indices, Key, Query, VectorIndex};

use super::data::{check, entry, half, open, query, vector};

/// A change as the records keep it.
#[derive(Clone)]
enum Change {
    Upsert(Vec<Entry>),
    Delete(Vec<Key>),
}

/// Thirty changes of a few hundred entries; the place in the list and one is the sequence number.
fn changes() -> Vec<Change> {
    (0..30u64)
        .map(|place| match place % 3 {
            2 => Change::Delete((place * 20..place * 20 + 15).map(Key).collect()),
            _ => Change::Upsert((place * 20..place * 20 + 40).map(|key| Entry { vector: vector(key + place), ..entry(key) }).collect()),
        })
        .collect()
}

async fn apply(index: &dyn VectorIndex, changes: &[Change], after: u64) {
    for (sequence, change) in (1u64..).zip(changes).skip(usize::try_from(after).unwrap()) {
        match change.clone() {
            Change::Upsert(entries) => index.upsert(entries, sequence).await.unwrap(),
            Change::Delete(keys) => drop(index.delete(keys, sequence).await.unwrap()),
        }
    }
}

async fn holds(index: &dyn VectorIndex, changes: &[Change]) {
    let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Upsert(given) => entries.extend(given.iter().map(|entry| (entry.key, entry.clone()))),
            Change::Delete(keys) => keys.iter().for_each(|key| drop(entries.remove(key))),
        }
    }
    assert_eq!(index.count(&Filter::default()).await.unwrap(), entries.len() as u64);
    for filter in [Filter::default(), half()] {
        for seed in 0..10 {
            let query = Query { filter: filter.clone(), exact: true, ..query(vector(700_000 + seed), 50) };
            assert_eq!(check(&entries, &query, &index.search(query.clone()).await.unwrap()), 1.0);
        }
    }
}

pub(crate) async fn a_snapshot_survives_a_restart(open_again: &impl AsyncFn() -> Arc<dyn Indices>) {
    let changes = changes();
    let index = open(&*open_again().await, "snapshot").await;
    apply(&*index, &changes, 0).await;
    assert_eq!(index.snapshot().await.unwrap(), 30);
    drop(index);
    let index = open(&*open_again().await, "snapshot").await;
    assert_eq!(index.sequence().await.unwrap(), 30);
    holds(&*index, &changes).await;
    // It goes on from there, and a second snapshot takes the place of the first.
    index.upsert(vec![entry(5)], 31).await.unwrap();
    assert_eq!(index.snapshot().await.unwrap(), 31);
    drop(index);
    let index = open(&*open_again().await, "snapshot").await;
    assert_eq!(index.sequence().await.unwrap(), 31);
    holds(&*index, &[changes, vec![Change::Upsert(vec![entry(5)])]].concat()).await;
}

pub(crate) async fn changes_after_the_snapshot_are_applied_again(open_again: &impl AsyncFn() -> Arc<dyn Indices>) {
    let changes = changes();
    let index = open(&*open_again().await, "partly").await;
    apply(&*index, &changes[..17], 0).await;
    assert_eq!(index.snapshot().await.unwrap(), 17);
    apply(&*index, &changes[..25], 17).await;
    drop(index);
    let index = open(&*open_again().await, "partly").await;
    let after = index.sequence().await.unwrap();
    assert!((17..=25).contains(&after), "{after}");
    apply(&*index, &changes, after).await;
    holds(&*index, &changes).await;
    // Applied again from an earlier change on, as when only an older snapshot was known.
    apply(&*index, &changes, 10).await;
    holds(&*index, &changes).await;
}

pub(crate) async fn without_a_snapshot_all_changes_can_be_applied_again(open_again: &impl AsyncFn() -> Arc<dyn Indices>) {
    let changes = changes();
    let index = open(&*open_again().await, "crashed").await;
    apply(&*index, &changes[..20], 0).await;
    drop(index);
    let index = open(&*open_again().await, "crashed").await;
    let after = index.sequence().await.unwrap();
    assert!(after <= 20, "{after}");
    apply(&*index, &changes, after).await;
    assert_eq!(index.sequence().await.unwrap(), 30);
    holds(&*index, &changes).await;
}
