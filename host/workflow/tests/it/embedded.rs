//! What the embedded executor bounds and promises beyond the suite that every executor passes.

use std::time::Duration;

use breakwater_workflow::{EmbeddedConfig, ExecutionStatus, Executor, NewSignal, Wanted};
use serde_json::json;

use super::support::{Bed, config, put, start};

#[tokio::test(start_paused = true)]
async fn a_large_list_of_outputs_is_kept_once() {
    let bed = Bed::new().await;
    let steps = json!([{ "id": "each", "type": "map", "steps": [{ "id": "one", "operation": "echo", "next": null }], "next": "count" },
        { "id": "count", "operation": "echo", "input": "length(previous)", "next": null }]);
    let list: Vec<String> = (0..100).map(|_| "x".repeat(1000)).collect();
    let execution = bed.run(steps, json!(list)).await;
    assert_eq!(execution.output, Some(json!(100)));
    let events = bed.executor.history(&execution.id, 0, 1000).await.unwrap().items;
    assert_eq!(events.iter().filter(|event| event.path == "each").count(), 0);
    assert_eq!(events.len(), 2 * 100 + 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_than_may_run_at_once() {
    let bed = Bed::with(EmbeddedConfig { max_running: 1, ..config("a") }).await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "s", "operation": "slow", "next": null }] })).await;
    let id = bed.start(json!(1)).await;
    assert_eq!(bed.executor.start(start(json!(1))).await.unwrap_err().code, "workflow.overloaded");
    bed.ends(&id).await;
    bed.start(json!(1)).await;
}

#[tokio::test(start_paused = true)]
async fn signals_end_somewhere() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "s", "type": "signal", "signal": "never", "next": null }] })).await;
    let id = bed.start(json!(null)).await;
    for _ in 0..1000 {
        bed.executor.signal(&id, NewSignal::new("other", json!(null))).await.unwrap();
    }
    assert_eq!(bed.executor.signal(&id, NewSignal::new("other", json!(null))).await.unwrap_err().code, "execution.too-many-signals");
}

#[tokio::test(start_paused = true)]
async fn a_paused_execution_can_be_cancelled_and_a_child_goes_with_its_parent() {
    let bed = Bed::new().await;
    put(&*bed.records, json!({ "name": "inner", "steps": [{ "id": "s", "operation": "slow", "next": null }] })).await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "sub", "type": "workflow", "workflow": "inner", "next": null }] })).await;
    let id = bed.start(json!(1)).await;
    while bed.sink.operations().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bed.executor.command(&id, Wanted::Pause).await.unwrap();
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
    let all = bed.executor.list(&Default::default(), breakwater_workflow::Range { skip: 0, take: 10 }).await.unwrap();
    assert_eq!(all.total, 2);
    assert!(all.items.iter().all(|execution| execution.status == ExecutionStatus::Cancelled), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_leaves_no_execution_behind_that_nobody_runs() {
    let bed = Bed::new().await;
    bed.put(json!({ "name": "w", "steps": [{ "id": "one", "operation": "add", "next": null }] })).await;
    {
        let starting = bed.executor.start(start(json!(1)));
        tokio::pin!(starting);
        // Polled once, and dropped before it has answered.
        assert!(futures_util::poll!(starting.as_mut()).is_pending());
    }
    loop {
        let all = bed.executor.list(&Default::default(), breakwater_workflow::Range { skip: 0, take: 10 }).await.unwrap();
        if all.items.first().is_some_and(|execution| execution.status == ExecutionStatus::Completed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
