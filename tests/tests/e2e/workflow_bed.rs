//! A service with workflows, and services in this process whose calls can be counted.

use std::collections::BTreeMap;
use std::path::Path;

use breakwater_tests::client::{Answer, Client};
use breakwater_tests::service::{Launch, Service};
use breakwater_tests::upstream::FakeUpstream;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{eventually, ok, start};

/// A running service and its data.
pub(crate) struct Bed {
    pub(crate) service: Service,
    pub(crate) client: Client,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let (service, client) = start(Launch::without_plugins());
        Self { service, client }
    }

    /// With data below `home`, which stay.
    pub(crate) fn at(home: &Path) -> Self {
        let (service, client) = start(Launch::without_plugins().at(home));
        Self { service, client }
    }

    pub(crate) async fn register(&self, name: &str, endpoint: &str, actions: Value) -> Value {
        let answer = self.client.post("/api/services", &json!({ "name": name, "endpoint": endpoint, "actions": actions })).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.beginning());
        answer.json().unwrap()
    }

    pub(crate) async fn create(&self, definition: &Value) -> Value {
        let answer = self.client.post("/api/workflows", definition).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.beginning());
        answer.json().unwrap()
    }

    pub(crate) async fn execute(&self, workflow: &str, body: &Value) -> Answer {
        self.client.post(&format!("/api/workflows/{workflow}/execute"), body).await.unwrap()
    }

    /// Starts an execution without waiting for it.
    pub(crate) async fn begin(&self, workflow: &str, input: Value) -> String {
        let answer = self.execute(workflow, &json!({ "input_data": input, "wait": false })).await;
        assert_eq!(answer.status, 202, "{}", answer.beginning());
        answer.header("x-execution-id").to_owned()
    }

    pub(crate) async fn execution(&self, id: &str) -> Value {
        ok(&self.client.get(&format!("/api/executions/{id}")).await.unwrap())
    }

    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        eventually(status, async || {
            let execution = self.execution(id).await;
            let now = execution["status"].as_str().unwrap().to_owned();
            assert!(now == status || !["COMPLETED", "FAILED", "CANCELLED"].contains(&now.as_str()), "{execution}");
            (now == status).then_some(execution)
        })
        .await
    }

    pub(crate) async fn order(&self, id: &str, order: &str) -> Answer {
        self.client.send(self.client.request(Method::POST, &format!("/api/executions/{id}/{order}"))).await.unwrap()
    }
}

/// How often each effect was asked for, by its idempotency key; health checks have none.
pub(crate) fn effects(upstream: &FakeUpstream) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for request in upstream.seen() {
        let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned));
        if let Some(key) = key {
            *effects.entry(key).or_default() += 1;
        }
    }
    effects
}

/// An action that takes and gives any object.
pub(crate) fn any_action(name: &str) -> Value {
    json!({ "name": name, "input_schema": { "type": "object" }, "output_schema": { "type": "object" } })
}
