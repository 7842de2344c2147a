//! A database that cannot be written.

use breakwater_core::Digest;
use breakwater_workflow::{
    Append, Change, Created, Event, Execution, ExecutionStatus, Fence, Happened, NewSignal, RecordsError, Wanted, Workflow, WorkflowRecords,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::SqliteStore;

/// Gives every connection of the pool a setting.
async fn set(store: &SqliteStore, pragma: &'static str) {
    let mut connections = Vec::new();
    while connections.len() < store.pool.options().get_max_connections() as usize {
        let mut connection = store.pool.acquire().await.unwrap();
        sqlx::query(pragma).execute(&mut *connection).await.unwrap();
        connections.push(connection);
    }
}

/// What the database said.
fn cause<T: std::fmt::Debug>(outcome: Result<T, RecordsError>) -> String {
    let error = outcome.unwrap_err();
    assert!(matches!(error, RecordsError::Store(_)), "{error:?}");
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

fn execution(id: &str, input: &Value) -> Execution {
    let execution = json!({
        "id": id, "workflow_id": "w", "workflow_name": "texts", "workflow_version": 1, "status": "PENDING", "input": input, "created_at_ms": 1
    });
    serde_json::from_value(execution).unwrap()
}

fn append(fence: &Fence, seq: u64, output: &Value) -> Append {
    let what = Happened::Completed { output: output.clone(), served_by: None, degraded: false, signal: None };
    let change = Change { status: ExecutionStatus::Running, output: None, error: None, at_ms: seq };
    Append { fence: fence.clone(), events: vec![Event { seq, at_ms: seq, path: "only".to_owned(), what }], change: Some(change) }
}

async fn create(store: &SqliteStore, execution: &Execution) -> Result<Created, RecordsError> {
    store.create(execution, Digest::of(b"input"), "n").await
}

/// Records with two executions, `e` and `f`, that have one event each.
async fn with_two(folder: &TempDir) -> (SqliteStore, [Fence; 2]) {
    let store = SqliteStore::open(&folder.path().join("breakwater.db")).await.unwrap();
    let workflow = json!({
        "id": "w", "version": 1, "status": "ACTIVE", "created_at_ms": 1, "updated_at_ms": 1,
        "definition": {"name": "texts", "steps": [{"id": "only", "service": "texts", "action": "extract", "next": null}]}
    });
    store.put_workflow(&serde_json::from_value::<Workflow>(workflow).unwrap()).await.unwrap();
    let fences = ["e", "f"].map(|id| Fence { execution: id.to_owned(), node: "n".to_owned(), epoch: 1 });
    for fence in &fences {
        assert_eq!(create(&store, &execution(&fence.execution, &json!(1))).await.unwrap(), Created::New(fence.clone()));
        store.append(&[append(fence, 1, &json!(1))]).await.remove(0).unwrap();
    }
    (store, fences)
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_written() {
    let folder = TempDir::new().unwrap();
    let (store, [e, f]) = with_two(&folder).await;
    // Below the pages that are there, it is as many as there are.
    set(&store, "PRAGMA max_page_count = 1").await;
    let big = json!("x".repeat(1 << 20));
    for outcome in store.append(&[append(&e, 2, &json!(1)), append(&f, 2, &big)]).await {
        let cause = cause(outcome);
        assert!(cause.contains("full"), "{cause}");
    }
    for cause in [
        cause(create(&store, &execution("g", &big)).await),
        cause(store.signal("e", &NewSignal::new("go", big.clone()), 1).await),
        cause(store.put_workflow(&store.workflow("w", None).await.unwrap().map(|w| grown(w, &big)).unwrap()).await),
    ] {
        assert!(cause.contains("full"), "{cause}");
    }
    assert_eq!(store.execution("g").await.unwrap(), None);
    for fence in [&e, &f] {
        assert_eq!(store.events(&fence.execution, 0, 10).await.unwrap().total, 1);
    }

    set(&store, "PRAGMA max_page_count = 1000000").await;
    for outcome in store.append(&[append(&e, 2, &big), append(&f, 2, &big)]).await {
        outcome.unwrap();
    }
    // Every connection can be used as before.
    for number in 0..8 {
        let created = create(&store, &execution(&format!("g{number}"), &big)).await.unwrap();
        assert!(matches!(created, Created::New(_)), "{created:?}");
    }
}

/// Its next version, with more in it.
fn grown(workflow: Workflow, what: &Value) -> Workflow {
    let mut grown = Workflow { version: workflow.version + 1, ..workflow };
    grown.definition.metadata.insert("what".to_owned(), what.clone());
    grown
}

#[tokio::test]
async fn records_that_may_only_be_read_are_named() {
    let folder = TempDir::new().unwrap();
    let (store, [e, _]) = with_two(&folder).await;
    set(&store, "PRAGMA query_only = 1").await;
    for cause in [
        cause(store.append(&[append(&e, 2, &json!(1))]).await.remove(0)),
        cause(create(&store, &execution("g", &json!(1))).await),
        cause(store.want("e", Wanted::Pause).await),
        cause(store.seen(&e, Wanted::Pause).await),
        cause(store.claim("other", 1).await),
        cause(store.leave("n").await),
        cause(store.forget(9, 1).await),
        cause(store.remove_workflow("w").await),
    ] {
        assert!(cause.contains("readonly") || cause.contains("read-only"), "{cause}");
    }
    assert_eq!(store.events("e", 0, 10).await.unwrap().total, 1);
}

#[tokio::test]
async fn what_is_damaged_is_named() {
    let folder = TempDir::new().unwrap();
    let (store, _) = with_two(&folder).await;
    sqlx::query("UPDATE workflow_event SET what = '{\"type\": \"surprise\"}'").execute(&store.pool).await.unwrap();
    assert!(matches!(store.events("e", 0, 10).await, Err(RecordsError::Corrupt(_))));
    sqlx::query("UPDATE workflow_start SET input = '{'").execute(&store.pool).await.unwrap();
    let refused = store.execution("e").await.unwrap_err();
    assert!(matches!(&refused, RecordsError::Corrupt(what) if what.contains("execution `e`")), "{refused:?}");
    sqlx::query("UPDATE workflow_version SET record = '{}'").execute(&store.pool).await.unwrap();
    assert!(matches!(store.workflow("w", None).await, Err(RecordsError::Corrupt(_))));
}

#[tokio::test]
async fn what_is_looked_for_often_is_found_by_an_index() {
    use super::statements::{EVENTS, MAIL, OWNERS, RELEASE, SIGNALS};

    let folder = TempDir::new().unwrap();
    let (store, _) = with_two(&folder).await;
    for (statement, index) in [
        (MAIL, "workflow_execution_mail"),
        (OWNERS, "workflow_execution_open"),
        (RELEASE, "workflow_execution_open"),
        (EVENTS, "PRIMARY KEY"),
        (SIGNALS, "PRIMARY KEY"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).bind("n").bind(1).bind(1).fetch_all(&store.pool).await.unwrap();
        let plan = plan.into_iter().map(|(.., line)| line + "\n").collect::<String>();
        assert!(plan.contains(index) && !plan.contains("SCAN workflow"), "{statement}\n{plan}");
    }
}
