//! What the executions of one process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{Digest, Failure, FailureKind};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::EmbeddedConfig;
use super::plan::{Plan, for_each};
use super::run::Run;
use crate::clock::Clock;
use crate::definition::Definition;
use crate::execution::{Execution, ExecutionStatus, Start, StepError};
use crate::executor::Started;
use crate::journal::{Journal, chain};
use crate::log::Log;
use crate::records::{Created, Fence, RecordsError, WorkflowRecords, is_of_the_host};
use crate::runner::StepRunner;
use crate::workflow::WorkflowStatus;

/// Definitions that are kept ready.
const MAX_PLANS: usize = 256;
/// The longest id that is looked up, in bytes.
const MAX_ID: usize = 128;
/// The longest idempotency key, in characters.
pub(crate) const MAX_KEY: usize = 255;

pub(crate) struct Inner {
    pub(crate) config: EmbeddedConfig,
    pub(crate) records: Arc<dyn WorkflowRecords>,
    pub(crate) runner: Arc<dyn StepRunner>,
    pub(crate) journal: Journal,
    /// Steps at work at once.
    pub(crate) steps: Semaphore,
    running: Mutex<HashMap<String, Arc<Run>>>,
    plans: Mutex<HashMap<(String, u32), Arc<Plan>>>,
    pub(crate) tasks: TaskTracker,
    /// The process ends.
    pub(crate) stop: CancellationToken,
    /// The process has ended its part: nothing says any more that it lives.
    pub(crate) left: CancellationToken,
    /// Something is to be taken over now.
    pub(crate) hurry: Notify,
    this: std::sync::Weak<Self>,
}

impl Inner {
    pub(crate) fn new(config: EmbeddedConfig, records: Arc<dyn WorkflowRecords>, runner: Arc<dyn StepRunner>) -> Arc<Self> {
        let journal = Journal::start(Arc::clone(&records));
        let steps = Semaphore::new(config.max_steps.clamp(1, Semaphore::MAX_PERMITS));
        Arc::new_cyclic(|this| Self {
            config,
            records,
            runner,
            journal,
            steps,
            running: Mutex::default(),
            plans: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            left: CancellationToken::new(),
            hurry: Notify::new(),
            this: std::sync::Weak::clone(this),
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.config.clock
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Run>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn run(&self, id: &str) -> Option<Arc<Run>> {
        self.running().get(id).cloned()
    }

    /// How many more executions fit.
    pub(crate) fn room(&self) -> usize {
        self.config.max_running.saturating_sub(self.running().len())
    }

    /// Accepts an execution and lets it run, as a task of its own: a caller who leaves must not leave it between what is stored and what runs.
    pub(crate) async fn accept(&self, start: Start) -> Result<Started, Failure> {
        let this = self.this.upgrade().ok_or_else(|| Failure::internal("the executor is gone"))?;
        match self.tasks.spawn(async move { this.accept_here(start).await }).await {
            Ok(result) => result,
            Err(error) => Err(Failure::internal("an execution was not accepted").caused_by(error)),
        }
    }

    async fn accept_here(&self, start: Start) -> Result<Started, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::new(FailureKind::Unavailable, "workflow.stopping", "the service is about to end"));
        }
        if let Some(key) = &start.idempotency_key {
            check_key(key)?;
        }
        let workflow =
            self.records.workflow(&start.workflow, None).await.map_err(stored)?.ok_or_else(|| unknown_workflow(&start.workflow))?;
        if start.parent.is_some() && is_of_the_host(&workflow.definition.name) {
            return Err(unknown_workflow(&start.workflow));
        }
        if workflow.status != WorkflowStatus::Active {
            let message = format!("the workflow `{}` is {} and cannot be started", workflow.definition.name, workflow.status.name());
            return Err(Failure::invalid("workflow.inactive", message));
        }
        let plan = self.plan_of(&workflow.id, workflow.version, || workflow.definition.clone())?;
        self.refuse_unknown_operations(&plan.definition)?;
        if let Some(schema) = &plan.definition.input_schema {
            self.runner.fits(schema, &start.input).map_err(input_invalid)?;
        }
        if self.room() == 0 {
            let message = format!("{} executions are under way already; try again later", self.config.max_running);
            return Err(Failure::limit("workflow.overloaded", message).retry_after(Duration::from_secs(1)));
        }
        let input = serde_json::to_vec(&start.input).unwrap_or_default();
        let execution = Execution {
            id: uuid::Uuid::now_v7().to_string(),
            workflow_id: workflow.id,
            workflow_name: workflow.definition.name,
            workflow_version: workflow.version,
            status: ExecutionStatus::Pending,
            input: start.input,
            output: None,
            error: None,
            context: start.context,
            idempotency_key: start.idempotency_key,
            parent: start.parent,
            created_at_ms: self.clock().now_ms(),
            started_at_ms: None,
            completed_at_ms: None,
        };
        match self.records.create(&execution, Digest::of(&input), &self.config.node).await.map_err(stored)? {
            Created::New(fence) => {
                self.begin(execution.clone(), fence, Some(Log::default()), None);
                Ok(Started { execution, existing: false })
            }
            Created::Existing(execution) => Ok(Started { execution: *execution, existing: true }),
            Created::KeyReused(id) => {
                let message = "the idempotency key belongs to an execution with another input; use a new key for a new execution";
                Err(Failure::invalid("execution.key-reused", message).with_detail(serde_json::json!({ "execution_id": id })))
            }
        }
    }

    /// Lets an execution run that this process owns. Without a log, what happened in it is read first.
    pub(crate) fn begin(&self, execution: Execution, fence: Fence, log: Option<Log>, wanted: Option<crate::records::Wanted>) {
        let Some(this) = self.this.upgrade() else { return };
        let is_read = log.is_some();
        let run = Run::new(fence, log.unwrap_or_default(), self.journal.clone(), self.clock());
        self.running().insert(execution.id.clone(), Arc::clone(&run));
        self.tasks.spawn(async move {
            let id = execution.id.clone();
            let (mut is_read, mut wanted) = (is_read, wanted);
            loop {
                super::drive::drive(&this, &run, execution.clone(), is_read, wanted).await;
                let mut running = this.running();
                // It was refused under an ownership that this process has renewed meanwhile; who renews it holds this lock.
                if run.was_renewed() && !this.stop.is_cancelled() {
                    (is_read, wanted) = (false, None);
                    continue;
                }
                if running.get(&id).is_some_and(|current| Arc::ptr_eq(current, &run)) {
                    running.remove(&id);
                }
                break;
            }
            run.over.cancel();
        });
    }

    /// A definition made ready, kept for the next execution of the same version.
    pub(crate) fn plan_of(&self, id: &str, version: u32, definition: impl FnOnce() -> Definition) -> Result<Arc<Plan>, Failure> {
        let key = (id.to_owned(), version);
        let plans = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans().get(&key) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::of(definition())?);
        let mut plans = plans();
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    /// A service may be registered after the workflow that uses it, but not after its execution.
    fn refuse_unknown_operations(&self, definition: &Definition) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for_each(&definition.steps, &mut |step| {
            let called = step.called().into_iter().chain(step.compensate.as_ref().and_then(|undo| undo.called()));
            for operation in called.filter(|operation| self.runner.operation(operation).is_none()) {
                missing.push(serde_json::json!({ "pointer": "", "message": format!("the step `{}` calls `{operation}`, which is not there", step.id) }));
            }
        });
        if missing.is_empty() {
            return Ok(());
        }
        let first = missing.first().and_then(|first| first["message"].as_str()).unwrap_or_default();
        let message = format!("the workflow cannot be executed: {first}; register the service first");
        Err(Failure::invalid("workflow.not-executable", message).with_detail(serde_json::json!({ "violations": missing })))
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Execution, Failure> {
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            return Err(unknown_execution(id));
        }
        self.records.execution(id).await.map_err(stored)?.ok_or_else(|| unknown_execution(id))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

fn check_key(key: &str) -> Result<(), Failure> {
    let is_valid = (1..=MAX_KEY).contains(&key.chars().count()) && key.chars().all(|c| !c.is_control());
    if is_valid {
        return Ok(());
    }
    Err(Failure::invalid("execution.key-invalid", format!("an idempotency key is 1 to {MAX_KEY} printable characters")))
}

fn input_invalid(failure: Failure) -> Failure {
    let message = format!("the input does not fit the workflow: {}", failure.message);
    let invalid = Failure::invalid("execution.input-invalid", message);
    match failure.detail {
        Some(detail) => invalid.with_detail(detail),
        None => invalid,
    }
}

pub(crate) fn unknown_workflow(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = serde_json::json!({ "resource_type": "workflow", "resource_id": id });
    Failure::new(FailureKind::NotFound, "workflow.unknown", format!("there is no workflow `{id}`")).with_detail(detail)
}

pub(crate) fn unknown_execution(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = serde_json::json!({ "resource_type": "execution", "resource_id": id });
    Failure::new(FailureKind::NotFound, "execution.unknown", format!("there is no execution `{id}`")).with_detail(detail)
}

/// The failure of a call whose records failed.
pub(crate) fn stored(error: RecordsError) -> Failure {
    match error {
        RecordsError::Conflict => {
            Failure::invalid("workflow.conflict", "the workflow was changed meanwhile; read it again and repeat the change")
        }
        RecordsError::Absent => Failure::new(FailureKind::NotFound, "execution.unknown", "there is no such execution"),
        error => Failure::new(FailureKind::Unavailable, "workflow.store", "the records of workflows cannot be used at the moment")
            .caused_by(error),
    }
}

/// Why an execution cannot go on, as it is kept.
pub(crate) fn damaged(error: &RecordsError) -> StepError {
    StepError::of(&Failure::new(FailureKind::Other, "workflow.damaged", format!("the execution's records are damaged: {}", chain(error))))
}
