//! What a test of an executor lies on: operations that it steers, and what they saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{BoxFuture, CallSnapshot, Failure, FailureKind, OperationEffect};
use breakwater_workflow::{
    Definition, Event, Execution, ExecutionStatus, Executor, Happened, MemoryWorkflowRecords, Range, Start, StepAnswer, StepCall,
    StepOperation, StepRunner, Workflow, WorkflowRecords as _, WorkflowStatus,
};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Longer than anything takes that ends at all.
pub(crate) const LONG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// A call as an operation saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) key: String,
    pub(crate) input: Value,
    pub(crate) context: BTreeMap<String, Value>,
    pub(crate) attempt: u32,
}

/// What the operations saw, and what they are told to do.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    calls: Mutex<Vec<Call>>,
    failures: Mutex<HashMap<String, u32>>,
    open: watch::Sender<HashSet<String>>,
    at_work: Mutex<HashMap<String, (usize, usize)>>,
    dropped: Mutex<Vec<String>>,
}

impl Sink {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// The calls of one operation.
    pub(crate) fn of(&self, operation: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.operation == operation).collect()
    }

    /// Its keys without the ids of executions, in the order of the calls.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.key.split_once(':').unwrap().1.to_owned()).collect()
    }

    /// The next calls of an operation fail.
    pub(crate) fn fail(&self, operation: &str, times: u32) {
        self.failures.lock().unwrap().insert(operation.to_owned(), times);
    }

    /// Lets an operation `gate…` answer, now and from now on.
    pub(crate) fn open(&self, operation: &str) {
        self.open.send_modify(|open| {
            open.insert(operation.to_owned());
        });
    }

    /// How many calls of an operation were at work at once, at most.
    pub(crate) fn most_at_once(&self, operation: &str) -> usize {
        self.at_work.lock().unwrap().get(operation).map_or(0, |(_, most)| *most)
    }

    /// Operations whose calls were dropped before they answered.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.dropped.lock().unwrap().clone()
    }

    /// Waits until an operation was called so often.
    pub(crate) async fn called(&self, operation: &str, times: usize) {
        eventually(&format!("{operation} is called {times} times"), async || self.of(operation).len() >= times).await;
    }
}

/// Looks until something holds.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Operations by their first word: `add` adds 1 to a number, `echo` answers its input, `large` so many bytes as its input says, `gate`
/// answers its input once the test opens it, `bad` is refused, `missing` is not there, everything else answers `{by: operation, got: input}`.
/// What begins with `read` only reads.
pub(crate) struct Operations(pub(crate) Arc<Sink>);

/// Counts a call that is at work.
struct AtWork<'a>(&'a Sink, &'a str, bool);

impl<'a> AtWork<'a> {
    fn new(sink: &'a Sink, operation: &'a str) -> Self {
        let mut at_work = sink.at_work.lock().unwrap();
        let (now, most) = at_work.entry(operation.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(sink, operation, false)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.lock().unwrap().get_mut(self.1).unwrap().0 -= 1;
        if !self.2 {
            self.0.dropped.lock().unwrap().push(self.1.to_owned());
        }
    }
}

impl StepRunner for Operations {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        let effect = if name.starts_with("read") { OperationEffect::Read } else { OperationEffect::Create };
        let operation = || StepOperation { input_schema: json!({}), output_schema: json!({}), effect, idempotent: false };
        (!name.starts_with("missing")).then(operation)
    }

    fn has_service(&self, name: &str) -> bool {
        !name.starts_with("missing")
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), Failure> {
        let wanted = schema["required"][0].as_str().unwrap_or_default();
        if wanted.is_empty() || value.get(wanted).is_some() {
            return Ok(());
        }
        let violations = json!({ "violations": [{ "pointer": "", "message": format!("{wanted} is missing") }] });
        Err(Failure::invalid("x", format!("{wanted} is missing")).with_detail(violations))
    }

    fn snapshot(&self) -> CallSnapshot {
        CallSnapshot::default()
    }

    fn call<'a>(&'a self, call: StepCall<'a>) -> BoxFuture<'a, Result<StepAnswer, Failure>> {
        Box::pin(async move {
            let StepCall { operation, input, idempotency_key, timeout, context, attempt, .. } = call;
            let (operation_name, key) = (operation.to_owned(), idempotency_key.to_owned());
            let seen = Call { operation: operation_name, key, input: input.clone(), context: context.clone(), attempt };
            self.0.calls.lock().unwrap().push(seen);
            let mut at_work = AtWork::new(&self.0, operation);
            let answering = answer(&self.0, operation, input);
            let answer = match timeout {
                Some(timeout) => tokio::time::timeout(timeout, answering).await.unwrap_or_else(|_| Err(late())),
                None => answering.await,
            };
            at_work.2 = true;
            answer.map(|output| StepAnswer { output, served_by: Some("test".to_owned()), degraded: false })
        })
    }
}

fn late() -> Failure {
    Failure::new(FailureKind::Timeout, "call.deadline", "late")
}

async fn answer(sink: &Sink, operation: &str, input: Value) -> Result<Value, Failure> {
    if operation.starts_with("gate") {
        sink.open.subscribe().wait_for(|open| open.contains(operation)).await.unwrap();
    }
    if let Some(left) = sink.failures.lock().unwrap().get_mut(operation).filter(|left| **left > 0) {
        *left -= 1;
        return Err(Failure::new(FailureKind::Unavailable, "upstream.connection", "not there"));
    }
    Ok(match operation.split('.').next().unwrap_or_default() {
        "add" => json!(input.as_i64().unwrap_or_default() + 1),
        "echo" | "gate" => input,
        "large" => json!("x".repeat(usize::try_from(input.as_u64().unwrap()).unwrap())),
        "bad" => return Err(Failure::invalid("operation.input-invalid", "wrong")),
        _ => json!({ "by": operation, "got": input }),
    })
}

/// An executor with its records and operations.
pub(crate) struct Bed {
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) records: Arc<MemoryWorkflowRecords>,
    pub(crate) sink: Arc<Sink>,
    /// Begins the ids of its workflows: several beds may share a cluster.
    pub(crate) name: String,
}

impl Bed {
    pub(crate) fn id(&self, workflow: &str) -> String {
        format!("{}-{workflow}", self.name)
    }

    /// Stores a workflow, or a further version of it.
    pub(crate) async fn put(&self, definition: Value) {
        self.put_as(definition, WorkflowStatus::Active).await;
    }

    pub(crate) async fn put_as(&self, definition: Value, status: WorkflowStatus) {
        let definition: Definition = serde_json::from_value(definition).unwrap();
        let version = self.records.workflow(&definition.name, None).await.unwrap().map_or(1, |known| known.version + 1);
        let id = self.id(&definition.name);
        self.records.put_workflow(&Workflow { id, version, status, definition, created_at_ms: 1, updated_at_ms: 1 }).await.unwrap();
    }

    /// Stores the workflow `w` of these steps.
    pub(crate) async fn steps(&self, steps: Value) {
        self.put(json!({ "name": "w", "steps": steps })).await;
    }

    /// Starts `w`.
    pub(crate) async fn start(&self, input: Value) -> String {
        self.executor.start(start(input)).await.unwrap().execution.id
    }

    pub(crate) async fn ends(&self, id: &str) -> Execution {
        let execution = self.executor.wait(id, LONG).await.unwrap();
        assert!(execution.status.is_final(), "{execution:?} at {:?}", self.executor.current_steps(id));
        execution
    }

    /// Runs `steps` with `input` to their end.
    pub(crate) async fn run(&self, steps: Value, input: Value) -> Execution {
        self.steps(steps).await;
        let id = self.start(input).await;
        self.ends(&id).await
    }

    /// Runs them, and gives their result.
    pub(crate) async fn output(&self, steps: Value, input: Value) -> Value {
        let execution = self.run(steps, input).await;
        assert_eq!(execution.status, ExecutionStatus::Completed, "{execution:?}");
        execution.output.unwrap()
    }

    /// Runs them, and gives the code of their failure and the step that failed.
    pub(crate) async fn error(&self, steps: Value, input: Value) -> (String, Option<String>) {
        let execution = self.run(steps, input).await;
        assert_eq!(execution.status, ExecutionStatus::Failed, "{execution:?}");
        let error = execution.error.unwrap();
        (error.code, error.step)
    }

    pub(crate) async fn history(&self, id: &str) -> Vec<Event> {
        let part = self.executor.history(id, 0, 1000).await.unwrap();
        assert_eq!(part.total, part.items.len() as u64);
        let numbers: Vec<u64> = part.items.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=part.total).collect::<Vec<_>>());
        part.items
    }

    /// What happened, as `path kind`. Which process goes on is the executor's own business.
    pub(crate) async fn story(&self, id: &str) -> Vec<String> {
        let history = self.history(id).await;
        let told = history.iter().filter(|event| !matches!(event.what, Happened::Adopted { .. }));
        told.map(|event| format!("{} {}", event.path, kind(&event.what))).collect()
    }

    /// Waits until an execution is at these steps.
    pub(crate) async fn is_at(&self, id: &str, steps: &[&str]) {
        eventually(&format!("it is at {steps:?}"), async || self.executor.current_steps(id) == steps).await;
    }

    /// Waits until it has this status.
    pub(crate) async fn is(&self, id: &str, status: ExecutionStatus) {
        eventually(&format!("it is {status:?}"), async || self.executor.get(id).await.unwrap().status == status).await;
    }

    /// The executions of a workflow, the newest first.
    pub(crate) async fn of(&self, workflow: &str, status: Option<ExecutionStatus>) -> Vec<Execution> {
        let filter = breakwater_workflow::ExecutionFilter { workflow_id: Some(self.id(workflow)), status };
        self.executor.list(&filter, Range { skip: 0, take: 100 }).await.unwrap().items
    }
}

pub(crate) fn start(input: Value) -> Start {
    Start { workflow: "w".to_owned(), input, ..Start::default() }
}

pub(crate) fn call(id: &str, operation: &str, next: Option<&str>) -> Value {
    json!({ "id": id, "operation": operation, "next": next })
}

pub(crate) fn kind(what: &Happened) -> String {
    serde_json::to_value(what).unwrap()["type"].as_str().unwrap().to_owned()
}
