//! Events, and what becomes of an execution by them.

use breakwater_core::FailureKind;
use breakwater_workflow::{
    Append, Change, Event, Execution, ExecutionStatus, Fence, Happened, Part, RecordsError, StepError, WorkflowRecords,
};
use serde_json::json;

use super::{LONG, append, change, create, events, execution, started, with_workflow};

async fn journal(records: &dyn WorkflowRecords, id: &str) -> Vec<u64> {
    let Part { items, total } = records.events(id, 0, 1000).await.unwrap();
    assert_eq!(items.len() as u64, total);
    items.iter().map(|event| event.seq).collect()
}

pub(super) async fn numbers_events_without_gaps(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let fence = create(records, &execution("e", 0), "n").await;
    for numbers in [&[0][..], &[2], &[1, 3], &[1, 1], &[2, 1], &[1, 2, 4]] {
        let refused = append(records, events(&fence, numbers.iter().copied())).await;
        assert!(matches!(refused, Err(RecordsError::Conflict)), "{numbers:?}: {refused:?}");
        assert_eq!(journal(records, "e").await, [0; 0], "all of it, or nothing");
    }
    append(records, events(&fence, [1, 2])).await.unwrap();
    append(records, events(&fence, [3])).await.unwrap();
    append(records, events(&fence, [])).await.unwrap();
    for numbers in [&[3][..], &[5], &[1]] {
        let mut refused = events(&fence, numbers.iter().copied());
        refused.change = Some(Change { status: ExecutionStatus::Completed, output: Some(json!(1)), error: None, at_ms: 5 });
        let refused = append(records, refused).await;
        assert!(matches!(refused, Err(RecordsError::Conflict)), "{numbers:?}: {refused:?}");
    }
    assert_eq!(records.execution("e").await.unwrap(), Some(execution("e", 0)), "nor is the status changed");
    append(records, events(&fence, 4..=200)).await.unwrap();
    assert_eq!(journal(records, "e").await, (1..=200).collect::<Vec<_>>());

    assert_eq!(records.events("e", 198, 10).await.unwrap(), Part { items: vec![started(199), started(200)], total: 200 });
    assert_eq!(records.events("e", 3, 1).await.unwrap(), Part { items: vec![started(4)], total: 200 });
    assert_eq!(records.events("e", 200, 10).await.unwrap(), Part { items: Vec::new(), total: 200 });
    assert_eq!(records.events("e", u64::MAX, 10).await.unwrap().items, []);
    assert_eq!(records.events("none", 0, 10).await.unwrap(), Part { items: Vec::new(), total: 0 });
}

pub(super) async fn keeps_every_kind_of_event(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let fence = create(records, &execution("e", 0), "n").await;
    let error = StepError {
        kind: FailureKind::Unavailable,
        code: "upstream.unavailable".to_owned(),
        message: "«x» is away; 'DROP'".to_owned(),
        detail: Some(json!({"service_name": "x"})),
        step: Some("only".to_owned()),
    };
    let output = json!({"text": "a\u{0000}\u{0001}\u{1F980}\"\\", "n": -1.5e-7, "big": u64::MAX, "none": null});
    let kinds = [
        Happened::Started { attempt: 3, due_at_ms: Some(1_800_000_000_000) },
        Happened::AttemptFailed { error: error.clone(), retry_at_ms: 17 },
        Happened::Completed { output: output.clone(), served_by: Some("plugin:x@0.1.0".to_owned()), degraded: true, signal: Some(3) },
        Happened::Completed { output: json!(null), served_by: None, degraded: false, signal: None },
        Happened::Completed { output: json!("y".repeat(300_000)), served_by: None, degraded: false, signal: None },
        Happened::Failed { error },
        Happened::Skipped,
        Happened::Chosen { next: None, output },
        Happened::Paused,
        Happened::Resumed,
        Happened::Retried,
        Happened::CancelRequested,
        Happened::Adopted { node: "other".to_owned() },
    ];
    let number = |(place, what): (usize, Happened)| {
        let paths = ["", "fan-out/left/ä", "each/17/resize#2"];
        Event { seq: place as u64 + 1, at_ms: 1_700_000_000_000 + place as u64, path: paths[place % 3].to_owned(), what }
    };
    let all: Vec<_> = kinds.into_iter().enumerate().map(number).collect();
    append(records, Append { fence, events: all.clone(), change: None }).await.unwrap();
    assert_eq!(records.events("e", 0, 100).await.unwrap().items, all);
}

pub(super) async fn follows_the_life_of_an_execution(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let fence = create(records, &execution("e", 0), "n").await;
    let mut expected = execution("e", 0);
    let mut turn = async |status, output: Option<serde_json::Value>, error: Option<StepError>, at_ms, expect: fn(&mut Execution)| {
        let change = Some(Change { status, output: output.clone(), error: error.clone(), at_ms });
        append(records, Append { fence: fence.clone(), events: Vec::new(), change }).await.unwrap();
        (expected.status, expected.output, expected.error) = (status, output, error);
        expect(&mut expected);
        assert_eq!(records.execution("e").await.unwrap().as_ref(), Some(&expected));
    };
    let error = StepError { kind: FailureKind::Timeout, code: "a.b".to_owned(), message: "late".to_owned(), detail: None, step: None };
    turn(ExecutionStatus::Running, None, None, 10, |execution| execution.started_at_ms = Some(10)).await;
    turn(ExecutionStatus::Paused, None, None, 20, |_| {}).await;
    turn(ExecutionStatus::Running, None, None, 30, |_| {}).await;
    turn(ExecutionStatus::Failed, None, Some(error), 40, |execution| execution.completed_at_ms = Some(40)).await;
    turn(ExecutionStatus::Running, None, None, 50, |execution| execution.completed_at_ms = None).await;
    turn(ExecutionStatus::Completed, Some(json!(null)), None, 60, |execution| execution.completed_at_ms = Some(60)).await;
    turn(ExecutionStatus::Cancelled, None, None, 70, |execution| execution.completed_at_ms = Some(70)).await;

    let fence = create(records, &execution("never-ran", 0), "n").await;
    append(records, change(&fence, ExecutionStatus::Cancelled, 80)).await.unwrap();
    let ended = records.execution("never-ran").await.unwrap().unwrap();
    assert_eq!((ended.started_at_ms, ended.completed_at_ms), (None, Some(80)));
}

pub(super) async fn writes_many_and_refuses_some(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let mut fences = Vec::new();
    for number in 0..150 {
        fences.push(create(records, &execution(&format!("e{number}"), number), "n").await);
    }
    assert!(records.append(&[]).await.is_empty());
    // Different numbers of events, some with a change, every seventh from an earlier epoch, every eleventh with a gap.
    let appends: Vec<_> = fences
        .iter()
        .enumerate()
        .map(|(place, fence)| {
            let epoch = if place % 7 == 3 { 0 } else { 1 };
            let first = if place % 11 == 5 { 2 } else { 1 };
            let change = (place % 3 == 0).then(|| Change {
                status: ExecutionStatus::Completed,
                output: Some(json!({"place": place})),
                error: None,
                at_ms: place as u64,
            });
            let numbers = first..first + place as u64 % 5;
            Append { fence: Fence { epoch, ..fence.clone() }, change, ..events(fence, numbers) }
        })
        .chain([events(&Fence { execution: "none".to_owned(), ..fences[0].clone() }, [1])])
        .collect();
    let outcomes = records.append(&appends).await;
    assert_eq!(outcomes.len(), 151);
    for (place, outcome) in outcomes.iter().enumerate() {
        let (wrong_epoch, gap) = (place % 7 == 3, place % 11 == 5 && place % 5 != 0);
        match outcome {
            Err(RecordsError::Absent) => assert_eq!(place, 150),
            Err(RecordsError::Fenced) => assert!(wrong_epoch && place < 150, "{place}"),
            Err(RecordsError::Conflict) => assert!(gap && !wrong_epoch, "{place}"),
            Ok(()) => assert!(!wrong_epoch && !gap, "{place}"),
            other @ Err(_) => panic!("{place}: {other:?}"),
        }
        if place == 150 {
            continue;
        }
        let written = if outcome.is_ok() { place as u64 % 5 } else { 0 };
        assert_eq!(journal(records, &format!("e{place}")).await, (1..=written).collect::<Vec<_>>(), "{place}");
        let execution = records.execution(&format!("e{place}")).await.unwrap().unwrap();
        let expected = (outcome.is_ok() && place % 3 == 0).then(|| json!({"place": place}));
        assert_eq!(execution.output, expected, "{place}");
        assert_eq!(execution.status == ExecutionStatus::Completed, expected.is_some(), "{place}");
    }
}

pub(super) async fn refuses_an_earlier_owner(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let old = create(records, &execution("e", 0), "old").await;
    append(records, events(&old, [1])).await.unwrap();
    records.beat("new", LONG).await.unwrap();
    let claimed = records.claim("new", 10).await.unwrap().remove(0);
    assert_eq!((claimed.fence.node.as_str(), claimed.fence.epoch), ("new", 2));
    for wrong in [
        old.clone(),
        Fence { epoch: 2, ..old.clone() },
        Fence { epoch: 1, ..claimed.fence.clone() },
        Fence { epoch: 3, ..claimed.fence.clone() },
    ] {
        let change = Some(Change { status: ExecutionStatus::Completed, output: None, error: None, at_ms: 1 });
        let refused = append(records, Append { change, ..events(&wrong, [2]) }).await;
        assert!(matches!(refused, Err(RecordsError::Fenced)), "{wrong:?}: {refused:?}");
        let refused = records.seen(&wrong, breakwater_workflow::Wanted::Pause).await;
        assert!(matches!(refused, Err(RecordsError::Fenced)), "{wrong:?}: {refused:?}");
    }
    assert_eq!(journal(records, "e").await, [1]);
    assert_eq!(records.execution("e").await.unwrap(), Some(execution("e", 0)));
    append(records, events(&claimed.fence, [2])).await.unwrap();
    assert_eq!(journal(records, "e").await, [1, 2]);
}
