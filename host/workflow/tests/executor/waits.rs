//! Signals and timers.

use std::time::{SystemTime, UNIX_EPOCH};

use breakwater_workflow::{ExecutionStatus, Happened, NewSignal};
use serde_json::{Value, json};

use super::bed::{Bed, call};

fn two_signals() -> Value {
    json!([
        { "id": "first", "type": "signal", "signal": "go", "next": "second" },
        { "id": "second", "type": "signal", "signal": "go", "next": "both" },
        { "id": "both", "operation": "echo", "input": "[steps.first, steps.second]", "next": null },
    ])
}

pub(crate) async fn takes_each_signal_once(bed: &Bed) {
    let mut steps = two_signals();
    steps.as_array_mut().unwrap().insert(0, call("hold", "gate.x", Some("first")));
    bed.steps(steps).await;
    let id = bed.start(json!(null)).await;
    bed.sink.called("gate.x", 1).await;
    for (name, payload) in [("other", json!(0)), ("go", json!(1)), ("go", json!(2)), ("go", json!(3))] {
        bed.executor.signal(&id, NewSignal::new(name, payload)).await.unwrap();
    }
    bed.sink.open("gate.x");
    assert_eq!(bed.ends(&id).await.output, Some(json!([1, 2])), "those that came before anybody waited are kept, in order");
    let taken: Vec<u64> = bed
        .history(&id)
        .await
        .iter()
        .filter_map(|event| match &event.what {
            Happened::Completed { signal, .. } => *signal,
            _ => None,
        })
        .collect();
    assert_eq!(taken, [2, 3]);
    assert_eq!(bed.executor.signal(&id, NewSignal::new("go", json!(3))).await.unwrap_err().code, "execution.state");
}

pub(crate) async fn takes_a_signal_that_comes_later(bed: &Bed) {
    bed.steps(two_signals()).await;
    let id = bed.start(json!(null)).await;
    bed.is_at(&id, &["first"]).await;
    bed.executor.signal(&id, NewSignal::new("go", json!({ "n": 1 }))).await.unwrap();
    bed.is_at(&id, &["second"]).await;
    bed.executor.signal(&id, NewSignal::new("not", json!(null))).await.unwrap();
    bed.executor.signal(&id, NewSignal::new("go", json!("x"))).await.unwrap();
    assert_eq!(bed.ends(&id).await.output, Some(json!([{ "n": 1 }, "x"])));
    let expected = ["first started", "first completed", "second started", "second completed", "both started", "both completed"];
    assert_eq!(bed.story(&id).await, expected);
}

pub(crate) async fn takes_a_signal_once_however_often_it_is_sent(bed: &Bed) {
    bed.steps(two_signals()).await;
    let id = bed.start(json!(null)).await;
    let first = || NewSignal::new("go", json!(1)).with_key("first");
    for _ in 0..3 {
        bed.executor.signal(&id, first()).await.unwrap();
    }
    bed.is_at(&id, &["second"]).await;
    bed.executor.signal(&id, first()).await.unwrap();
    let other = NewSignal::new("go", json!(2)).with_key("first");
    assert_eq!(bed.executor.signal(&id, other).await.unwrap_err().code, "execution.key-reused");
    let second = || NewSignal::new("go", json!(1)).with_key("second");
    bed.executor.signal(&id, second()).await.unwrap();
    assert_eq!(bed.ends(&id).await.output, Some(json!([1, 1])));
    bed.executor.signal(&id, second()).await.unwrap();
    let code = async |key: &str| bed.executor.signal(&id, second().with_key(key)).await.unwrap_err().code.into_owned();
    assert_eq!(code("third").await, "execution.state");
    assert_eq!(code(&"k".repeat(256)).await, "execution.key-invalid");
}

pub(crate) async fn waits_for_a_signal_only_so_long(bed: &Bed) {
    let steps = json!([{ "id": "s", "type": "signal", "signal": "go", "timeout_ms": 1000, "next": null }]);
    let execution = bed.run(steps, json!(null)).await;
    let error = execution.error.unwrap();
    assert_eq!((error.code.as_str(), error.step.as_deref()), ("workflow.signal-timeout", Some("s")));
    assert!(execution.completed_at_ms.unwrap() - execution.created_at_ms >= 1000);
}

pub(crate) async fn keeps_signals_within_bounds(bed: &Bed) {
    bed.steps(json!([{ "id": "s", "type": "signal", "signal": "never", "next": null }])).await;
    let id = bed.start(json!(null)).await;
    let code =
        async |name: &str, payload: Value| bed.executor.signal(&id, NewSignal::new(name, payload)).await.unwrap_err().code.into_owned();
    assert_eq!(code("other", json!("x".repeat(256 << 10))).await, "execution.signal-too-large");
    assert_eq!(code("", json!(null)).await, "execution.signal-invalid");
    assert_eq!(code(&"n".repeat(129), json!(null)).await, "execution.signal-invalid");
    assert_eq!(code("a\nb", json!(null)).await, "execution.signal-invalid");
    bed.executor.signal(&id, NewSignal::new("n".repeat(128), json!("x".repeat(200_000)))).await.unwrap();
}

pub(crate) async fn waits_for_a_time(bed: &Bed) {
    let steps = json!([{ "id": "t", "type": "timer", "wait_ms": 1200, "next": "u" },
        { "id": "u", "type": "timer", "until": "input.until", "next": "v" }, { "id": "v", "type": "timer", "wait_ms": 0, "next": null }]);
    let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let execution = bed.run(steps, json!({ "until": now_ms + 2500 })).await;
    assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, Some(json!({ "until": now_ms + 2500 }))));
    let history = bed.history(&execution.id).await;
    for (timer, due) in [(&history[0..2], None), (&history[2..4], Some(now_ms + 2500))] {
        let Happened::Started { due_at_ms: Some(due_at_ms), .. } = timer[0].what else { panic!("{timer:?}") };
        assert!(due_at_ms == due.unwrap_or(timer[0].at_ms + 1200) && timer[1].at_ms >= due_at_ms, "{history:?}");
    }
}

pub(crate) async fn refuses_a_time_that_is_none(bed: &Bed) {
    let steps = json!([{ "id": "t", "type": "timer", "until": "'soon'", "next": null }]);
    assert_eq!(bed.error(steps, json!(3)).await, ("workflow.timer-invalid".to_owned(), Some("t".to_owned())));
}
