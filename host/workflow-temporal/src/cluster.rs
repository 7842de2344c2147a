//! Executions as the cluster knows them.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Digest, Failure, FailureKind};
use breakwater_workflow::admission::{
    admit, begin, check_id, check_signal, digest, key_reused, sent_again, takes_no_signals, too_many_signals, unknown_execution,
};
use breakwater_workflow::{Execution, ExecutionStatus, NewSignal, Start, Started, StepRunner, Wanted, WorkflowRecords};
use temporalio_client::errors::{WorkflowInteractionError, WorkflowStartError};
use temporalio_client::tonic::Code;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowGetResultOptions, WorkflowHandle, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::MemoValues;
use temporalio_common::search_attributes::SearchAttributes;
use tokio::time::Instant;

use crate::failures::{of_interaction, of_query, unavailable};
use crate::story::Courses;
use crate::wire::{Beginning, ChildInput, ChildPlan, Command, HistoryPart, HistoryRange, fits};
use crate::workflow::{EXECUTION, ExecutionWorkflow, OF_WORKFLOW, STATUS, now_ms};

/// How long a command waits for its effect before it answers with how the execution is. As of the embedded executor.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has its effect.
const COMMAND_LOOK: Duration = Duration::from_millis(50);
/// Events that are asked for at once.
const EVENTS_AT_ONCE: u32 = 2000;

pub(crate) type Handle = WorkflowHandle<Client, ExecutionWorkflow>;

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) task_queue: String,
    pub(crate) records: Arc<dyn WorkflowRecords>,
    pub(crate) courses: Courses,
}

impl Cluster {
    pub(crate) fn handle(&self, id: &str) -> Handle {
        self.client.get_workflow_handle::<ExecutionWorkflow>(id)
    }

    pub(crate) async fn start(&self, runner: &dyn StepRunner, start: Start) -> Result<Started, Failure> {
        let (beginning, is_keyed) = self.beginning(runner, start, 0).await?;
        let (id, input) = (beginning.execution.id.clone(), digest(&beginning.execution.input));
        match self.begin(beginning, WorkflowIdReusePolicy::RejectDuplicate).await? {
            Some(execution) => Ok(Started { execution, existing: false }),
            None if is_keyed => {
                let execution = self.get(&id).await?;
                if digest(&execution.input) == input { Ok(Started { execution, existing: true }) } else { Err(key_reused(&id)) }
            }
            None => Err(Failure::internal("the id of an execution was taken")),
        }
    }

    /// An execution that may begin.
    async fn beginning(&self, runner: &dyn StepRunner, start: Start, depth: usize) -> Result<(Beginning, bool), Failure> {
        let workflow = admit(&*self.records, runner, &start).await?;
        let id = match &start.idempotency_key {
            Some(key) => id_of(&workflow.id, key),
            None => uuid::Uuid::now_v7().to_string(),
        };
        let (definition, is_keyed) = (workflow.definition.clone(), start.idempotency_key.is_some());
        let execution = begin(id, workflow, start, now_ms(Some(std::time::SystemTime::now())));
        let (past, signals) = (Vec::new(), Vec::new());
        Ok((Beginning { execution, definition, depth, past, signals, started_at_ms: None, retried: false }, is_keyed))
    }

    /// Starts a run. None when there is one that must not be followed by another.
    async fn begin(&self, beginning: Beginning, reuse: WorkflowIdReusePolicy) -> Result<Option<Execution>, Failure> {
        fits(&beginning)?;
        let execution = beginning.execution.clone();
        let mut memo = MemoValues::new();
        memo.insert(EXECUTION, execution.clone());
        let status = if beginning.retried { ExecutionStatus::Running } else { ExecutionStatus::Pending };
        let attributes = [OF_WORKFLOW.value_set(execution.workflow_id.clone()), STATUS.value_set(status.name().to_owned())];
        let options = WorkflowStartOptions::new(self.task_queue.clone(), execution.id.clone())
            .id_reuse_policy(reuse)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .search_attributes(SearchAttributes::new(attributes))
            .memo(memo)
            .static_summary(execution.workflow_name.clone())
            .build();
        match self.client.start_workflow(ExecutionWorkflow::run, beginning, options).await {
            Ok(_) => Ok(Some(execution)),
            Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(None),
            Err(error) => Err(unavailable().caused_by(error)),
        }
    }

    /// Waits until an execution has ended or `patience` is over, and says how it is then.
    pub(crate) async fn wait(&self, id: &str, patience: Duration) -> Result<Execution, Failure> {
        let ends = Instant::now() + patience.min(Duration::from_secs(31_536_000));
        loop {
            let execution = self.get(id).await?;
            if execution.status.is_final() || Instant::now() >= ends {
                return Ok(execution);
            }
            // How it ended is looked up; what cannot be waited for is looked at again.
            let handle = self.handle(id);
            let ended = handle.get_result(WorkflowGetResultOptions::default());
            if let Ok(Err(error)) = tokio::time::timeout_at(ends, ended).await
                && !error.is_workflow_outcome()
            {
                tokio::time::sleep_until(ends.min(Instant::now() + COMMAND_LOOK)).await;
            }
        }
    }

    pub(crate) async fn command(&self, id: &str, wanted: Wanted) -> Result<Execution, Failure> {
        let execution = self.get(id).await?;
        if wanted.is_so(execution.status) {
            return Ok(execution);
        }
        wanted.check(execution.status)?;
        let handle = self.handle(id);
        let result = match wanted {
            Wanted::Cancel => handle.cancel(WorkflowCancelOptions::default()).await,
            Wanted::Pause => handle.signal(ExecutionWorkflow::command, Command::Pause, WorkflowSignalOptions::default()).await,
            Wanted::Resume => handle.signal(ExecutionWorkflow::command, Command::Resume, WorkflowSignalOptions::default()).await,
            Wanted::Retry => return self.retry(id).await,
        };
        match result {
            // It has ended meanwhile, which is looked at below.
            Ok(()) | Err(WorkflowInteractionError::NotFound(_)) => {}
            Err(error) => return Err(of_interaction(error)),
        }
        let ends = Instant::now() + COMMAND_PATIENCE;
        loop {
            let execution = self.get(id).await?;
            if wanted.is_seen_to(execution.status) || Instant::now() >= ends {
                return Ok(execution);
            }
            tokio::time::sleep(COMMAND_LOOK).await;
        }
    }

    /// Goes on from what failed, in a new run.
    async fn retry(&self, id: &str) -> Result<Execution, Failure> {
        let beginning = self.retried(id).await?;
        self.begin(beginning, WorkflowIdReusePolicy::AllowDuplicateFailedOnly).await?;
        self.get(id).await
    }

    /// What an execution goes on with that has failed.
    async fn retried(&self, id: &str) -> Result<Beginning, Failure> {
        let beginning = self.first(id).await?;
        let mut past = HistoryPart::default();
        loop {
            let part = self.history(id, HistoryRange { after: past.last, take: EVENTS_AT_ONCE }).await?;
            if past.last == 0 {
                past.signals = part.signals;
            }
            let (Some(last), end) = (part.events.last().map(|event| event.seq), part.last) else { break };
            past.events.extend(part.events);
            past.last = last;
            if last >= end {
                break;
            }
        }
        let started_at_ms = self.look(id).await?.1;
        Ok(Beginning { past: past.events, signals: past.signals, started_at_ms, retried: true, ..beginning })
    }

    pub(crate) async fn signal(&self, id: &str, signal: NewSignal) -> Result<(), Failure> {
        check_signal(&signal)?;
        let execution = self.get(id).await?;
        // Nobody may be there to say what has come: the execution itself takes only the first with a key.
        let whole = HistoryRange { after: 0, take: 0 };
        if let Some(key) = &signal.idempotency_key
            && let Ok(part) = self.history(id, whole).await
            && let Some(known) = part.signals.iter().find(|known| known.idempotency_key.as_ref() == Some(key))
        {
            return sent_again(known, &signal);
        }
        if execution.status.is_final() {
            return Err(takes_no_signals(execution.status));
        }
        match self.handle(id).signal(ExecutionWorkflow::signal, signal, WorkflowSignalOptions::default()).await {
            Ok(()) => Ok(()),
            Err(WorkflowInteractionError::NotFound(_)) => Err(takes_no_signals(self.get(id).await?.status)),
            Err(WorkflowInteractionError::Rpc(status)) if matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted) => {
                Err(too_many_signals().caused_by(status))
            }
            Err(error) => Err(of_interaction(error)),
        }
    }

    /// Part of what happened, from this process if it runs the execution and otherwise from whichever does.
    pub(crate) async fn history(&self, id: &str, range: HistoryRange) -> Result<HistoryPart, Failure> {
        check_id(id)?;
        let answer = self.handle(id).query(ExecutionWorkflow::history, range, WorkflowQueryOptions::default()).await;
        answer.map_err(|error| of_query(error, id))
    }

    /// Finds out what is to be done for a step that starts a workflow. When the step is retried, so is what it had started; what was
    /// cancelled begins anew.
    pub(crate) async fn plan_child(&self, runner: &dyn StepRunner, child: ChildInput) -> Result<ChildPlan, Failure> {
        let mut start = child.start();
        loop {
            let (beginning, _) = self.beginning(runner, start.clone(), child.depth).await?;
            let existing = match self.get(&beginning.execution.id).await {
                Err(failure) if failure.kind == FailureKind::NotFound => return Ok(ChildPlan::Begin(Box::new(beginning))),
                existing => existing?,
            };
            let ended_at_ms = existing.completed_at_ms.ok_or_else(unavailable)?;
            let is_of_before = child.retried_at_ms.is_some_and(|retried_at_ms| ended_at_ms <= retried_at_ms);
            let renewed = format!("@r{}", child.retries);
            match existing.status {
                ExecutionStatus::Failed if is_of_before => {
                    let beginning = Beginning { depth: child.depth, ..self.retried(&existing.id).await? };
                    return Ok(ChildPlan::Begin(Box::new(beginning)));
                }
                ExecutionStatus::Cancelled if is_of_before => match &mut start.idempotency_key {
                    Some(key) if !key.ends_with(&renewed) => key.push_str(&renewed),
                    _ => return Ok(ChildPlan::Ended(Box::new(existing))),
                },
                _ => return Ok(ChildPlan::Ended(Box::new(existing))),
            }
        }
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Execution, Failure> {
        check_id(id)?;
        self.look(id).await.map(|(execution, _)| execution)
    }
}

/// The id of the execution that a key of a workflow names: the same wherever it is made, so that the cluster sees that it is there.
fn id_of(workflow: &str, key: &str) -> String {
    let digest = Digest::of(format!("{workflow}\n{key}").as_bytes());
    let bytes: Vec<u8> = digest.as_bytes().iter().copied().take(16).collect();
    let bytes = <[u8; 16]>::try_from(bytes).unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// The failure of a look at an execution that the cluster does not know.
pub(crate) fn unknown(id: &str) -> Failure {
    unknown_execution(id)
}
