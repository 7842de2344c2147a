//! The service is killed with -9 at every point of a workflow, and goes on.

use std::time::Duration;

use breakwater_tests::service::Service;
use breakwater_tests::upstream::{Behaviour, FakeUpstream};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually};
use crate::workflow_bed::{Bed, any_action, effects};

/// How long each effect takes.
const EFFECT: Duration = Duration::from_millis(30);

fn ten_steps() -> Value {
    let steps: Vec<Value> = (0..10)
        .map(|i| {
            let next = if i < 9 { json!(format!("step-{}", i + 1)) } else { Value::Null };
            json!({ "id": format!("step-{i}"), "service": "sink", "action": "commit", "next": next })
        })
        .collect();
    json!({ "name": "ten", "steps": steps })
}

fn kill(service: Service) {
    service.signal(Signal::KILL).unwrap();
    service.wait(Duration::from_secs(10)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_of_ten_steps_every_effect_is_committed_once_and_no_execution_is_lost() {
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    sink.behave(Behaviour::AnswersAfter(EFFECT), 100);
    let home = tempfile::tempdir().unwrap();
    let mut bed = Bed::at(home.path());
    bed.register("sink", &sink.base(), json!([any_action("commit")])).await;
    bed.create(&ten_steps()).await;
    // Before the effect has answered, and about when its result is written.
    for (point, wait) in (1..=10).flat_map(|point| [(point, Duration::ZERO), (point, EFFECT)]) {
        let before = effects(&sink).len();
        let id = bed.begin("ten", json!({})).await;
        eventually("the step is under way", async || (effects(&sink).len() >= before + point).then_some(())).await;
        tokio::time::sleep(wait).await;
        kill(bed.service);
        bed = Bed::at(home.path());
        let execution = bed.until(&id, "COMPLETED").await;
        assert_eq!(execution["output"], json!({ "done": true }));
        let committed: Vec<(String, usize)> = effects(&sink).into_iter().filter(|(key, _)| key.starts_with(&id)).collect();
        assert_eq!(committed.len(), 10, "killed at step {point}: {committed:?}");
        let asked: usize = committed.iter().map(|(_, times)| times).sum();
        assert!(asked <= 11, "only the step under way is asked for again: {committed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_and_signals_outlive_the_process() {
    let home = tempfile::tempdir().unwrap();
    let bed = Bed::at(home.path());
    bed.create(&json!({ "name": "waits", "steps": [
        { "id": "nap", "type": "timer", "wait_ms": 1500, "next": "go" },
        { "id": "go", "type": "signal", "signal": "go", "next": null },
    ] }))
    .await;
    let id = bed.begin("waits", json!(1)).await;
    bed.until(&id, "RUNNING").await;
    let path = format!("/api/executions/{id}/signals/go");
    let signal = async |bed: &Bed, by: &str| {
        let request = bed.client.request(Method::POST, &path).header("idempotency-key", "approval").json(&json!({ "by": by }));
        bed.client.send(request).await.unwrap()
    };
    let early = signal(&bed, "me").await;
    assert_eq!(early.status, 202, "{}", early.beginning());
    let paused = bed.begin("waits", json!(2)).await;
    assert_eq!(bed.order(&paused, "pause").await.json().unwrap()["status"], "PAUSED");
    kill(bed.service);
    let bed = Bed::at(home.path());
    let execution = bed.until(&id, "COMPLETED").await;
    assert_eq!(execution["output"], json!({ "by": "me" }));
    let took = execution["completed_at_ms"].as_u64().unwrap() - execution["created_at_ms"].as_u64().unwrap();
    assert!(took >= 1500, "{took}");
    // Whoever was not answered may ask again.
    assert_eq!(signal(&bed, "me").await.status, 202);
    assert_problem(&signal(&bed, "you").await, 409, "execution.key-reused");
    // What was paused stays so, until somebody wants it to go on.
    assert_eq!(bed.execution(&paused).await["status"], "PAUSED");
    assert_eq!(bed.order(&paused, "resume").await.json().unwrap()["status"], "RUNNING");
    assert_eq!(bed.order(&paused, "cancel").await.json().unwrap()["status"], "CANCELLED");
}
