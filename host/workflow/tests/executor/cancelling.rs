//! Ending what runs, waits, or is paused.

use breakwater_workflow::{ExecutionStatus, Wanted};
use serde_json::json;

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
    let story = ["room started", "room completed", "hold started", " cancel-requested", "room~undo started", "room~undo completed"];
    assert_eq!(bed.story(&id).await, story);
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
