//! Executions, their keys, lists and their end.

use std::sync::Arc;

use breakwater_workflow::{
    Created, Execution, ExecutionFilter, ExecutionStatus, NewSignal, Part, Range, RecordsError, Wanted, WorkflowRecords,
};
use serde_json::json;

use super::{ALL, Pair, append, change, create, digest, events, execution, with_workflow, workflow};

pub(super) async fn gives_back_what_was_created(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    assert_eq!(records.execution("e").await.unwrap(), None);
    let fresh = Execution { parent: Some(("p".to_owned(), "each/17/run".to_owned())), ..execution("e", 0) };
    let fence = create(records, &fresh, "node-1").await;
    assert_eq!((fence.execution.as_str(), fence.node.as_str(), fence.epoch), ("e", "node-1", 1));
    assert_eq!(records.execution("e").await.unwrap(), Some(fresh.clone()));

    let again = records.create(&fresh, digest(&fresh.input), "node-1").await;
    assert!(matches!(again, Err(RecordsError::Conflict)), "{again:?}");
    let big = Execution { input: json!("x".repeat(1 << 20)), ..execution("big", 1) };
    create(records, &big, "node-1").await;
    assert_eq!(records.execution("big").await.unwrap(), Some(big));

    let not_fresh = Execution {
        status: ExecutionStatus::Running,
        output: Some(json!(1)),
        started_at_ms: Some(1),
        completed_at_ms: Some(2),
        ..execution("f", 2)
    };
    create(records, &not_fresh, "node-1").await;
    assert_eq!(records.execution("f").await.unwrap(), Some(execution("f", 2)), "one that was created has done nothing");
}

pub(super) async fn makes_one_execution_of_one_key([one, other]: Pair) {
    let records = &*one;
    with_workflow(records).await;
    records.put_workflow(&workflow("v", 1, "pictures")).await.unwrap();
    let keyed = |id: &str| Execution { idempotency_key: Some("order 17 'ü'".to_owned()), ..execution(id, 0) };
    create(records, &keyed("a"), "n").await;
    let again = records.create(&keyed("b"), digest(&keyed("b").input), "n").await.unwrap();
    assert_eq!(again, Created::Existing(Box::new(keyed("a"))));
    let reused = Execution { input: json!(1), ..keyed("c") };
    assert_eq!(records.create(&reused, digest(&reused.input), "n").await.unwrap(), Created::KeyReused("a".to_owned()));
    assert_eq!(records.executions(&ExecutionFilter::default(), ALL).await.unwrap().total, 1);
    create(records, &Execution { workflow_id: "v".to_owned(), ..keyed("d") }, "n").await;
    for id in ["e", "f"] {
        create(records, &execution(id, 0), "n").await;
    }

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let records = Arc::clone(if number % 2 == 0 { &one } else { &other });
        let execution = Execution { idempotency_key: Some("race".to_owned()), ..execution(&format!("race-{number}"), 0) };
        tasks.spawn(async move { records.create(&execution, digest(&execution.input), "n").await.unwrap() });
    }
    let (mut new, mut existing) = (Vec::new(), Vec::new());
    for created in tasks.join_all().await {
        match created {
            Created::New(fence) => new.push(fence.execution),
            Created::Existing(execution) => existing.push(execution.id),
            other @ Created::KeyReused(_) => panic!("{other:?}"),
        }
    }
    assert_eq!((new.len(), existing.len()), (1, 31));
    assert!(existing.iter().all(|id| *id == new[0]), "{new:?} {existing:?}");
}

pub(super) async fn needs_the_version_that_runs(records: &dyn WorkflowRecords) {
    let absent = async |execution: &Execution| {
        let refused = records.create(execution, digest(&execution.input), "n").await;
        assert!(matches!(refused, Err(RecordsError::Absent)), "{refused:?}");
    };
    absent(&execution("e", 0)).await;
    with_workflow(records).await;
    absent(&Execution { workflow_version: 2, ..execution("e", 0) }).await;
    assert_eq!(records.executions(&ExecutionFilter::default(), ALL).await.unwrap().total, 0);
    create(records, &execution("e", 0), "n").await;
}

/// Ids of a part, and the length of the whole.
async fn ids(records: &dyn WorkflowRecords, filter: ExecutionFilter, skip: u64, take: u32) -> (String, u64) {
    let Part { items, total } = records.executions(&filter, Range { skip, take }).await.unwrap();
    (items.into_iter().map(|execution| execution.id).collect(), total)
}

pub(super) async fn leaves_the_hosts_own_out_of_lists(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    records.put_workflow(&workflow("own", 1, "_own")).await.unwrap();
    create(records, &execution("a", 1), "n").await;
    create(records, &Execution { workflow_id: "own".to_owned(), workflow_name: "_own".to_owned(), ..execution("b", 2) }, "n").await;
    assert_eq!(ids(records, ExecutionFilter::default(), 0, 9).await, ("a".to_owned(), 1));
    let of_own = ExecutionFilter { workflow_id: Some("own".to_owned()), status: None };
    assert_eq!(ids(records, of_own, 0, 9).await, ("b".to_owned(), 1), "unless they are asked for");
    let listed = records.workflows(None, breakwater_workflow::Range { skip: 0, take: 9 }).await.unwrap();
    assert_eq!((listed.total, listed.items.len()), (1, 1));
    assert!(records.workflow("_own", None).await.unwrap().is_some());
}

pub(super) async fn lists_and_counts(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    records.put_workflow(&workflow("v", 1, "pictures")).await.unwrap();
    for (number, id) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let workflow_id = if number < 4 { "w" } else { "v" }.to_owned();
        let fence = create(records, &Execution { workflow_id, ..execution(id, number as u64 / 2) }, "n").await;
        let status = [ExecutionStatus::Running, ExecutionStatus::Completed][number % 2];
        append(records, change(&fence, status, 7)).await.unwrap();
    }
    let all = ExecutionFilter::default;
    let of = |workflow: &str| ExecutionFilter { workflow_id: Some(workflow.to_owned()), ..all() };
    assert_eq!(ids(records, all(), 0, 100).await, ("fedcba".to_owned(), 6), "by creation, then by id");
    assert_eq!(ids(records, all(), 2, 3).await, ("dcb".to_owned(), 6));
    assert_eq!(ids(records, all(), 6, 3).await, (String::new(), 6));
    assert_eq!(ids(records, all(), u64::MAX, u32::MAX).await, (String::new(), 6));
    assert_eq!(ids(records, of("w"), 1, 2).await, ("cb".to_owned(), 4));
    assert_eq!(ids(records, of("texts"), 0, 2).await, (String::new(), 0));
    let completed = ExecutionFilter { status: Some(ExecutionStatus::Completed), ..all() };
    assert_eq!(ids(records, completed.clone(), 0, 100).await, ("fdb".to_owned(), 3));
    assert_eq!(ids(records, ExecutionFilter { status: Some(ExecutionStatus::Completed), ..of("v") }, 0, 9).await, ("f".to_owned(), 1));
    assert_eq!(ids(records, ExecutionFilter { status: Some(ExecutionStatus::Failed), ..of("v") }, 0, 9).await, (String::new(), 0));

    let counts = records.counts().await.unwrap();
    let expected = ExecutionStatus::ALL.map(|status| {
        let count = if matches!(status, ExecutionStatus::Running | ExecutionStatus::Completed) { 3 } else { 0 };
        (status, count)
    });
    assert_eq!(counts, expected, "every status, in their order");
}

pub(super) async fn forgets_what_ended_long_ago(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    let mut fences = Vec::new();
    for (id, status, at) in [
        ("a", ExecutionStatus::Completed, 30),
        ("b", ExecutionStatus::Failed, 10),
        ("c", ExecutionStatus::Cancelled, 20),
        ("d", ExecutionStatus::Running, 10),
        ("e", ExecutionStatus::Paused, 10),
        ("f", ExecutionStatus::Completed, 40),
        ("g", ExecutionStatus::Failed, 10),
    ] {
        let fence = create(records, &Execution { idempotency_key: Some(id.to_owned()), ..execution(id, 0) }, "n").await;
        append(records, events(&fence, 1..=3)).await.unwrap();
        records.signal(id, &NewSignal::new("go", json!(1)), 5).await.unwrap();
        append(records, change(&fence, status, at)).await.unwrap();
        fences.push(fence);
    }
    records.want("g", Wanted::Retry).await.unwrap();

    assert_eq!(records.forget(10, 100).await.unwrap(), 0, "what ended at that time is kept");
    assert_eq!(records.forget(40, 0).await.unwrap(), 0);
    assert_eq!(records.forget(40, 2).await.unwrap(), 2);
    assert_eq!(ids(records, ExecutionFilter::default(), 0, 10).await, ("gfeda".to_owned(), 5), "those that ended first");
    assert_eq!(records.forget(40, 2).await.unwrap(), 1);
    assert_eq!(records.forget(40, 2).await.unwrap(), 0);
    assert_eq!(ids(records, ExecutionFilter::default(), 0, 10).await, ("gfed".to_owned(), 4), "one that is retried stays");

    assert_eq!(records.execution("b").await.unwrap(), None);
    assert_eq!(records.events("b", 0, 10).await.unwrap(), Part { items: Vec::new(), total: 0 });
    assert!(records.signals("b", 0).await.unwrap().is_empty());
    let refused = append(records, events(&fences[1], [4])).await;
    assert!(matches!(refused, Err(RecordsError::Absent)), "{refused:?}");
    create(records, &Execution { idempotency_key: Some("b".to_owned()), ..execution("b", 9) }, "n").await;
    assert_eq!(records.events("b", 0, 10).await.unwrap().total, 0, "a key that is free again begins anew");
    assert_eq!(records.events("f", 0, 10).await.unwrap().total, 3);
    assert_eq!(records.signals("f", 0).await.unwrap().len(), 1);
}
