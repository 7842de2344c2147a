use proptest::prelude::*;
use tokio::time::advance;

use super::*;

#[test]
fn the_share_follows_the_formula_of_googles_sre_book() {
    assert_eq!(shed_probability(100, 100, Priority::Normal), 0.0);
    assert_eq!(shed_probability(100, 95, Priority::Normal), 0.0, "one refusal in twenty is borne");
    assert_eq!(shed_probability(99, 0, Priority::Normal), 0.99);
    assert_eq!(shed_probability(199, 50, Priority::Critical), 0.495, "twice what was accepted is let through");
    assert_eq!(shed_probability(199, 152, Priority::Normal), 0.195);
    assert_eq!(shed_probability(199, 152, Priority::Sheddable), 0.39);
    assert_eq!(shed_probability(99, 0, Priority::Sheddable), 1.0);
    assert_eq!(shed_probability(0, 0, Priority::Sheddable), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_least_important_goes_first_and_health_brings_all_back() {
    fastrand::seed(7);
    let shedder = Shedder::new(ShedConfig::default());
    // Three times as many calls as the other side takes.
    let mut refused = [0; 3];
    for _ in 0..20 {
        let mut capacity = 100;
        for _ in 0..100 {
            for (index, priority) in [Priority::Sheddable, Priority::Normal, Priority::Critical].into_iter().enumerate() {
                match shedder.try_acquire(priority, Instant::now()) {
                    Some(permit) if capacity > 0 => {
                        capacity -= 1;
                        permit.accepted(Instant::now());
                    }
                    Some(permit) => permit.refused(Instant::now()),
                    None => refused[index] += 1,
                }
            }
        }
        advance(Duration::from_secs(1)).await;
    }
    assert!(refused[0] > refused[1] + 200 && refused[1] > refused[2] + 200, "{refused:?}");
    advance(Duration::from_secs(130)).await;
    for _ in 0..1000 {
        shedder
            .try_acquire(Priority::Sheddable, Instant::now())
            .expect("what was refused long ago counts no more")
            .accepted(Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_says_nothing() {
    let shedder = Shedder::new(ShedConfig::default());
    (0..1000).for_each(|_| assert!(shedder.try_acquire(Priority::Sheddable, Instant::now()).is_some(), "nothing was refused"));
    assert_eq!(shedder.add([0, 0], Instant::now()), [0, 0]);
}

#[test]
fn sheddable_calls_may_fill_half_of_a_queue() {
    assert_eq!([Priority::Sheddable, Priority::Normal, Priority::Critical].map(|priority| priority.queue(10)), [5, 10, 10]);
    assert_eq!(Priority::default(), Priority::Normal);
}

proptest! {
    #[test]
    fn a_share_is_a_share_and_the_more_important_is_never_turned_away_more(wanted in 0u32..10_000, accepted in 0u32..10_000) {
        let accepted = accepted.min(wanted);
        let [low, normal, high] =
            [Priority::Sheddable, Priority::Normal, Priority::Critical].map(|priority| shed_probability(wanted, accepted, priority));
        prop_assert!((0.0..=1.0).contains(&low) && normal <= low && high <= normal);
    }
}
