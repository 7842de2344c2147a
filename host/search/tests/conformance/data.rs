//! Vectors that lie in clusters, as those of images do, and the plain search that answers are held against.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Digest};
use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, Hits, Indices, Key, Query, Space, Vector, VectorIndex};

/// Numbers in a vector.
pub(crate) const DIMENSION: u32 = 32;

/// How far a similarity may be from the true one: vectors are stored in half precision.
pub(crate) const TOLERANCE: f32 = 1e-3;

pub(crate) fn space(name: &str) -> Space {
    Space { model: format!("conformance-{name}").into(), revision: Digest::of(name.as_bytes()), dimension: DIMENSION }
}

pub(crate) async fn open(indices: &dyn Indices, name: &str) -> Arc<dyn VectorIndex> {
    indices.open(&space(name)).await.unwrap()
}

/// The vector of a number: one of 50 centres, moved a little.
pub(crate) fn vector(seed: u64) -> Vector {
    let mut centre = fastrand::Rng::with_seed(seed % 50);
    let mut own = fastrand::Rng::with_seed(1_000_000 + seed);
    let values: Vec<f32> = (0..DIMENSION).map(|_| centre.f32() - 0.5 + 0.6 * (own.f32() - 0.5)).collect();
    Vector::new(&values).unwrap()
}

/// Entry `key` with traits that filters of known selectivity find: see [`half`], [`twentieth`] and [`two_hundredth`].
pub(crate) fn entry(key: u64) -> Entry {
    let category = if key.is_multiple_of(2) { "even" } else { "odd" };
    let colour = if key.is_multiple_of(20) { "red" } else { "blue" };
    let quality = if key.is_multiple_of(200) { 0.9 } else { (key % 200) as f32 / 250.0 };
    let attributes = BTreeMap::from([("colour".to_owned(), colour.to_owned()), ("size".to_owned(), format!("{}", key % 7))]);
    Entry { key: Key(key), vector: vector(key), traits: Traits { category: category.to_owned(), attributes, quality } }
}

/// Admits every second key.
pub(crate) fn half() -> Filter {
    Filter { categories: vec!["even".to_owned(), "none such".to_owned()], ..Filter::default() }
}

/// Admits every 20th key.
pub(crate) fn twentieth() -> Filter {
    Filter { attributes: [("colour".to_owned(), "red".to_owned())].into(), ..half() }
}

/// Admits every 200th key.
pub(crate) fn two_hundredth() -> Filter {
    Filter { min_quality: Some(0.85), ..twentieth() }
}

pub(crate) fn query(vector: Vector, count: usize) -> Query {
    Query { vector, count, filter: Filter::default(), exact: false, deadline: Deadline::after(Duration::from_secs(30)) }
}

/// What a plain search over all entries answers: keys and similarities, most similar first, equal ones by key.
pub(crate) fn plain_search(entries: &BTreeMap<Key, Entry>, query: &Query) -> Vec<(Key, f32)> {
    let admitted = entries.values().filter(|entry| query.filter.admits(&entry.traits));
    let mut hits: Vec<_> = admitted.map(|entry| (entry.key, entry.vector.cosine(&query.vector))).collect();
    hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    hits.truncate(query.count);
    hits
}

/// Checks everything that holds for every answer: as many hits as there can be, admitted ones, each once, in order, with their
/// similarity. Returns the share of the truly nearest that are among them.
pub(crate) fn check(entries: &BTreeMap<Key, Entry>, query: &Query, found: &Hits) -> f64 {
    let expected = plain_search(entries, query);
    assert_eq!(found.hits.len(), expected.len(), "{found:?}");
    for hit in &found.hits {
        let entry = entries.get(&hit.key).unwrap_or_else(|| panic!("{:?} is not in the index", hit.key));
        assert!(query.filter.admits(&entry.traits), "{:?} does not pass the filter", hit.key);
        assert!((hit.similarity - entry.vector.cosine(&query.vector)).abs() < TOLERANCE, "{hit:?}");
        assert!(hit.similarity.abs() <= 1.0, "{hit:?}");
    }
    assert!(found.hits.is_sorted_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.key.cmp(&b.key)).is_lt()), "{found:?}");
    assert!((0.0..=1.0).contains(&found.selectivity), "{found:?}");
    // What is stored is rounded, so those about as near as the last of the nearest are as good.
    let Some((_, least)) = expected.last() else { return 1.0 };
    let near = found.hits.iter().filter(|hit| entries[&hit.key].vector.cosine(&query.vector) >= least - TOLERANCE).count();
    near as f64 / expected.len() as f64
}
