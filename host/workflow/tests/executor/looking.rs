//! Looking at executions.

use std::collections::BTreeSet;
use std::time::Duration;

use breakwater_core::FailureKind;
use breakwater_workflow::{ExecutionFilter, ExecutionStatus, NewSignal, Range, Wanted};
use serde_json::json;

use super::bed::{Bed, LONG, call, eventually};

const NOW: Duration = Duration::from_millis(10);

pub(crate) async fn knows_no_others(bed: &Bed) {
    let long = "x".repeat(10 * 1024);
    for id in ["nobody", "", "a\nb", "\0", "' OR 1 = 1 --", "\u{1f4a9}", &long] {
        let executor = &bed.executor;
        let failures = [
            executor.get(id).await.unwrap_err(),
            executor.history(id, 0, 10).await.unwrap_err(),
            executor.wait(id, NOW).await.unwrap_err(),
            executor.changed(id, 0, NOW).await.unwrap_err(),
            executor.signal(id, NewSignal::new("go", json!(1))).await.unwrap_err(),
            executor.signal(id, NewSignal::new("go", json!(1)).with_key("k")).await.unwrap_err(),
            executor.command(id, Wanted::Pause).await.unwrap_err(),
            executor.command(id, Wanted::Resume).await.unwrap_err(),
            executor.command(id, Wanted::Cancel).await.unwrap_err(),
            executor.command(id, Wanted::Retry).await.unwrap_err(),
        ];
        for (number, failure) in failures.into_iter().enumerate() {
            assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "execution.unknown"), "{number} {id:?}: {failure:?}");
            assert!(failure.message.len() < 1000);
        }
        assert!(executor.current_steps(id).is_empty());
        let filter = ExecutionFilter { workflow_id: Some(id.to_owned()), status: None };
        let listed = executor.list(&filter, Range { skip: 0, take: 10 }).await.unwrap();
        assert_eq!((listed.total, listed.items.len()), (0, 0), "{id:?}");
    }
}

pub(crate) async fn lists_and_counts(bed: &Bed) {
    bed.steps(json!([{ "id": "which", "type": "choice", "choices": [{ "when": "input == `0`", "next": "wrong" }, { "when": "input == `1`", "next": "wait" }], "next": "right" },
        call("right", "add", None), call("wrong", "bad", None), { "id": "wait", "type": "signal", "signal": "go", "next": null }])).await;
    bed.put(json!({ "name": "other", "steps": [call("one", "add", None)] })).await;
    let mut ids = Vec::new();
    for input in [0, 1, 1, 1, 2, 2, 2] {
        ids.push(bed.start(json!(input)).await);
        // So that no two begin in one millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let other = breakwater_workflow::Start { workflow: "other".to_owned(), ..super::bed::start(json!(1)) };
    let other = bed.executor.start(other).await.unwrap().execution.id;
    for id in [0, 4, 5, 6].into_iter().map(|index| &ids[index]).chain([&other]) {
        bed.ends(id).await;
    }
    for id in &ids[1..4] {
        bed.is(id, ExecutionStatus::Running).await;
    }
    bed.executor.command(&ids[2], Wanted::Pause).await.unwrap();
    bed.executor.command(&ids[3], Wanted::Cancel).await.unwrap();
    ids.reverse();

    let list = async |status, skip, take| {
        let filter = ExecutionFilter { workflow_id: Some(bed.id("w")), status };
        let part = bed.executor.list(&filter, Range { skip, take }).await.unwrap();
        (part.total, part.items.into_iter().map(|execution| execution.id).collect::<Vec<_>>())
    };
    eventually("lists know everything", async || {
        list(None, 0, 100).await.0 == 7 && list(Some(ExecutionStatus::Cancelled), 0, 9).await.0 == 1
    })
    .await;
    let (_, whole) = list(None, 0, 100).await;
    // An executor may list those that run before those that ended; beyond that the newest come first.
    let of = |of: &[usize]| whole.iter().filter(|id| of.iter().any(|place| ids[*place] == **id)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (of(&[4, 5]), of(&[0, 6])),
        (vec![ids[4].clone(), ids[5].clone()], vec![ids[0].clone(), ids[6].clone()]),
        "the newest first"
    );
    assert_eq!(whole.iter().collect::<BTreeSet<_>>(), ids.iter().collect::<BTreeSet<_>>());
    assert_eq!(list(None, 2, 3).await, (7, whole[2..5].to_vec()));
    assert_eq!(list(None, 6, 3).await, (7, whole[6..].to_vec()));
    assert_eq!(list(None, 7, 3).await, (7, vec![]), "empty past the end");
    assert_eq!(list(None, u64::MAX, 3).await, (7, vec![]));
    for (status, places) in [
        (ExecutionStatus::Completed, &[0, 1, 2][..]),
        (ExecutionStatus::Cancelled, &[3]),
        (ExecutionStatus::Paused, &[4]),
        (ExecutionStatus::Running, &[5]),
        (ExecutionStatus::Failed, &[6]),
        (ExecutionStatus::Pending, &[]),
    ] {
        let expected: BTreeSet<String> = places.iter().map(|place| ids[*place].clone()).collect();
        let as_expected = async || {
            let (total, listed) = list(Some(status), 0, 100).await;
            total == places.len() as u64 && listed.len() == places.len() && listed.into_iter().collect::<BTreeSet<_>>() == expected
        };
        eventually(&format!("{status:?} are {expected:?}"), as_expected).await;
    }
    let others = bed.of("other", None).await;
    assert!(others.len() == 1 && others[0].id == other, "{others:?}");
    let everything = bed.executor.list(&ExecutionFilter::default(), Range { skip: 0, take: 1000 }).await.unwrap();
    let found = everything.items.iter().filter(|execution| ids.contains(&execution.id) || execution.id == other).count();
    assert_eq!(found, 8);
    // Others may be on the same cluster.
    let counts = bed.executor.counts().await.unwrap();
    for (status, least) in
        [(ExecutionStatus::Completed, 4), (ExecutionStatus::Cancelled, 1), (ExecutionStatus::Paused, 1), (ExecutionStatus::Failed, 1)]
    {
        assert!(counts.iter().any(|(of, count)| *of == status && *count >= least), "{status:?}: {counts:?}");
    }
}

pub(crate) async fn wakes_for_the_next_event(bed: &Bed) {
    bed.steps(json!([call("one", "add", Some("hold")), call("hold", "gate.x", None)])).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    assert_eq!(bed.executor.changed(&id, 0, LONG).await.unwrap(), 3);
    assert_eq!(bed.executor.changed(&id, 3, NOW).await.unwrap(), 3, "nothing came in time");
    let (changed, ()) = tokio::join!(bed.executor.changed(&id, 3, LONG), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bed.sink.open("gate.x");
    });
    assert_eq!(changed.unwrap(), 4);
    bed.ends(&id).await;
    assert_eq!(bed.executor.changed(&id, 4, LONG).await.unwrap(), 4, "it has ended");
    assert_eq!(bed.executor.changed(&id, 100, LONG).await.unwrap(), 4);
}

pub(crate) async fn gives_a_history_in_parts(bed: &Bed) {
    let steps =
        json!([{ "id": "each", "type": "map", "items": "input", "concurrency": 1, "steps": [call("one", "add", None)], "next": null }]);
    let execution = bed.run(steps, json!([1, 2, 3, 4])).await;
    let whole = bed.history(&execution.id).await;
    assert_eq!(whole.len(), 9);
    let mut parts = Vec::new();
    while let Some(event) = {
        let part = bed.executor.history(&execution.id, parts.len() as u64, 2).await.unwrap();
        assert_eq!(part.total, 9);
        (!part.items.is_empty()).then_some(part.items)
    } {
        assert!(event.len() <= 2);
        parts.extend(event);
    }
    assert_eq!(parts, whole);
    for after in [9, 10, u64::MAX] {
        let past = bed.executor.history(&execution.id, after, 10).await.unwrap();
        assert_eq!((past.total, past.items.len()), (9, 0));
    }
}

pub(crate) async fn says_where_it_is(bed: &Bed) {
    let steps = json!([call("one", "gate.x", Some("each")), { "id": "each", "type": "map", "items": "[previous, previous]", "steps": [
        { "id": "t", "type": "timer", "wait_ms": 1_000_000, "next": null }], "next": null }]);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["one"]).await;
    bed.sink.open("gate.x");
    bed.is_at(&id, &["each/0/t", "each/1/t"]).await;
    let waited = bed.executor.wait(&id, NOW).await.unwrap();
    assert_eq!((waited.status.is_final(), waited.completed_at_ms, waited.output), (false, None, None));
}
