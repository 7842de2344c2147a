//! What every implementation of `WorkflowRecords` must do. Included by the tests of each.

mod executions;
mod journal;
mod mail;
mod ownership;
mod workflows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breakwater_core::Digest;
use breakwater_workflow::{
    Append, Change, Created, Event, Execution, ExecutionStatus, Fence, Happened, Range, Workflow, WorkflowRecords, WorkflowStatus,
};
use serde_json::{Value, json};

pub(crate) type Shared = Arc<dyn WorkflowRecords>;
/// The same records twice: as two processes have them where that can be, otherwise one handle and the same again.
pub(crate) type Pair = [Shared; 2];

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
const ALL: Range = Range { skip: 0, take: 1000 };

/// Runs the whole suite; `fresh` gives records that are empty.
pub(crate) async fn conforms(fresh: impl AsyncFn() -> Pair) {
    let [one, _] = fresh().await;
    workflows::gives_back_what_was_put(&*one).await;
    workflows::refuses_versions_that_do_not_follow(&*fresh().await[0]).await;
    workflows::knows_them_by_id_before_name(&*fresh().await[0]).await;
    workflows::lists_the_newest_first(&*fresh().await[0]).await;
    executions::leaves_the_hosts_own_out_of_lists(&*fresh().await[0]).await;
    workflows::lets_one_of_two_writers_win(fresh().await).await;
    workflows::keeps_versions_that_executions_need(&*fresh().await[0]).await;
    executions::gives_back_what_was_created(&*fresh().await[0]).await;
    executions::makes_one_execution_of_one_key(fresh().await).await;
    executions::needs_the_version_that_runs(&*fresh().await[0]).await;
    executions::lists_and_counts(&*fresh().await[0]).await;
    executions::forgets_what_ended_long_ago(&*fresh().await[0]).await;
    journal::numbers_events_without_gaps(&*fresh().await[0]).await;
    journal::keeps_every_kind_of_event(&*fresh().await[0]).await;
    journal::follows_the_life_of_an_execution(&*fresh().await[0]).await;
    journal::writes_many_and_refuses_some(&*fresh().await[0]).await;
    journal::refuses_an_earlier_owner(&*fresh().await[0]).await;
    mail::keeps_wishes_until_they_are_seen(&*fresh().await[0]).await;
    mail::retries_what_has_ended(&*fresh().await[0]).await;
    mail::keeps_early_signals_and_numbers_them(fresh().await).await;
    mail::keeps_one_signal_of_a_key(fresh().await).await;
    ownership::claims_the_oldest_first(&*fresh().await[0]).await;
    ownership::claims_what_is_left_or_silent(fresh().await).await;
    ownership::leaves_paused_ones_alone(&*fresh().await[0]).await;
    ownership::gives_an_execution_to_one_claimer(fresh().await).await;
}

/// A definition of one step.
pub(crate) fn workflow(id: &str, version: u32, name: &str) -> Workflow {
    let definition = json!({
        "name": name,
        "description": "«quoted» 'once' \"twice\"; DROP TABLE workflow",
        "steps": [{"id": "only", "service": "texts", "action": "extract", "next": null}],
        "metadata": {"author": "ä\u{1F980}", "n": 1.5}
    });
    Workflow {
        id: id.to_owned(),
        version,
        status: WorkflowStatus::Active,
        definition: serde_json::from_value(definition).unwrap(),
        created_at_ms: 1_700_000_000_000,
        updated_at_ms: 1_700_000_000_000 + u64::from(version),
    }
}

/// An execution of version 1 of workflow `w`, created at `created` after some time.
pub(crate) fn execution(id: &str, created: u64) -> Execution {
    Execution {
        id: id.to_owned(),
        workflow_id: "w".to_owned(),
        workflow_name: "texts".to_owned(),
        workflow_version: 1,
        status: ExecutionStatus::Pending,
        input: json!({"url": "https://example.com/ü", "n": [1, null, 2.5]}),
        output: None,
        error: None,
        context: BTreeMap::from([("project_id".to_owned(), json!("456")), ("deep".to_owned(), json!({"a": [true]}))]),
        idempotency_key: None,
        parent: None,
        created_at_ms: 1_700_000_000_000 + created,
        started_at_ms: None,
        completed_at_ms: None,
    }
}

pub(crate) fn digest(input: &Value) -> Digest {
    Digest::of(input.to_string().as_bytes())
}

/// Stores the workflow that [`execution`] runs.
pub(crate) async fn with_workflow(records: &dyn WorkflowRecords) {
    records.put_workflow(&workflow("w", 1, "texts")).await.unwrap();
}

pub(crate) async fn create(records: &dyn WorkflowRecords, execution: &Execution, node: &str) -> Fence {
    match records.create(execution, digest(&execution.input), node).await.unwrap() {
        Created::New(fence) => fence,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn started(seq: u64) -> Event {
    Event { seq, at_ms: 1_700_000_000_000 + seq, path: "only".to_owned(), what: Happened::Started { attempt: 1, due_at_ms: None } }
}

pub(crate) fn events(fence: &Fence, numbers: impl IntoIterator<Item = u64>) -> Append {
    Append { fence: fence.clone(), events: numbers.into_iter().map(started).collect(), change: None }
}

/// A status, with a result when it is completed.
pub(crate) fn change(fence: &Fence, status: ExecutionStatus, at_ms: u64) -> Append {
    let output = (status == ExecutionStatus::Completed).then(|| json!({"summary": "done"}));
    Append { fence: fence.clone(), events: Vec::new(), change: Some(Change { status, output, error: None, at_ms }) }
}

pub(crate) async fn append(records: &dyn WorkflowRecords, append: Append) -> Result<(), breakwater_workflow::RecordsError> {
    let mut outcomes = records.append(&[append]).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// A time that is greater with each call.
fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(1);
    TICKS.fetch_add(1, Ordering::Relaxed)
}
