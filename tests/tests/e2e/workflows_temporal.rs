//! Workflows on a Temporal cluster, chosen by one line.

use std::time::Duration;

use breakwater_tests::postgres::{PostgresServer, Setup};
use breakwater_tests::service::Launch;
use breakwater_tests::temporal::TemporalServer;
use breakwater_tests::upstream::{Behaviour, FakeUpstream};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::batches::{begin, ended, options, pictures};
use crate::support::{eventually, ok, start};
use crate::workflow_bed::{Bed, any_action, effects};

/// Executions that run when one process is killed.
const EXECUTIONS: usize = 5;

fn bed(launch: Launch, temporal: &TemporalServer, more: &str) -> Bed {
    let config = format!("[workflow]\nexecutor = \"temporal\"\ntemporal_url = \"{}\"\n{more}", temporal.url());
    let (service, client) = start(launch.config(&config));
    Bed { service, client }
}

fn chain(count: usize) -> Vec<Value> {
    let next = |i: usize| if i + 1 < count { json!(format!("s{}", i + 1)) } else { Value::Null };
    (0..count).map(|i| json!({ "id": format!("s{i}"), "service": "sink", "action": "commit", "next": next(i) })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_are_the_same_and_a_batch_stays_here() {
    let Some(temporal) = TemporalServer::start().unwrap() else { return };
    let bed = bed(Launch::with_plugins().unwrap(), &temporal, "");
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    bed.register("sink", &sink.base(), json!([any_action("commit")])).await;
    bed.create(&json!({ "name": "two", "steps": chain(2) })).await;

    let answer = bed.execute("two", &json!({ "input_data": { "a": 1 }, "context": { "project_id": "456" }, "idempotency_key": "k" })).await;
    assert_eq!((answer.status, answer.json().unwrap()), (200, json!({ "done": true })), "{}", answer.beginning());
    let id = answer.header("x-execution-id").to_owned();
    let execution = bed.execution(&id).await;
    assert_eq!(
        (&execution["status"], &execution["input"], &execution["output"]),
        (&json!("COMPLETED"), &json!({ "a": 1 }), &json!({ "done": true }))
    );
    assert_eq!((&execution["context"]["project_id"], &execution["workflow_name"]), (&json!("456"), &json!("two")));
    assert!(
        execution["started_at_ms"].as_u64() >= execution["created_at_ms"].as_u64() && execution["completed_at_ms"].is_u64(),
        "{execution}"
    );
    let history = ok(&bed.client.get(&format!("/api/executions/{id}/history")).await.unwrap());
    let happened: Vec<String> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} {} {}", event["seq"], event["path"].as_str().unwrap(), event["type"].as_str().unwrap()))
        .collect();
    assert_eq!(happened, ["1 s0 started", "2 s0 completed", "3 s1 started", "4 s1 completed"]);
    assert_eq!(effects(&sink).into_keys().collect::<Vec<_>>(), [format!("{id}:s0"), format!("{id}:s1")]);

    // Under its key it is there already, and another input is refused.
    let again = bed.execute("two", &json!({ "input_data": { "a": 1 }, "idempotency_key": "k" })).await;
    assert_eq!((again.status, again.header("x-execution-id")), (200, &*id), "{}", again.beginning());
    let other = bed.execute("two", &json!({ "input_data": { "a": 2 }, "idempotency_key": "k" })).await;
    assert_eq!(other.json().unwrap()["code"], "execution.key-reused");

    // What failed goes on where it failed.
    sink.behave(Behaviour::Status(400), 100);
    let failed = bed.execute("two", &json!({ "input_data": {} })).await;
    assert!(failed.status >= 400, "{}", failed.beginning());
    sink.behave(Behaviour::Answers, 100);
    let failed = failed.header("x-execution-id").to_owned();
    let error = &bed.execution(&failed).await["error"];
    assert_eq!(error["step"], "s0", "{error}");
    assert_eq!(ok(&bed.order(&failed, "retry").await)["status"], "RUNNING");
    assert_eq!(bed.until(&failed, "COMPLETED").await["output"], json!({ "done": true }));

    let listed = ok(&bed.client.get("/api/executions?status=COMPLETED&per_page=1").await.unwrap());
    eventually("both are listed", async || {
        let listed = ok(&bed.client.get("/api/executions?workflow_id=two&status=COMPLETED").await.unwrap());
        (listed["total"] == 2).then_some(())
    })
    .await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let unknown = bed.client.get("/api/executions/nothing").await.unwrap();
    assert_eq!((unknown.status, &unknown.json().unwrap()["code"]), (404, &json!("execution.unknown")));

    // A batch reads and writes this machine's files.
    let names = pictures(&bed.service.media_root(), 3);
    let images: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
    let batch = begin(&bed.client, json!({ "images": images, "processing_options": options() })).await;
    let batch = ended(&bed.client, &batch).await;
    assert_eq!((&batch["status"], &batch["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(3)), "{batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_is_killed_and_the_other_does_its_work() {
    let Some(temporal) = TemporalServer::start().unwrap() else { return };
    let Some(postgres) = PostgresServer::start(Setup::default()).unwrap() else { return };
    let shared = format!("records = \"postgres\"\npostgres_url = \"{}\"\n", postgres.url());
    let node = || bed(Launch::without_plugins(), &temporal, &shared);
    let (one, two) = (node(), node());
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    sink.behave(Behaviour::AnswersAfter(Duration::from_millis(50)), 100);
    one.register("sink", &sink.base(), json!([any_action("commit")])).await;
    eventually("the other process knows the service", async || {
        (two.client.get("/api/services/sink").await.unwrap().status == 200).then_some(())
    })
    .await;
    two.create(&json!({ "name": "ten", "steps": chain(10) })).await;

    let mut ids = Vec::new();
    for _ in 0..EXECUTIONS {
        ids.push(one.begin("ten", json!({})).await);
    }
    eventually("a third of the work is done", async || (effects(&sink).len() >= EXECUTIONS * 3).then_some(())).await;
    one.service.signal(Signal::KILL).unwrap();
    one.service.wait(Duration::from_secs(10)).unwrap();
    for id in &ids {
        assert_eq!(two.until(id, "COMPLETED").await["output"], json!({ "done": true }));
    }
    let committed = effects(&sink);
    assert_eq!(committed.len(), EXECUTIONS * 10, "every effect is there once, by its key");
    let again = committed.values().filter(|times| **times > 1).count();
    assert!(again <= EXECUTIONS, "only what was under way is asked for again: {again}");
}

#[test]
fn a_cluster_that_is_not_there_is_told_at_the_start() {
    let config = "[workflow]\nexecutor = \"temporal\"\ntemporal_url = \"http://127.0.0.1:1\"\n";
    let error = Launch::without_plugins().config(config).start().err().expect("it does not start").to_string();
    assert!(error.contains("the Temporal cluster cannot be reached") && error.contains("workflow.temporal_url"), "{error}");
}
