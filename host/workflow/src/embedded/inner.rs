//! What the executions of one process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_core::{Failure, FailureKind};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::EmbeddedConfig;
use crate::admission::{admit, begin, check_id, digest, key_reused, overloaded, stopping, stored, unknown_execution};
use crate::clock::Clock;
use crate::definition::Definition;
use crate::execution::{Execution, Start, StepError};
use crate::executor::Started;
use crate::journal::{Journal, chain};
use crate::log::Log;
use crate::records::{Created, Fence, RecordsError, WorkflowRecords};
use crate::runner::StepRunner;
use crate::walk::plan::Plan;
use crate::walk::run::{Run, Time};

/// Definitions that are kept ready.
const MAX_PLANS: usize = 256;

pub(crate) struct Inner {
    pub(crate) config: EmbeddedConfig,
    pub(crate) records: Arc<dyn WorkflowRecords>,
    pub(crate) runner: Arc<dyn StepRunner>,
    pub(crate) journal: Journal,
    /// Steps at work at once.
    pub(crate) steps: Arc<Semaphore>,
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
        let steps = Arc::new(Semaphore::new(config.max_steps.clamp(1, Semaphore::MAX_PERMITS)));
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
            return Err(stopping());
        }
        let workflow = admit(&*self.records, &*self.runner, &start).await?;
        self.plan_of(&workflow.id, workflow.version, || workflow.definition.clone())?;
        if self.room() == 0 {
            return Err(overloaded(self.config.max_running));
        }
        let digest = digest(&start.input);
        let execution = begin(uuid::Uuid::now_v7().to_string(), workflow, start, self.clock().now_ms());
        match self.records.create(&execution, digest, &self.config.node).await.map_err(stored)? {
            Created::New(fence) => {
                self.begin(execution.clone(), fence, Some(Log::default()), None);
                Ok(Started { execution, existing: false })
            }
            Created::Existing(execution) => Ok(Started { execution: *execution, existing: true }),
            Created::KeyReused(id) => Err(key_reused(&id)),
        }
    }

    /// Lets an execution run that this process owns. Without a log, what happened in it is read first.
    pub(crate) fn begin(&self, execution: Execution, fence: Fence, log: Option<Log>, wanted: Option<crate::records::Wanted>) {
        let Some(this) = self.this.upgrade() else { return };
        let is_read = log.is_some();
        let run = Run::new(fence, log.unwrap_or_default(), self.journal.clone(), Time::Clock(self.clock()));
        self.running().insert(execution.id.clone(), Arc::clone(&run));
        self.tasks.spawn(async move {
            let id = execution.id.clone();
            let (mut is_read, mut wanted) = (is_read, wanted);
            loop {
                super::drive::drive(&this, &run, execution.clone(), is_read, wanted).await;
                let mut running = this.running();
                // It was refused under an ownership that this process has renewed meanwhile; who renews it holds this lock.
                if let Some(renewal) = run.renewed().filter(|_| !this.stop.is_cancelled()) {
                    (is_read, wanted) = (false, renewal.wanted);
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

    pub(crate) async fn get(&self, id: &str) -> Result<Execution, Failure> {
        check_id(id)?;
        self.records.execution(id).await.map_err(stored)?.ok_or_else(|| unknown_execution(id))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why an execution cannot go on, as it is kept.
pub(crate) fn damaged(error: &RecordsError) -> StepError {
    StepError::of(&Failure::new(FailureKind::Other, "workflow.damaged", format!("the execution's records are damaged: {}", chain(error))))
}
