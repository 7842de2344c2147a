use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ejection::EjectionConfig;
use crate::endpoint::EndpointSpec;

fn set(weights: &[u32]) -> EndpointSet<usize> {
    let specs = weights.iter().enumerate().map(|(endpoint, weight)| EndpointSpec { id: endpoint.to_string(), weight: *weight, endpoint });
    EndpointSet::following(&EndpointSet::empty(), specs.collect(), 1)
}

fn picks(set: &EndpointSet<usize>, kind: BalanceKind, count: usize) -> Vec<usize> {
    (0..count).map(|_| set.pick(kind, &[], 1).unwrap().value).collect()
}

const KINDS: [BalanceKind; 3] = [BalanceKind::WeightedRoundRobin, BalanceKind::P2cPeakEwma, BalanceKind::LeastPending];

#[test]
fn smooth_weighted_round_robin_is_the_default_and_mixes_5_1_1_evenly() {
    assert_eq!(BalanceKind::default(), BalanceKind::WeightedRoundRobin);
    let set = set(&[5, 1, 1]);
    assert_eq!(picks(&set, BalanceKind::WeightedRoundRobin, 14), [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn the_better_of_two_is_faster_less_busy_or_heavier() {
    let kind = BalanceKind::P2cPeakEwma;
    let two = set(&[1, 1]);
    two.endpoints[0].stats.ewma.record(Duration::from_millis(200), 1);
    assert!(picks(&two, kind, 100).iter().all(|picked| *picked == 1));
    two.endpoints[1].stats.pending.store(20, Ordering::Relaxed);
    assert!(picks(&two, kind, 100).iter().all(|picked| *picked == 0), "30 ms times 21 is more than 200 ms");
    let heavy = set(&[1, 3]);
    assert!(picks(&heavy, kind, 100).iter().all(|picked| *picked == 1));
    fastrand::seed(7);
    let many = picks(&set(&[1; 10]), kind, 10_000);
    for endpoint in 0..10 {
        let share = many.iter().filter(|picked| **picked == endpoint).count();
        assert!((800..1200).contains(&share), "{endpoint}: {share}");
    }
}

#[test]
fn the_least_busy_for_its_weight_is_taken_and_chance_decides_among_equals() {
    let kind = BalanceKind::LeastPending;
    let set = set(&[1, 1, 2, 1]);
    for (endpoint, pending) in [3, 1, 2, 1].into_iter().enumerate() {
        set.endpoints[endpoint].stats.pending.store(pending, Ordering::Relaxed);
    }
    assert!(picks(&set, kind, 100).iter().all(|picked| *picked == 2), "3 for a weight of 2 is less than 2 for 1");
    set.endpoints[2].stats.pending.store(9, Ordering::Relaxed);
    fastrand::seed(7);
    let chosen = picks(&set, kind, 1000);
    let first = chosen.iter().filter(|picked| **picked == 1).count();
    assert!(chosen.iter().all(|picked| [1, 3].contains(picked)) && (400..600).contains(&first), "{first}");
}

#[test]
fn what_was_tried_comes_after_the_rest_and_what_is_ejected_comes_last() {
    let set = set(&[1, 1, 1]);
    let tried: Vec<_> = set.endpoints.iter().take(2).map(|endpoint| Arc::clone(&endpoint.stats)).collect();
    for kind in KINDS {
        assert_eq!(set.pick(kind, &tried, 1).unwrap().value, 2);
    }
    set.endpoints[2].stats.record.eject(&EjectionConfig::default(), 1);
    for kind in KINDS {
        assert!(set.pick(kind, &tried, 1).unwrap().value < 2, "tried is better than ejected");
    }
    assert!(!set.has_untried(&tried, 1));
    for endpoint in set.endpoints.iter().take(2) {
        endpoint.stats.healthy.store(false, Ordering::Relaxed);
    }
    for kind in KINDS {
        assert_eq!(set.pick(kind, &tried, 1).unwrap().value, 2, "ejected is better than unhealthy");
    }
    set.endpoints[2].stats.healthy.store(false, Ordering::Relaxed);
    assert!(KINDS.iter().all(|kind| set.pick(*kind, &tried, 1).is_none()));
}

#[test]
fn a_weight_of_nothing_takes_nothing() {
    let set = set(&[0, 1, 0]);
    for kind in KINDS {
        assert!(picks(&set, kind, 20).iter().all(|picked| *picked == 1));
    }
}

#[test]
fn what_is_known_about_an_endpoint_stays_when_the_set_changes() {
    let before = set(&[1, 1]);
    before.endpoints[1].stats.healthy.store(false, Ordering::Relaxed);
    let spec = |id: &str, weight| EndpointSpec { id: id.to_owned(), weight, endpoint: 9 };
    let after = EndpointSet::following(&before, vec![spec("2", 1), spec("1", 7), spec("2", 5)], 1);
    let seen: Vec<_> = after.endpoints.iter().map(|one| (&*one.id, one.weight, one.value, one.stats.is_healthy())).collect();
    assert_eq!(seen, [("2", 1, 9, true), ("1", 7, 9, false)]);
}

#[derive(Debug, Clone)]
enum Step {
    Pick(Vec<usize>),
    Healthy(usize, bool),
    Eject(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(0usize..5, 0..3).prop_map(Step::Pick),
        1 => (0usize..5, any::<bool>()).prop_map(|(endpoint, healthy)| Step::Healthy(endpoint, healthy)),
        1 => (0usize..5).prop_map(Step::Eject),
        1 => (0u64..60).prop_map(Step::Wait),
    ]
}

proptest! {
    /// The model: among the best class of endpoints that is not empty, the one nginx' algorithm names.
    #[test]
    fn turns_follow_the_model(weights in prop::collection::vec(0u32..6, 2..6), steps in prop::collection::vec(step(), 1..100)) {
        let set = set(&weights);
        let count = weights.len();
        let mut now = 1;
        let (mut healthy, mut until, mut credits) = (vec![true; count], vec![0u64; count], vec![0i64; count]);
        for step in steps {
            match step {
                Step::Pick(tried) => {
                    let stats: Vec<_> = tried.iter().filter(|one| **one < count).map(|one| Arc::clone(&set.endpoints[*one].stats)).collect();
                    let usable = |one: &usize| healthy[*one] && weights[*one] > 0;
                    let calm = |one: &usize| usable(one) && until[*one] <= now;
                    let classes: [Vec<usize>; 3] = [
                        (0..count).filter(|one| calm(one) && !tried.contains(one)).collect(),
                        (0..count).filter(calm).collect(),
                        (0..count).filter(usable).collect(),
                    ];
                    let class = classes.into_iter().find(|class| !class.is_empty());
                    let expected = class.map(|class| {
                        class.iter().for_each(|one| credits[*one] += i64::from(weights[*one]));
                        // The first of the largest.
                        let best = *class.iter().rev().max_by_key(|one| credits[**one]).unwrap();
                        credits[best] -= class.iter().map(|one| i64::from(weights[*one])).sum::<i64>();
                        best
                    });
                    let got = set.pick(BalanceKind::WeightedRoundRobin, &stats, now).map(|endpoint| endpoint.value);
                    prop_assert_eq!(got, expected);
                    for kind in KINDS.into_iter().skip(1) {
                        prop_assert_eq!(set.pick(kind, &stats, now).is_some(), expected.is_some());
                    }
                }
                Step::Healthy(one, state) if one < count => {
                    healthy[one] = state;
                    set.endpoints[one].stats.healthy.store(state, Ordering::Relaxed);
                }
                Step::Eject(one) if one < count => {
                    let config = EjectionConfig::default();
                    until[one] = now + u64::try_from(set.endpoints[one].stats.record.eject(&config, now).as_nanos()).unwrap();
                }
                Step::Wait(seconds) => now += seconds * 1_000_000_000,
                Step::Healthy(..) | Step::Eject(_) => {}
            }
        }
    }

    #[test]
    fn over_a_whole_turn_everyone_gets_exactly_its_weight(weights in prop::collection::vec(1u32..20, 2..8)) {
        let set = set(&weights);
        let total: u32 = weights.iter().sum();
        let picked = picks(&set, BalanceKind::WeightedRoundRobin, total as usize);
        for (endpoint, weight) in weights.iter().enumerate() {
            prop_assert_eq!(picked.iter().filter(|one| **one == endpoint).count(), *weight as usize);
        }
    }
}
