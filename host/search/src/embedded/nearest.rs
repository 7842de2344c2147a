//! The nearest so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::index::Hit;

/// Keeps the most similar of what it is offered; of equal ones those with the lower keys, so that the order of offers does not matter.
#[derive(Debug)]
pub(super) struct Nearest {
    count: usize,
    /// The worst that is kept is on top.
    heap: BinaryHeap<Worst>,
}

#[derive(Debug)]
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.similarity.total_cmp(&self.0.similarity).then(self.0.key.cmp(&other.0.key))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worst {}

impl Nearest {
    /// Of which at most `count` are kept.
    pub(super) fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, hit: Hit) {
        let hit = Worst(hit);
        if self.heap.len() < self.count {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// What either kept, as far as it is among the best of both.
    pub(super) fn merge(mut self, other: Self) -> Self {
        other.heap.into_iter().for_each(|worst| self.offer(worst.0));
        self
    }

    /// Most similar first, equal ones by key.
    pub(super) fn into_hits(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|worst| worst.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Key;

    #[test]
    fn the_best_stay_in_order_however_they_come() {
        let hits: Vec<_> = (0..60u64).map(|key| Hit { key: Key(key), similarity: (key / 4) as f32 / 15.0 }).collect();
        let mut expected = hits.clone();
        expected.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.key.cmp(&b.key)));
        for seed in 0..20 {
            let mut mixed = hits.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut mixed);
            for count in [1, 2, 3, 10, 59, 60, 100] {
                let mut parts = [Nearest::new(count), Nearest::new(count)];
                for (place, hit) in mixed.iter().enumerate() {
                    parts[place % 2].offer(*hit);
                }
                let [one, other] = parts;
                let merged = one.merge(other);
                assert_eq!(merged.len(), count.min(60));
                assert_eq!(merged.into_hits(), expected[..count.min(60)]);
            }
        }
    }
}
