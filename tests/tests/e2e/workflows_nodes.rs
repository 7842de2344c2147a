//! Two processes that share a PostgreSQL: what one leaves, the other goes on with.

use std::time::Duration;

use breakwater_tests::client::Client;
use breakwater_tests::postgres::{PostgresServer, Setup};
use breakwater_tests::service::Launch;
use breakwater_tests::upstream::{Behaviour, FakeUpstream};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{eventually, ok, start};
use crate::workflow_bed::{Bed, any_action, effects};

/// Executions that run when one process is killed.
const EXECUTIONS: usize = 20;

fn node(postgres: &PostgresServer) -> Bed {
    let config = format!("[workflow]\nrecords = \"postgres\"\npostgres_url = \"{}\"\nlease = \"1s\"\npoll = \"50ms\"\n", postgres.url());
    let (service, client) = start(Launch::without_plugins().config(&config));
    Bed { service, client }
}

async fn knows(client: &Client, service: &str) {
    let path = format!("/api/services/{service}");
    eventually("the other process knows the service", async || (client.get(&path).await.unwrap().status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_is_killed_and_the_other_goes_on_with_its_executions() {
    let Some(postgres) = PostgresServer::start(Setup { durable: true, ..Setup::default() }).unwrap() else { return };
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    sink.behave(Behaviour::AnswersAfter(Duration::from_millis(20)), 100);
    let (one, two) = (node(&postgres), node(&postgres));
    one.register("sink", &sink.base(), json!([any_action("commit")])).await;
    knows(&two.client, "sink").await;
    let steps: Vec<Value> = (0..10)
        .map(|i| json!({ "id": format!("s{i}"), "service": "sink", "action": "commit", "next": if i < 9 { json!(format!("s{}", i + 1)) } else { Value::Null } }))
        .collect();
    two.create(&json!({ "name": "ten", "steps": steps })).await;

    let mut ids = Vec::new();
    for _ in 0..EXECUTIONS {
        ids.push(one.begin("ten", json!({})).await);
    }
    // What another process runs can be paused and resumed as well.
    let paused = two.order(&ids[0], "pause").await;
    assert_eq!(ok(&paused)["status"], "PAUSED");
    eventually("a third of the work is done", async || (effects(&sink).len() >= EXECUTIONS * 3).then_some(())).await;
    one.service.signal(Signal::KILL).unwrap();
    one.service.wait(Duration::from_secs(10)).unwrap();

    assert_eq!(two.execution(&ids[0]).await["status"], "PAUSED");
    two.order(&ids[0], "resume").await;
    for id in &ids {
        let execution = two.until(id, "COMPLETED").await;
        assert_eq!(execution["output"], json!({ "done": true }));
    }
    let committed = effects(&sink);
    assert_eq!(committed.len(), EXECUTIONS * 10, "every effect is there once, by its key");
    let again = committed.values().filter(|times| **times > 1).count();
    assert!(again <= EXECUTIONS, "only what was under way is asked for again: {again}");
    let all = ok(&two.client.get("/api/executions?status=COMPLETED").await.unwrap());
    assert_eq!(all["total"], EXECUTIONS);
}
