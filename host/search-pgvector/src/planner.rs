//! Whether to walk the graph or to compare everything.

use breakwater_search::Method;

use crate::config::MOST_EF;

/// Up to so many vectors everything is compared: a millisecond or two, and nothing to estimate.
pub(crate) const FEW: u64 = 2000;
/// What a vector passed by the walk costs beside one that is only compared: measured about 28 µs and 4 µs (30 000 clustered vectors of 512
/// numbers in half precision, filters of 5 % and 10 %), because the walk compares with the neighbours of each.
const WALK_COST: f64 = 7.0;

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
    /// Walk the graph.
    Graph {
        /// Once, or on and on.
        method: Method,
        /// Candidates that the walk begins with, 1..=1000.
        ef: u32,
        /// Admitted ones to collect; the nearest of them are the answer.
        candidates: usize,
    },
}

/// Chooses what is cheaper, of what will find enough.
///
/// The walk goes on until the filter has admitted as many candidates as it would keep without a filter: the first few that are admitted
/// need not be the nearest (on clustered vectors and a filter of 10 %, a tenth to a fifth of them are not). It passes about
/// `candidates / selectivity` vectors for that. A walk that would pass more than it may would come back short and be done again exactly,
/// so it is not begun.
pub(crate) fn choose(situation: Situation, tuning: Tuning) -> Plan {
    let Situation { total, selectivity, filtered, count } = situation;
    let candidates = count.max(usize::try_from(tuning.ef_search).unwrap_or(usize::MAX));
    let admitted = selectivity * total as f64;
    let passed = if selectivity > 0.0 { candidates as f64 / selectivity } else { f64::INFINITY };
    if total <= FEW || passed > f64::from(tuning.max_scan_tuples) || admitted <= WALK_COST * passed {
        return Plan::Exact;
    }
    let ef = passed.ceil().min(f64::from(MOST_EF)) as u32;
    let method = if filtered || passed > f64::from(MOST_EF) { Method::Iterative } else { Method::Approximate };
    Plan::Graph { method, ef, candidates }
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
        assert_eq!(plan(FEW + 1, 1.0, 10), Plan::Graph { method: Method::Approximate, ef: 100, candidates: 100 });
    }

    #[test]
    fn more_hits_need_more_candidates_until_the_walk_must_go_on() {
        assert_eq!(plan(1_000_000, 1.0, 500), Plan::Graph { method: Method::Approximate, ef: 500, candidates: 500 });
        assert_eq!(plan(1_000_000, 1.0, 1000), Plan::Graph { method: Method::Approximate, ef: 1000, candidates: 1000 });
        assert_eq!(plan(1_000_000, 1.0, 1001), Plan::Graph { method: Method::Iterative, ef: 1000, candidates: 1001 });
        assert_eq!(plan(40_000, 1.0, 10_000), Plan::Exact);
    }

    #[test]
    fn a_filter_that_admits_little_is_answered_exactly() {
        assert_eq!(plan(100_000, 0.5, 10), Plan::Graph { method: Method::Iterative, ef: 200, candidates: 100 });
        assert_eq!(plan(1_000_000, 0.05, 10), Plan::Graph { method: Method::Iterative, ef: 1000, candidates: 100 });
        assert_eq!(plan(100_000, 0.05, 10), Plan::Exact);
        assert_eq!(plan(100_000, 0.005, 10), Plan::Exact);
        assert_eq!(plan(1_000_000, 0.0, 10), Plan::Exact);
        // The walk would end before it has found enough.
        assert_eq!(plan(1_000_000_000, 0.004, 10), Plan::Exact);
    }

    proptest! {
        #[test]
        fn a_graph_is_walked_within_its_limits(total in 0u64..10_000_000, selectivity in 0.0..=1.0f64, count in 1usize..=10_000) {
            let plan = choose(Situation { total, selectivity, filtered: true, count }, TUNING);
            if let Plan::Graph { ef, method, candidates } = plan {
                prop_assert!(candidates >= count);
                prop_assert!((1..=MOST_EF).contains(&ef));
                prop_assert_eq!(method, Method::Iterative);
                prop_assert!(total > FEW);
            }
        }
    }
}
