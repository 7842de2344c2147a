//! Upserts, deletes, sequence numbers and spaces.

use breakwater_search::{Entry, Filter, Indices, Key, Space};

use super::data::{entry, half, open, query, space, vector};

pub(crate) async fn an_index_starts_empty(indices: &dyn Indices) {
    let index = open(indices, "empty").await;
    assert_eq!(*index.space(), space("empty"));
    assert_eq!(index.sequence().await.unwrap(), 0);
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 0);
    assert_eq!(index.search(query(vector(1), 10)).await.unwrap().hits, []);
    assert_eq!(index.delete(vec![Key(1)], 1).await.unwrap(), 0);
    assert_eq!(index.sequence().await.unwrap(), 1);
    index.upsert(Vec::new(), 2).await.unwrap();
    assert_eq!(index.sequence().await.unwrap(), 2);
}

pub(crate) async fn upserts_replace_and_deletes_forget(indices: &dyn Indices) {
    let index = open(indices, "changes").await;
    index.upsert((0..10).map(entry).collect(), 10).await.unwrap();
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 10);
    let nearest = async |seed| {
        let hits = index.search(query(vector(seed), 1)).await.unwrap().hits;
        (hits[0].key, hits[0].similarity > 0.998)
    };
    assert_eq!(nearest(3).await, (Key(3), true));

    // Another vector and other traits under a key that is there.
    index.upsert(vec![Entry { vector: vector(77), ..entry(3) }], 11).await.unwrap();
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 10);
    assert_eq!(nearest(77).await, (Key(3), true));
    assert!(!nearest(3).await.1);
    let before = index.count(&half()).await.unwrap();
    index.upsert(vec![Entry { traits: entry(4).traits, vector: vector(77), key: Key(3) }], 12).await.unwrap();
    assert_eq!(index.count(&half()).await.unwrap(), before + 1);
    assert_eq!(nearest(77).await, (Key(3), true));

    assert_eq!(index.delete(vec![Key(3), Key(5), Key(99), Key(5)], 13).await.unwrap(), 2);
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 8);
    let keys: Vec<_> = index.search(query(vector(77), 100)).await.unwrap().hits.iter().map(|hit| hit.key.0).collect();
    assert_eq!(keys.len(), 8);
    assert!(!keys.contains(&3) && !keys.contains(&5));
    // What was deleted may come again.
    index.upsert(vec![entry(5)], 14).await.unwrap();
    assert_eq!(nearest(5).await, (Key(5), true));
    assert_eq!(index.sequence().await.unwrap(), 14);
}

pub(crate) async fn the_last_entry_of_a_key_in_one_call_stays(indices: &dyn Indices) {
    let index = open(indices, "twice").await;
    let entries = vec![Entry { vector: vector(8), ..entry(1) }, entry(2), Entry { vector: vector(9), ..entry(1) }];
    index.upsert(entries, 3).await.unwrap();
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 2);
    let hits = index.search(query(vector(9), 2)).await.unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [Key(1), Key(2)]);
    assert!(hits[0].similarity > 0.998);
}

pub(crate) async fn a_change_applied_again_changes_nothing(indices: &dyn Indices) {
    let index = open(indices, "again").await;
    index.upsert(vec![entry(1), entry(2)], 2).await.unwrap();
    index.upsert(vec![Entry { vector: vector(50), ..entry(1) }], 3).await.unwrap();
    assert_eq!(index.delete(vec![Key(2)], 4).await.unwrap(), 1);
    let before = index.search(query(vector(50), 10)).await.unwrap().hits;
    // All of it once more, and the first of it alone.
    index.upsert(vec![entry(1), entry(2)], 2).await.unwrap();
    index.upsert(vec![Entry { vector: vector(50), ..entry(1) }], 3).await.unwrap();
    assert_eq!(index.delete(vec![Key(2)], 4).await.unwrap(), 0);
    assert_eq!(index.search(query(vector(50), 10)).await.unwrap().hits, before);
    index.upsert(vec![entry(1), entry(2)], 2).await.unwrap();
    assert_eq!(index.delete(vec![Key(1)], 1).await.unwrap(), 0);
    assert_eq!(index.search(query(vector(50), 10)).await.unwrap().hits, before);
    assert_eq!(index.sequence().await.unwrap(), 4);
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 1);
}

pub(crate) async fn spaces_never_mix(indices: &dyn Indices) {
    let one = open(indices, "one").await;
    // The same model with other weights.
    let other = Space { revision: space("other").revision, ..space("one") };
    let two = indices.open(&other).await.unwrap();
    assert_eq!(*two.space(), other);
    one.upsert((0..5).map(entry).collect(), 5).await.unwrap();
    two.upsert(vec![entry(7)], 9).await.unwrap();
    assert_eq!(one.count(&Filter::default()).await.unwrap(), 5);
    assert_eq!(one.sequence().await.unwrap(), 5);
    let hits = two.search(query(vector(1), 10)).await.unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [Key(7)]);
    assert_eq!(two.delete(vec![Key(1)], 10).await.unwrap(), 0);
    assert_eq!(one.count(&Filter::default()).await.unwrap(), 5);
}

pub(crate) async fn a_removed_space_is_empty(indices: &dyn Indices) {
    let index = open(indices, "removed").await;
    index.upsert((0..5).map(entry).collect(), 5).await.unwrap();
    index.snapshot().await.unwrap();
    drop(index);
    indices.remove(&space("removed")).await.unwrap();
    // There is nothing to remove now, which is no error.
    indices.remove(&space("removed")).await.unwrap();
    let index = open(indices, "removed").await;
    assert_eq!(index.sequence().await.unwrap(), 0);
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 0);
}
