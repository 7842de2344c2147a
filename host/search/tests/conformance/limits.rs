//! What is refused.

use std::time::Duration;

use breakwater_core::Deadline;
use breakwater_search::index::MAX_COUNT;
use breakwater_search::{Entry, Filter, IndexError, Indices, Query, Vector};

use super::data::{DIMENSION, entry, open, query, vector};

pub(crate) async fn wrong_dimensions_are_refused_and_change_nothing(indices: &dyn Indices) {
    let index = open(indices, "dimensions").await;
    index.upsert(vec![entry(1)], 1).await.unwrap();
    for dimension in [1, 31, 33, 512] {
        let short = Vector::new(&vec![1.0; dimension]).unwrap();
        let refused = |error: IndexError| matches!(error, IndexError::Dimension { expected: DIMENSION, found } if found == dimension);
        let entries = vec![entry(2), Entry { vector: short.clone(), ..entry(3) }];
        assert!(refused(index.upsert(entries, 5).await.unwrap_err()));
        assert!(refused(index.search(query(short, 1)).await.unwrap_err()));
    }
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 1);
    assert_eq!(index.sequence().await.unwrap(), 1);
}

pub(crate) async fn counts_have_bounds(indices: &dyn Indices) {
    let index = open(indices, "bounds").await;
    index.upsert((0..20).map(entry).collect(), 20).await.unwrap();
    for count in [0, MAX_COUNT + 1, usize::MAX] {
        let error = index.search(query(vector(1), count)).await.unwrap_err();
        assert!(matches!(error, IndexError::Count(given) if given == count), "{error:?}");
    }
    for (count, found) in [(1, 1), (20, 20), (MAX_COUNT, 20)] {
        assert_eq!(index.search(query(vector(1), count)).await.unwrap().hits.len(), found);
    }
}

pub(crate) async fn a_deadline_that_has_passed_is_a_timeout(indices: &dyn Indices) {
    let index = open(indices, "deadline").await;
    index.upsert((0..20).map(entry).collect(), 20).await.unwrap();
    let late = Query { deadline: Deadline::after(Duration::ZERO), ..query(vector(1), 1) };
    assert!(matches!(index.search(late).await, Err(IndexError::Timeout)));
}
