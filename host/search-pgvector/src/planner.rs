//! Whether to walk the graph or to compare everything.

use breakwater_search::Method;

use crate::config::MOST_EF;

/// Up to so many vectors everything is compared: a millisecond or two, and nothing to estimate.
pub(crate) const FEW: u64 = 2000;
/// What a step of the walk costs beside comparing a vector that a filter has found: the graph's vectors lie all over the index.
const WALK_COST: f64 = 8.0;
/// How much wider than without a filter the walk starts at most; it goes on from there as far as it must.
const MOST_WIDENING: f64 = 4.0;

/// What is known before a query runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Vectors in the table.
    pub(crate) total: u64,
    /// The share that the filter is expected to admit, 0..=1; 1 without a filter.
    pub(crate) selectivity: f64,
    /// Whether there is a filter.
    pub(crate) filtered: bool,
    /// Hits asked for.
    pub(crate) count: usize,
}

/// What an operator decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    pub(crate) ef_search: u32,
    pub(crate) max_scan_tuples: u32,
}

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Compare everything that the filter admits.
    Exact,
    /// Walk the graph with so many candidates.
    Graph {
        /// Once, or on and on.
        method: Method,
        /// 1..=1000.
        ef: u32,
    },
}

/// Chooses what is cheaper, of what will find enough.
///
/// The walk passes about `candidates / selectivity` vectors until the filter has admitted enough candidates. A walk that would pass more
/// than it may would come back short and be done again exactly, so it is not begun.
pub(crate) fn choose(situation: Situation, tuning: Tuning) -> Plan {
    let Situation { total, selectivity, filtered, count } = situation;
    let candidates = f64::from(tuning.ef_search).max(count as f64);
    let admitted = selectivity * total as f64;
    let walked = if selectivity > 0.0 { candidates / selectivity } else { f64::INFINITY };
    if total <= FEW || walked > f64::from(tuning.max_scan_tuples) || admitted <= WALK_COST * walked {
        return Plan::Exact;
    }
    let widening = if filtered { (1.0 / selectivity).min(MOST_WIDENING) } else { 1.0 };
    let ef = (candidates * widening).ceil().clamp(1.0, f64::from(MOST_EF)) as u32;
    let method = if filtered || count as f64 > f64::from(ef) { Method::Iterative } else { Method::Approximate };
    Plan::Graph { method, ef }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TUNING: Tuning = Tuning { ef_search: 100, max_scan_tuples: 20_000 };

    fn plan(total: u64, selectivity: f64, count: usize) -> Plan {
        choose(Situation { total, selectivity, filtered: selectivity < 1.0, count }, TUNING)
    }

    #[test]
    fn few_vectors_are_all_compared() {
        assert_eq!(plan(FEW, 1.0, 10), Plan::Exact);
        assert_eq!(plan(FEW + 1, 1.0, 10), Plan::Graph { method: Method::Approximate, ef: 100 });
    }

    #[test]
    fn more_hits_need_more_candidates_until_the_walk_must_go_on() {
        assert_eq!(plan(1_000_000, 1.0, 500), Plan::Graph { method: Method::Approximate, ef: 500 });
        assert_eq!(plan(1_000_000, 1.0, 1000), Plan::Graph { method: Method::Approximate, ef: 1000 });
        assert_eq!(plan(1_000_000, 1.0, 1001), Plan::Graph { method: Method::Iterative, ef: 1000 });
        assert_eq!(plan(50_000, 1.0, 10_000), Plan::Exact);
    }

    #[test]
    fn a_filter_that_admits_little_is_answered_exactly() {
        assert_eq!(plan(100_000, 0.5, 10), Plan::Graph { method: Method::Iterative, ef: 200 });
        assert_eq!(plan(1_000_000, 0.05, 10), Plan::Graph { method: Method::Iterative, ef: 400 });
        assert_eq!(plan(100_000, 0.005, 10), Plan::Exact);
        assert_eq!(plan(1_000_000, 0.0, 10), Plan::Exact);
        // The walk would end before it has found enough.
        assert_eq!(plan(1_000_000_000, 0.004, 10), Plan::Exact);
    }

    proptest! {
        #[test]
        fn a_graph_is_walked_within_its_limits(total in 0u64..10_000_000, selectivity in 0.0..=1.0f64, count in 1usize..=10_000) {
            let plan = choose(Situation { total, selectivity, filtered: true, count }, TUNING);
            if let Plan::Graph { ef, method } = plan {
                prop_assert!((1..=MOST_EF).contains(&ef));
                prop_assert_eq!(method, Method::Iterative);
                prop_assert!(total > FEW);
            }
        }
    }
}
