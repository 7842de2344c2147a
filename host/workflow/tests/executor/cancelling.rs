//! Ending what runs, waits, or is paused.

use breakwater_workflow::{ExecutionStatus, Happened, Wanted};
use serde_json::{Value, json};

use super::bed::{Bed, call, eventually};

pub(crate) async fn takes_no_notice_of_what_still_answers(bed: &Bed) {
    let steps = json!([
        { "id": "room", "operation": "book", "compensate": { "operation": "cancel" }, "next": "hold" },
        call("hold", "gate.x", Some("never")),
        call("never", "add", None),
    ]);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    let cancelled = bed.executor.command(&id, Wanted::Cancel).await.unwrap();
    assert_eq!((cancelled.status, cancelled.error.unwrap().code.as_str()), (ExecutionStatus::Cancelled, "execution.cancelled"));
    bed.sink.called("cancel", 1).await;
    eventually("the call is dropped", async || bed.sink.dropped() == ["gate.x"]).await;
    bed.sink.open("gate.x");
    assert_eq!(bed.ends(&id).await.output, None);
    assert_eq!(bed.sink.operations(), ["book", "gate.x", "cancel"]);
    let story = [
        "room started",
        "room completed",
        "hold started",
        " cancel-requested",
        "hold attempt-failed",
        "room~undo started",
        "room~undo completed",
    ];
    assert_eq!(bed.story(&id).await, story);
    let abandoned = bed.history(&id).await.iter().find_map(|event| match &event.what {
        Happened::AttemptFailed { error, .. } => Some(error.code.clone()),
        _ => None,
    });
    assert_eq!(abandoned.as_deref(), Some("workflow.attempt-abandoned"));
}

/// Starts `steps` with 7, and cancels them before `gate`, the operation of the first one, answers.
async fn cancelled_within(bed: &Bed, steps: Value, gate: &str) -> String {
    bed.steps(steps).await;
    let id = bed.start(json!(7)).await;
    bed.sink.called(gate, 1).await;
    let cancelling = bed.executor.command(&id, Wanted::Cancel);
    let opening = async {
        eventually("it is to end", async || bed.story(&id).await.contains(&" cancel-requested".to_owned())).await;
        bed.sink.open(gate);
    };
    let (cancelled, ()) = tokio::join!(cancelling, opening);
    assert_eq!(cancelled.unwrap().status, ExecutionStatus::Cancelled);
    id
}

pub(crate) async fn undoes_what_ends_after_it(bed: &Bed) {
    // The last step too: what was asked for before it ended counts.
    let steps = json!([{ "id": "room", "operation": "gate.room", "compensate": { "operation": "cancel", "input": "steps.room" } }]);
    let id = cancelled_within(bed, steps, "gate.room").await;
    assert_eq!(bed.sink.operations(), ["gate.room", "cancel"]);
    assert_eq!(bed.sink.of("cancel")[0].input, json!(7));
    let story = ["room started", " cancel-requested", "room completed", "room~undo started", "room~undo completed"];
    assert_eq!(bed.story(&id).await, story);
}

pub(crate) async fn undoes_nothing_that_failed_after_it(bed: &Bed) {
    let steps = json!([{ "id": "room", "operation": "gate.broken", "compensate": { "operation": "cancel" }, "fallback": { "output": 0 } }]);
    bed.sink.fail("gate.broken", 1);
    let id = cancelled_within(bed, steps, "gate.broken").await;
    assert_eq!(bed.story(&id).await, ["room started", " cancel-requested", "room attempt-failed"]);
    assert_eq!(bed.sink.operations(), ["gate.broken"]);
}

pub(crate) async fn cancels_what_is_paused(bed: &Bed) {
    let steps = json!([{ "id": "room", "operation": "book", "compensate": { "operation": "cancel" }, "next": "hold" },
        call("hold", "gate.x", Some("never")), call("never", "add", None)]);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    assert_eq!(bed.executor.command(&id, Wanted::Pause).await.unwrap().status, ExecutionStatus::Paused);
    bed.sink.open("gate.x");
    eventually("what had begun has ended", async || bed.story(&id).await.contains(&"hold completed".to_owned())).await;
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
    assert_eq!(bed.sink.operations(), ["book", "gate.x", "cancel"]);
}

pub(crate) async fn cancels_what_waits(bed: &Bed) {
    let steps = json!([{ "id": "fan", "type": "parallel", "branches": {
        "retries": [{ "id": "r", "operation": "broken", "retry": { "max_retries": 5, "base_ms": 1_000_000_000 }, "next": null }],
        "sleeps": [{ "id": "t", "type": "timer", "wait_ms": 1_000_000_000_u64, "next": null }],
        "waits": [{ "id": "s", "type": "signal", "signal": "go", "next": null }],
    }, "next": null }]);
    bed.sink.fail("broken", 100);
    bed.steps(steps).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["fan/retries/r", "fan/sleeps/t", "fan/waits/s"]).await;
    eventually("an attempt has failed", async || bed.story(&id).await.contains(&"fan/retries/r attempt-failed".to_owned())).await;
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
    assert_eq!(bed.story(&id).await.last().map(String::as_str), Some(" cancel-requested"));
    assert!(bed.executor.current_steps(&id).is_empty());
}
