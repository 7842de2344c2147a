//! Taking over what nobody owns.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use breakwater_workflow::{Claimed, ExecutionStatus, Wanted, WorkflowRecords};

use super::{LONG, Pair, append, change, create, execution, tick, with_workflow};

fn ids(claimed: &[Claimed]) -> String {
    claimed.iter().map(|claimed| claimed.execution.id.as_str()).collect()
}

pub(super) async fn claims_the_oldest_first(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    records.beat("n", LONG).await.unwrap();
    assert!(records.claim("n", 10).await.unwrap().is_empty());
    for (id, created) in [("c", 3), ("a", 2), ("b", 2), ("d", 1)] {
        create(records, &execution(id, created), "gone").await;
    }
    create(records, &execution("own", 0), "n").await;
    let ended = create(records, &execution("ended", 0), "gone").await;
    append(records, change(&ended, ExecutionStatus::Completed, 5)).await.unwrap();
    records.want("b", Wanted::Cancel).await.unwrap();

    let claimed = records.claim("n", 3).await.unwrap();
    assert_eq!(ids(&claimed), "dab", "by creation, then by id");
    assert_eq!(claimed[0].execution, execution("d", 1));
    assert_eq!(claimed.iter().map(|claimed| claimed.wanted).collect::<Vec<_>>(), [None, None, Some(Wanted::Cancel)]);
    assert!(
        claimed
            .iter()
            .all(|claimed| claimed.fence.node == "n" && claimed.fence.epoch == 2 && claimed.fence.execution == claimed.execution.id)
    );
    assert!(records.claim("n", 0).await.unwrap().is_empty());
    assert_eq!(ids(&records.claim("n", 3).await.unwrap()), "c");
    assert!(records.claim("n", 3).await.unwrap().is_empty());
}

pub(super) async fn claims_what_is_left_or_silent([one, other]: Pair) {
    with_workflow(&*one).await;
    one.beat("stays", LONG).await.unwrap();
    one.beat("leaves", LONG).await.unwrap();
    one.beat("n", LONG).await.unwrap();
    let fence = create(&*one, &execution("a", 0), "leaves").await;
    create(&*one, &execution("b", 1), "stays").await;
    assert!(other.claim("n", 10).await.unwrap().is_empty());
    one.leave("leaves").await.unwrap();
    let refused = append(&*one, change(&fence, ExecutionStatus::Running, 5)).await;
    assert!(matches!(refused, Err(breakwater_workflow::RecordsError::Fenced)), "it belongs to nobody: {refused:?}");
    let claimed = other.claim("n", 10).await.unwrap();
    assert_eq!((ids(&claimed).as_str(), claimed[0].fence.epoch), ("a", 2));

    // Heard of once more, and then never again.
    one.beat("stays", Duration::from_millis(200)).await.unwrap();
    let began = std::time::Instant::now();
    let claimed = loop {
        let claimed = other.claim("n", 10).await.unwrap();
        if !claimed.is_empty() {
            break claimed;
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::task::yield_now().await;
    };
    assert!(began.elapsed() > Duration::from_millis(100), "{:?}", began.elapsed());
    assert_eq!(ids(&claimed), "b");
    one.leave("nobody knows it").await.unwrap();
}

pub(super) async fn leaves_paused_ones_alone(records: &dyn WorkflowRecords) {
    with_workflow(records).await;
    records.beat("n", LONG).await.unwrap();
    for (id, wanted) in [("a", None), ("b", Some(Wanted::Resume)), ("c", Some(Wanted::Cancel))] {
        let fence = create(records, &execution(id, tick()), "gone").await;
        append(records, change(&fence, ExecutionStatus::Paused, 5)).await.unwrap();
        if let Some(wanted) = wanted {
            records.want(id, wanted).await.unwrap();
        }
    }
    let claimed = records.claim("n", 10).await.unwrap();
    assert_eq!(ids(&claimed), "bc");
    assert_eq!(claimed[0].execution.status, ExecutionStatus::Paused);
    records.want("a", Wanted::Resume).await.unwrap();
    assert_eq!(ids(&records.claim("n", 10).await.unwrap()), "a");
}

pub(super) async fn gives_an_execution_to_one_claimer([one, other]: Pair) {
    with_workflow(&*one).await;
    for number in 0..60 {
        create(&*one, &execution(&format!("e{number}"), number), "gone").await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (records, node) = (Arc::clone(if number % 2 == 0 { &one } else { &other }), format!("n{number}"));
        tasks.spawn(async move {
            records.beat(&node, LONG).await.unwrap();
            let mut claimed = Vec::new();
            loop {
                let more = records.claim(&node, 4).await.unwrap();
                if more.is_empty() {
                    break claimed;
                }
                claimed.extend(more);
            }
        });
    }
    let claimed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<_> = claimed.iter().map(|claimed| &claimed.execution.id).collect();
    assert_eq!(distinct.len(), claimed.len(), "two took the same");
    assert!(claimed.iter().all(|claimed| claimed.fence.epoch == 2));
    // Whoever came while others were claiming may have seen nothing; what is left is there for the next.
    let mut left = one.claim("n0", 100).await.unwrap();
    assert_eq!(claimed.len() + left.len(), 60);
    left.extend(claimed);
    for Claimed { fence, .. } in &left {
        append(&*other, change(fence, ExecutionStatus::Completed, 5)).await.unwrap();
    }
    assert!(one.claim("n0", 100).await.unwrap().is_empty());
}
