//! Pausing, resuming, retrying.

use std::time::{Duration, Instant};

use breakwater_workflow::{ExecutionStatus, NewSignal, Wanted};
use serde_json::{Value, json};

use super::bed::{Bed, call, eventually};

/// A step that is tried once only.
fn once(id: &str, operation: &str) -> Value {
    json!({ "id": id, "operation": operation, "retry": { "max_retries": 0 }, "next": null })
}

pub(crate) async fn begins_nothing_while_it_is_paused(bed: &Bed) {
    bed.steps(json!([call("hold", "gate.x", Some("one")), call("one", "add", None)])).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    bed.is(&id, ExecutionStatus::Running).await;
    assert_eq!(bed.executor.command(&id, Wanted::Pause).await.unwrap().status, ExecutionStatus::Paused);
    assert_eq!(bed.executor.command(&id, Wanted::Pause).await.unwrap().status, ExecutionStatus::Paused, "twice is no failure");
    assert_eq!(bed.executor.command(&id, Wanted::Retry).await.unwrap_err().code, "execution.state");
    bed.sink.open("gate.x");
    eventually("what had begun has ended", async || bed.story(&id).await.contains(&"hold completed".to_owned())).await;
    let still = bed.executor.wait(&id, Duration::from_millis(700)).await.unwrap();
    assert_eq!(still.status, ExecutionStatus::Paused);
    assert_eq!(bed.sink.operations(), ["gate.x"], "nothing else began");
    assert_ne!(bed.executor.command(&id, Wanted::Resume).await.unwrap().status, ExecutionStatus::Paused);
    assert_eq!(bed.ends(&id).await.output, Some(json!(2)));
    let story = ["hold started", " paused", "hold completed", " resumed", "one started", "one completed"];
    assert_eq!(bed.story(&id).await, story);
}

pub(crate) async fn goes_on_from_what_failed(bed: &Bed) {
    bed.sink.fail("two", 2);
    let steps = json!([call("one", "add", Some("two")), once("two", "two")]);
    let execution = bed.run(steps, json!(1)).await;
    let id = execution.id;
    for _ in 0..2 {
        // So that it does not end twice in one millisecond, which could not be told from not having gone on.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        bed.executor.command(&id, Wanted::Retry).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(4), "also when it fails again at once");
        bed.ends(&id).await;
    }
    let ended = bed.ends(&id).await;
    assert_eq!((ended.status, ended.error, ended.output), (ExecutionStatus::Completed, None, Some(json!({ "by": "two", "got": 2 }))));
    assert_eq!((ended.created_at_ms, ended.started_at_ms), (execution.created_at_ms, execution.started_at_ms));
    assert_eq!(bed.sink.operations(), ["add", "two", "two", "two"], "the first step is not done again");
    assert_eq!(bed.sink.keys(), ["one", "two", "two", "two"]);
    let failed = ["two started", "two failed", " retried"];
    let story = [&["one started", "one completed"][..], &failed, &failed, &["two started", "two completed"]].concat();
    assert_eq!(bed.story(&id).await, story);
}

pub(crate) async fn does_again_what_was_undone(bed: &Bed) {
    bed.sink.fail("charge", 1);
    let steps = json!([
        call("look", "read", Some("reserve")),
        { "id": "reserve", "operation": "book", "compensate": { "operation": "release" }, "next": "charge" },
        once("charge", "charge"),
    ]);
    let execution = bed.run(steps, json!(1)).await;
    assert_eq!(execution.status, ExecutionStatus::Failed);
    bed.executor.command(&execution.id, Wanted::Retry).await.unwrap();
    assert_eq!(bed.ends(&execution.id).await.status, ExecutionStatus::Completed);
    assert_eq!(bed.sink.operations(), ["read", "book", "charge", "release", "book", "charge"]);
    assert_eq!(bed.sink.keys(), ["look", "reserve", "charge", "reserve~undo", "reserve@1", "charge"]);
}

pub(crate) async fn refuses_what_its_state_forbids(bed: &Bed) {
    let all = [Wanted::Pause, Wanted::Resume, Wanted::Cancel, Wanted::Retry];
    let refuses = async |id: &str, forbidden: &[Wanted]| {
        for wanted in all.into_iter().filter(|wanted| forbidden.contains(wanted)) {
            let failure = bed.executor.command(id, wanted).await.unwrap_err();
            assert_eq!(&*failure.code, "execution.state", "{wanted:?}");
            let status = bed.executor.get(id).await.unwrap().status;
            assert_eq!(failure.detail.unwrap(), json!({ "status": status.name() }));
        }
    };
    let completed = bed.run(json!([call("one", "add", None)]), json!(1)).await;
    refuses(&completed.id, &all).await;
    let failed = bed.run(json!([call("one", "bad", None)]), json!(1)).await;
    refuses(&failed.id, &[Wanted::Pause, Wanted::Resume, Wanted::Cancel]).await;
    bed.steps(json!([{ "id": "s", "type": "signal", "signal": "go", "next": null }])).await;
    let id = bed.start(json!(1)).await;
    bed.is_at(&id, &["s"]).await;
    bed.is(&id, ExecutionStatus::Running).await;
    assert_eq!(
        bed.executor.command(&id, Wanted::Resume).await.unwrap().status,
        ExecutionStatus::Running,
        "what it is already is no failure"
    );
    bed.executor.command(&id, Wanted::Cancel).await.unwrap();
    assert_eq!(bed.ends(&id).await.status, ExecutionStatus::Cancelled);
    assert_eq!(bed.executor.command(&id, Wanted::Cancel).await.unwrap().status, ExecutionStatus::Cancelled);
    refuses(&id, &[Wanted::Pause, Wanted::Resume, Wanted::Retry]).await;
    assert_eq!(bed.executor.signal(&id, NewSignal::new("go", json!(1))).await.unwrap_err().code, "execution.state");
}
