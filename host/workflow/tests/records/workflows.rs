//! Definitions, their versions and names.

use breakwater_workflow::{Range, RecordsError, Workflow, WorkflowRecords, WorkflowStatus};

use super::{ALL, Pair, change, create, execution, with_workflow, workflow};

pub(super) async fn gives_back_what_was_put(records: &dyn WorkflowRecords) {
    assert_eq!(records.workflow("w", None).await.unwrap(), None);
    assert_eq!(records.workflows(None, ALL).await.unwrap().total, 0);
    assert!(!records.remove_workflow("w").await.unwrap());

    let first = workflow("w", 1, "texts");
    records.put_workflow(&first).await.unwrap();
    let second = Workflow { status: WorkflowStatus::Inactive, ..workflow("w", 2, "texts-v2") };
    records.put_workflow(&second).await.unwrap();
    assert_eq!(records.workflow("w", None).await.unwrap(), Some(second.clone()));
    assert_eq!(records.workflow("w", Some(2)).await.unwrap(), Some(second));
    let old = Workflow { status: WorkflowStatus::Inactive, ..first };
    assert_eq!(records.workflow("w", Some(1)).await.unwrap(), Some(old), "the status is that of the workflow");
    assert_eq!(records.workflow("w", Some(3)).await.unwrap(), None);
    assert_eq!(records.workflow("texts", None).await.unwrap(), None, "its old name is free");
    assert_eq!(records.workflow("texts-v2", Some(1)).await.unwrap().unwrap().version, 1);
}

pub(super) async fn refuses_versions_that_do_not_follow(records: &dyn WorkflowRecords) {
    let refused = async |workflow: &Workflow| {
        let refused = records.put_workflow(workflow).await;
        assert!(matches!(refused, Err(RecordsError::Conflict)), "{refused:?}");
    };
    refused(&workflow("w", 2, "texts")).await;
    refused(&workflow("w", 0, "texts")).await;
    with_workflow(records).await;
    refused(&workflow("w", 1, "texts")).await;
    refused(&workflow("w", 3, "texts")).await;
    refused(&workflow("v", 1, "texts")).await;

    records.put_workflow(&workflow("v", 1, "pictures")).await.unwrap();
    refused(&workflow("v", 2, "texts")).await;
    assert_eq!(records.workflow("v", None).await.unwrap(), Some(workflow("v", 1, "pictures")), "nothing was changed");
    assert_eq!(records.workflow("v", Some(2)).await.unwrap(), None);
    records.put_workflow(&workflow("w", 2, "prose")).await.unwrap();
    records.put_workflow(&workflow("v", 2, "texts")).await.unwrap();
    assert_eq!(records.workflow("texts", None).await.unwrap().unwrap().id, "v", "a name that was given up may be taken");
}

pub(super) async fn knows_them_by_id_before_name(records: &dyn WorkflowRecords) {
    records.put_workflow(&workflow("a", 1, "b")).await.unwrap();
    assert_eq!(records.workflow("b", None).await.unwrap().unwrap().id, "a");
    records.put_workflow(&workflow("b", 1, "c")).await.unwrap();
    assert_eq!(records.workflow("b", None).await.unwrap().unwrap().id, "b");
    assert!(!records.remove_workflow("c").await.unwrap(), "what is forgotten is named by its id");
    assert!(records.remove_workflow("b").await.unwrap());
    assert!(!records.remove_workflow("b").await.unwrap());
    assert_eq!(records.workflow("b", None).await.unwrap().unwrap().id, "a");
    assert_eq!(records.workflow("c", None).await.unwrap(), None);
    records.put_workflow(&workflow("d", 1, "c")).await.unwrap();
}

pub(super) async fn lists_the_newest_first(records: &dyn WorkflowRecords) {
    for (number, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let status = if name == "c" { WorkflowStatus::Archived } else { WorkflowStatus::Active };
        let created_at_ms = number as u64 / 2;
        records.put_workflow(&Workflow { status, created_at_ms, ..workflow(name, 1, name) }).await.unwrap();
    }
    let changed = Workflow { created_at_ms: 0, updated_at_ms: 99, ..workflow("a", 2, "a") };
    records.put_workflow(&changed).await.unwrap();

    let ids = async |status, skip, take| {
        let part = records.workflows(status, Range { skip, take }).await.unwrap();
        (part.items.into_iter().map(|workflow| workflow.id).collect::<String>(), part.total)
    };
    assert_eq!(ids(None, 0, 100).await, ("edcba".to_owned(), 5), "by creation, then by id");
    assert_eq!(ids(None, 1, 2).await, ("dc".to_owned(), 5));
    assert_eq!(ids(None, 5, 2).await, (String::new(), 5));
    assert_eq!(ids(None, u64::MAX, 2).await, (String::new(), 5));
    assert_eq!(ids(Some(WorkflowStatus::Active), 3, 100).await, ("a".to_owned(), 4));
    assert_eq!(ids(Some(WorkflowStatus::Archived), 0, 1).await, ("c".to_owned(), 1));
    assert_eq!(ids(Some(WorkflowStatus::Inactive), 0, 1).await, (String::new(), 0));
    assert_eq!(records.workflows(None, Range { skip: 4, take: 1 }).await.unwrap().items, [changed]);
}

pub(super) async fn lets_one_of_two_writers_win([one, other]: Pair) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let records = std::sync::Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.spawn(async move { records.put_workflow(&workflow(&format!("w{number}"), 1, "texts")).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(RecordsError::Conflict))), "{outcomes:?}");

    let id = one.workflow("texts", None).await.unwrap().unwrap().id;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (records, id) = (std::sync::Arc::clone(if number % 2 == 0 { &one } else { &other }), id.clone());
        tasks.spawn(async move { records.put_workflow(&workflow(&id, 2, &format!("texts-{number}"))).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(RecordsError::Conflict))), "{outcomes:?}");
    assert_eq!(other.workflow(&id, None).await.unwrap().unwrap().version, 2);
}

pub(super) async fn keeps_versions_that_executions_need(records: &dyn WorkflowRecords) {
    use breakwater_workflow::ExecutionStatus::Completed;

    with_workflow(records).await;
    let fence = create(records, &execution("e", 0), "n").await;
    for version in 2..=3 {
        records.put_workflow(&workflow("w", version, "texts")).await.unwrap();
    }
    assert_eq!(records.forget(u64::MAX, 10).await.unwrap(), 0);
    let there = async || {
        let mut there = Vec::new();
        for version in 1..=3 {
            there.push(records.workflow("w", Some(version)).await.unwrap().is_some());
        }
        there
    };
    assert_eq!(there().await, [true, false, true], "one is run, one is the latest");

    assert!(records.remove_workflow("w").await.unwrap());
    assert_eq!(there().await, [true, false, false]);
    let kept = records.workflow("w", Some(1)).await.unwrap().unwrap();
    assert_eq!(kept.status, WorkflowStatus::Archived, "it may not be started any more");
    assert_eq!(records.workflow("w", None).await.unwrap(), None);
    assert_eq!(records.workflows(None, ALL).await.unwrap().total, 0);
    for version in [1, 2, 4] {
        let refused = records.put_workflow(&workflow("w", version, "texts")).await;
        assert!(matches!(refused, Err(RecordsError::Conflict)), "an id names one workflow for ever: {refused:?}");
    }
    assert_eq!(records.executions(&Default::default(), ALL).await.unwrap().total, 1);

    super::append(records, change(&fence, Completed, 5)).await.unwrap();
    assert_eq!(records.forget(6, 10).await.unwrap(), 1);
    assert_eq!(there().await, [false, false, false]);
}
