//! What every implementation of `FlagRecords` must do. Included by the tests of each.

use std::sync::Arc;

use breakwater_flags::{Condition, Flag, FlagRecords, FlagRecordsError, FlagState, Rule, Target, Test, Then};

/// Runs the whole suite on records that are empty.
pub(crate) async fn conforms(records: Arc<dyn FlagRecords>) {
    starts_empty(&*records).await;
    returns_what_was_put(&*records).await;
    refuses_a_change_from_another_version(&*records).await;
    removes_and_never_repeats_a_version(&*records).await;
    counts_flags_apart(&*records).await;
    lets_one_of_several_writers_win(&records).await;
    reads_all_flags_of_one_moment(&records).await;
}

/// A flag that uses every field.
pub(crate) fn flag(rollout: u8) -> Flag {
    let one_of = Test::OneOf(["acme".to_owned(), "«ü» \"quoted\"\n".to_owned()].into());
    let when = vec![
        Condition { on: Target::Tenant, is: one_of, not: false },
        Condition { on: Target::Attribute("plan".into()), is: Test::Prefix("pro".into()), not: true },
    ];
    Flag {
        rollout,
        rules: vec![Rule { when, then: Then::Rollout(7) }],
        salt: Some("wave-1".into()),
        description: "describes\nitself".into(),
        updated_at_ms: 1_760_000_000_000,
        ..Flag::on()
    }
}

async fn starts_empty(records: &dyn FlagRecords) {
    assert_eq!(records.revision().await.unwrap(), 0);
    assert_eq!(records.load().await.unwrap(), FlagState::default());
}

async fn returns_what_was_put(records: &dyn FlagRecords) {
    for version in 1..=3 {
        // The version comes from the records, whatever the flag says.
        let given = Flag { version: 77, ..flag(u8::try_from(version).unwrap()) };
        assert_eq!(records.put("first", version - 1, &given).await.unwrap(), version);
        assert_eq!(records.revision().await.unwrap(), version);
        let stored = [("first".to_owned(), Flag { version, ..given })].into();
        assert_eq!(records.load().await.unwrap(), FlagState { revision: version, flags: stored });
    }
}

fn conflicts(outcome: &Result<u64, FlagRecordsError>, expected: u64, found: u64) -> bool {
    matches!(outcome, Err(FlagRecordsError::Conflict { expected: e, found: f }) if (*e, *f) == (expected, found))
}

async fn refuses_a_change_from_another_version(records: &dyn FlagRecords) {
    let before = records.load().await.unwrap();
    for expected in [0, 2, 4] {
        assert!(conflicts(&records.put("first", expected, &flag(50)).await, expected, 3));
        assert!(conflicts(&records.remove("first", expected).await, expected, 3));
    }
    for expected in [1, 3] {
        assert!(conflicts(&records.put("absent", expected, &flag(50)).await, expected, 0));
        assert!(conflicts(&records.remove("absent", expected).await, expected, 0));
    }
    assert!(conflicts(&records.remove("absent", 0).await, 0, 0));
    assert_eq!(records.load().await.unwrap(), before);
}

async fn removes_and_never_repeats_a_version(records: &dyn FlagRecords) {
    assert_eq!(records.remove("first", 3).await.unwrap(), 4);
    assert_eq!(records.load().await.unwrap(), FlagState { revision: 4, flags: [].into() });
    assert_eq!(records.put("first", 0, &flag(1)).await.unwrap(), 5);
    assert!(conflicts(&records.put("first", 3, &flag(2)).await, 3, 5));
}

async fn counts_flags_apart(records: &dyn FlagRecords) {
    assert_eq!(records.put("second", 0, &flag(9)).await.unwrap(), 6);
    assert_eq!(records.put("first", 5, &flag(2)).await.unwrap(), 7);
    let state = records.load().await.unwrap();
    let versions: Vec<_> = state.flags.iter().map(|(name, flag)| (name.as_str(), flag.version, flag.rollout)).collect();
    assert_eq!((state.revision, versions), (7, vec![("first", 7, 2), ("second", 6, 9)]));
}

async fn lets_one_of_several_writers_win(records: &Arc<dyn FlagRecords>) {
    let mut writers = tokio::task::JoinSet::new();
    for rollout in 0..8 {
        let records = Arc::clone(records);
        writers.spawn(async move { records.put("first", 7, &flag(rollout)).await });
    }
    let outcomes = writers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| conflicts(outcome, 7, 8)).count(), 7, "{outcomes:?}");
    assert_eq!(records.revision().await.unwrap(), 8);
}

async fn reads_all_flags_of_one_moment(records: &Arc<dyn FlagRecords>) {
    let writer = {
        let records = Arc::clone(records);
        tokio::spawn(async move {
            let mut versions = [8, 6];
            for rollout in 0..30 {
                for (name, version) in ["first", "second"].into_iter().zip(&mut versions) {
                    *version = records.put(name, *version, &flag(rollout)).await.unwrap();
                }
            }
        })
    };
    while !writer.is_finished() {
        let state = records.load().await.unwrap();
        // The last change is of one of the flags, so its version is the revision.
        assert_eq!(state.flags.values().map(|flag| flag.version).max(), Some(state.revision));
    }
    writer.await.unwrap();
    assert_eq!(records.revision().await.unwrap(), 68);
}
