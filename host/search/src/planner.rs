//! How a query of an index in memory is answered: by comparing with everything that the filter admits, or by a walk through the graph.
//!
//! Both costs are known well enough before: a comparison with everything looks at each admitted row once, a walk at about
//! [`ROWS_PER_CANDIDATE`] rows for each candidate that it keeps, and it must meet `1 / selectivity` candidates to keep one. The cheaper
//! one is taken; a walk that then comes back with less than there is (parts of a graph may not be reachable) is followed by a comparison,
//! so that no answer is ever short.

/// What a query is about, with an index at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Rows that the filter admits, those outside of the graph included.
    pub admitted: u64,
    /// Admitted rows in the graph.
    pub admitted_in_graph: u64,
    /// Nodes of the graph, dead ones included.
    pub graph: u64,
    /// Hits that are asked for.
    pub count: usize,
    /// Least candidates kept during a walk.
    pub ef: usize,
    /// Whether the caller wants a comparison with everything.
    pub exact: bool,
}

/// The way to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Compare with everything that is admitted.
    Exact,
    /// Walk the graph, keeping so many admitted candidates, and compare with what is not in the graph yet.
    Walk {
        /// Candidates to keep.
        ef: usize,
    },
}

/// Rows compared one after the other in the time in which a walk finds one more candidate. Measured on 100 000 clustered vectors of 512
/// numbers by `benches/search`; both grow alike with the dimension.
pub const ROWS_PER_CANDIDATE: u64 = 40;

/// Candidates kept for each hit asked for, where that is more than the least: the last hits are as sure to be found as the first.
const CANDIDATES_PER_HIT: usize = 2;

/// Chooses the cheaper way that gives a full answer.
#[must_use]
pub fn plan(situation: Situation) -> Plan {
    let Situation { admitted, admitted_in_graph, graph, count, ef, exact } = situation;
    let ef = ef.max(count.saturating_mul(CANDIDATES_PER_HIT));
    if exact || admitted_in_graph == 0 || admitted_in_graph <= ef as u64 {
        return Plan::Exact;
    }
    // Candidates met until `ef` of them are admitted; no more than there are.
    let met = (ef as u128 * u128::from(graph)).div_ceil(u128::from(admitted_in_graph)).min(u128::from(graph));
    let walk = met * u128::from(ROWS_PER_CANDIDATE) + u128::from(admitted - admitted_in_graph.min(admitted));
    if u128::from(admitted) <= walk { Plan::Exact } else { Plan::Walk { ef } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUNDRED_THOUSAND: Situation =
        Situation { admitted: 100_000, admitted_in_graph: 100_000, graph: 100_000, count: 10, ef: 100, exact: false };

    fn admitting(of: Situation, admitted: u64) -> Plan {
        plan(Situation { admitted, admitted_in_graph: admitted, ..of })
    }

    #[test]
    fn few_admitted_rows_are_compared_and_many_are_walked() {
        for (admitted, expected) in [(0, Plan::Exact), (500, Plan::Exact), (5000, Plan::Exact), (50_000, Plan::Walk { ef: 100 })] {
            assert_eq!(admitting(HUNDRED_THOUSAND, admitted), expected, "{admitted}");
        }
        let million = Situation { graph: 1_000_000, ..HUNDRED_THOUSAND };
        for (admitted, expected) in [(5000, Plan::Exact), (50_000, Plan::Exact), (500_000, Plan::Walk { ef: 100 })] {
            assert_eq!(admitting(million, admitted), expected, "{admitted}");
        }
        assert_eq!(plan(Situation { exact: true, ..HUNDRED_THOUSAND }), Plan::Exact);
    }

    #[test]
    fn the_turn_is_where_the_costs_are_equal() {
        // 20 000 admitted: 100 / 0.2 = 500 candidates, of 40 rows each.
        assert_eq!(admitting(HUNDRED_THOUSAND, 20_000), Plan::Exact);
        assert_eq!(admitting(HUNDRED_THOUSAND, 20_001), Plan::Walk { ef: 100 });
    }

    #[test]
    fn more_hits_need_more_candidates() {
        assert_eq!(plan(Situation { count: 500, ..HUNDRED_THOUSAND }), Plan::Walk { ef: 1000 });
        // 20 000 candidates of 40 rows each are more than 100 000 rows.
        assert_eq!(plan(Situation { count: 10_000, ..HUNDRED_THOUSAND }), Plan::Exact);
        assert_eq!(plan(Situation { count: usize::MAX, ..HUNDRED_THOUSAND }), Plan::Exact);
    }

    #[test]
    fn what_is_not_in_the_graph_is_compared_either_way() {
        assert_eq!(plan(Situation { admitted_in_graph: 0, graph: 0, ..HUNDRED_THOUSAND }), Plan::Exact);
        assert_eq!(plan(Situation { admitted: 4000, admitted_in_graph: 90, graph: 90, ..HUNDRED_THOUSAND }), Plan::Exact);
        assert_eq!(plan(Situation { admitted: 110_000, ..HUNDRED_THOUSAND }), Plan::Walk { ef: 100 });
    }
}
