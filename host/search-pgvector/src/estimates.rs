//! What is expected before a query runs: how many vectors there are, and which share of them a filter admits.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use breakwater_search::Filter;

/// How long the number of vectors is believed; other processes may change it.
const TOTALS_FOR: Duration = Duration::from_secs(1);
/// How long a share is believed. A wrong one makes a query slower, never its answer wrong.
const SHARE_FOR: Duration = Duration::from_secs(60);
/// The most filters whose share is kept.
const MOST_SHARES: usize = 1024;

/// Figures of one table.
#[derive(Debug, Default)]
pub(crate) struct Estimates {
    vectors: AtomicU64,
    bytes: AtomicU64,
    counted: Mutex<Option<Instant>>,
    shares: Mutex<HashMap<u64, (f64, Instant)>>,
    hashes: RandomState,
}

impl Estimates {
    /// The number of vectors, if it was looked at lately.
    pub(crate) fn vectors(&self) -> Option<u64> {
        let counted = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.is_some_and(|at| at.elapsed() < TOTALS_FOR).then(|| self.vectors.load(Ordering::Relaxed))
    }

    /// The size of the table and its indices, when it was last looked at.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_totals(&self, vectors: u64, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.vectors.store(vectors, Ordering::Relaxed);
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Says that the table has changed.
    pub(crate) fn forget_totals(&self) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The share that a filter admitted lately.
    pub(crate) fn share(&self, filter: &Filter) -> Option<f64> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.get(&self.key(filter)).filter(|(_, at)| at.elapsed() < SHARE_FOR).map(|(share, _)| *share)
    }

    pub(crate) fn set_share(&self, filter: &Filter, share: f64) {
        let key = self.key(filter);
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if shares.len() >= MOST_SHARES && !shares.contains_key(&key) {
            shares.retain(|_, (_, at)| at.elapsed() < SHARE_FOR);
            if shares.len() >= MOST_SHARES {
                shares.clear();
            }
        }
        shares.insert(key, (share, Instant::now()));
    }

    /// Two filters with one key would share an estimate, which is only one.
    fn key(&self, filter: &Filter) -> u64 {
        let Filter { categories, attributes, min_quality } = filter;
        self.hashes.hash_one((categories, attributes, min_quality.map(f32::to_bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(category: usize) -> Filter {
        Filter { categories: vec![category.to_string()], ..Filter::default() }
    }

    #[test]
    fn figures_are_kept_until_they_change() {
        let estimates = Estimates::default();
        assert_eq!((estimates.vectors(), estimates.share(&of(1))), (None, None));
        estimates.set_totals(7, 4096);
        estimates.set_share(&of(1), 0.25);
        assert_eq!(
            (estimates.vectors(), estimates.bytes(), estimates.share(&of(1)), estimates.share(&of(2))),
            (Some(7), 4096, Some(0.25), None)
        );
        estimates.forget_totals();
        assert_eq!((estimates.vectors(), estimates.bytes()), (None, 4096));
    }

    #[test]
    fn no_number_of_filters_fills_the_memory() {
        let estimates = Estimates::default();
        (0..=MOST_SHARES).for_each(|category| estimates.set_share(&of(category), 0.5));
        assert!(estimates.shares.lock().unwrap().len() <= MOST_SHARES);
        assert_eq!(estimates.share(&of(MOST_SHARES)), Some(0.5));
    }
}
