//! An executor whose operations the test writes, and a sink that counts effects by their keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{BoxFuture, CallSnapshot, Failure, FailureKind, OperationEffect};
use breakwater_workflow::{
    Clock, Definition, EmbeddedConfig, EmbeddedExecutor, Execution, Executor, MemoryWorkflowRecords, Start, StepAnswer, StepCall,
    StepOperation, StepRunner, Workflow, WorkflowRecords, WorkflowStatus,
};
use serde_json::{Value, json};

/// What the fake operations saw.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    calls: Mutex<Vec<(String, String, Value)>>,
    attempts: Mutex<Vec<u32>>,
    failures: Mutex<HashMap<String, u32>>,
}

impl Sink {
    /// Operation, idempotency key and input of each call.
    pub(crate) fn calls(&self) -> Vec<(String, String, Value)> {
        self.calls.lock().unwrap().clone()
    }

    /// Which attempt each call was.
    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|(operation, ..)| operation).collect()
    }

    /// How many effects there were at something that knows their keys.
    pub(crate) fn effects(&self) -> BTreeMap<String, usize> {
        let mut effects = BTreeMap::new();
        for (_, key, _) in self.calls() {
            effects.insert(key, 1);
        }
        effects
    }

    /// The next calls of an operation fail.
    pub(crate) fn fail(&self, operation: &str, times: u32) {
        self.failures.lock().unwrap().insert(operation.to_owned(), times);
    }
}

/// Operations by their first word: `add` adds 1 to a number, `echo` answers its input, `slow` takes an hour, `bad` is refused, everything
/// else answers `{by: operation, got: input}`.
pub(crate) struct Operations(pub(crate) Arc<Sink>);

impl StepRunner for Operations {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        let effect = if name.starts_with("read") { OperationEffect::Read } else { OperationEffect::Create };
        (!name.starts_with("missing")).then(|| StepOperation {
            input_schema: json!({}),
            output_schema: json!({}),
            effect,
            idempotent: false,
        })
    }

    fn has_service(&self, name: &str) -> bool {
        !name.starts_with("missing")
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), Failure> {
        let wanted = schema["required"][0].as_str().unwrap_or_default();
        if wanted.is_empty() || value.get(wanted).is_some() { Ok(()) } else { Err(Failure::invalid("x", format!("{wanted} is missing"))) }
    }

    fn snapshot(&self) -> CallSnapshot {
        CallSnapshot::default()
    }

    fn call<'a>(&'a self, call: StepCall<'a>) -> BoxFuture<'a, Result<StepAnswer, Failure>> {
        Box::pin(async move {
            let StepCall { operation, input, idempotency_key, timeout, attempt, .. } = call;
            self.0.attempts.lock().unwrap().push(attempt);
            self.0.calls.lock().unwrap().push((operation.to_owned(), idempotency_key.to_owned(), input.clone()));
            if let Some(left) = self.0.failures.lock().unwrap().get_mut(operation).filter(|left| **left > 0) {
                *left -= 1;
                return Err(Failure::new(FailureKind::Unavailable, "upstream.connection", "not there"));
            }
            let output = match operation.split('.').next().unwrap_or_default() {
                "add" => json!(input.as_i64().unwrap_or_default() + 1),
                "echo" => input,
                "bad" => return Err(Failure::invalid("operation.input-invalid", "wrong")),
                "slow" => {
                    let hour = Duration::from_secs(3600);
                    match tokio::time::timeout(timeout.unwrap_or(Duration::MAX), tokio::time::sleep(hour)).await {
                        Ok(()) => json!("slow"),
                        Err(_) => return Err(Failure::new(FailureKind::Timeout, "call.deadline", "late")),
                    }
                }
                _ => json!({ "by": operation, "got": input }),
            };
            Ok(StepAnswer { output, served_by: None, degraded: false })
        })
    }
}

pub(crate) struct Bed {
    pub(crate) records: Arc<MemoryWorkflowRecords>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) executor: EmbeddedExecutor,
}

pub(crate) fn config(node: &str) -> EmbeddedConfig {
    EmbeddedConfig { node: node.to_owned(), clock: Clock::beginning_at(1_000_000), ..EmbeddedConfig::default() }
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::with(config("a")).await
    }

    pub(crate) async fn with(config: EmbeddedConfig) -> Self {
        let (records, sink) = (Arc::new(MemoryWorkflowRecords::default()), Arc::<Sink>::default());
        let executor = EmbeddedExecutor::start(config, records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
        Self { records, sink, executor }
    }

    /// Stores a workflow `w`.
    pub(crate) async fn put(&self, definition: Value) {
        put(&*self.records, definition).await;
    }

    pub(crate) async fn start(&self, input: Value) -> String {
        self.executor.start(start(input)).await.unwrap().execution.id
    }

    pub(crate) async fn ends(&self, id: &str) -> Execution {
        let execution = self.executor.wait(id, Duration::from_secs(10_000_000)).await.unwrap();
        assert!(execution.status.is_final(), "{execution:?}");
        execution
    }

    /// Runs `steps` with `input` to their end.
    pub(crate) async fn run(&self, steps: Value, input: Value) -> Execution {
        self.put(json!({ "name": "w", "steps": steps })).await;
        let id = self.start(input).await;
        self.ends(&id).await
    }
}

pub(crate) fn start(input: Value) -> Start {
    Start { workflow: "w".to_owned(), input, ..Start::default() }
}

pub(crate) async fn put(records: &dyn WorkflowRecords, definition: Value) {
    let definition: Definition = serde_json::from_value(definition).unwrap();
    let version = records.workflow(&definition.name, None).await.unwrap().map_or(1, |known| known.version + 1);
    let id = format!("id-{}", definition.name);
    let workflow = Workflow { id, version, status: WorkflowStatus::Active, definition, created_at_ms: 1, updated_at_ms: 1 };
    records.put_workflow(&workflow).await.unwrap();
}
