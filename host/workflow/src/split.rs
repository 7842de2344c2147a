//! Two executors behind one: what the host defines itself runs here, what users define runs elsewhere.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{BoxFuture, Failure, FailureKind};

use crate::admission::stored;
use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Start};
use crate::executor::{Executor, Started};
use crate::records::{ExecutionFilter, Part, Range, Wanted, WorkflowRecords, is_of_the_host};

/// Workflows of the host need what is in this process or on this machine, such as the pictures of a batch; those of users need not.
pub struct SplitExecutor {
    /// Runs the host's own.
    own: Arc<dyn Executor>,
    /// Runs those of users.
    users: Arc<dyn Executor>,
    records: Arc<dyn WorkflowRecords>,
}

impl SplitExecutor {
    /// Executions that `own` has of users' workflows, from before there was another executor, end there.
    #[must_use]
    pub fn new(own: Arc<dyn Executor>, users: Arc<dyn Executor>, records: Arc<dyn WorkflowRecords>) -> Self {
        Self { own, users, records }
    }

    async fn of_workflow(&self, id: &str) -> Result<&dyn Executor, Failure> {
        let workflow = self.records.workflow(id, None).await.map_err(stored)?;
        let is_own = workflow.is_some_and(|workflow| is_of_the_host(&workflow.definition.name));
        Ok(if is_own { &*self.own } else { &*self.users })
    }

    /// Who has an execution. Asking `own` is a look at the records.
    async fn of_execution(&self, id: &str) -> Result<&dyn Executor, Failure> {
        match self.own.get(id).await {
            Ok(_) => Ok(&*self.own),
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(&*self.users),
            Err(failure) => Err(failure),
        }
    }
}

impl std::fmt::Debug for SplitExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitExecutor").finish_non_exhaustive()
    }
}

impl Executor for SplitExecutor {
    fn start(&self, start: Start) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move { self.of_workflow(&start.workflow).await?.start(start).await })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(async move {
            match self.own.get(id).await {
                Err(failure) if failure.kind == FailureKind::NotFound => self.users.get(id).await,
                found => found,
            }
        })
    }

    fn list<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> BoxFuture<'a, Result<Part<Execution>, Failure>> {
        Box::pin(async move {
            match &filter.workflow_id {
                Some(id) => self.of_workflow(id).await?.list(filter, range).await,
                None => self.users.list(filter, range).await,
            }
        })
    }

    fn counts(&self) -> BoxFuture<'_, Result<Vec<(ExecutionStatus, u64)>, Failure>> {
        self.users.counts()
    }

    fn history<'a>(&'a self, id: &'a str, after: u64, take: u32) -> BoxFuture<'a, Result<Part<Event>, Failure>> {
        Box::pin(async move { self.of_execution(id).await?.history(id, after, take).await })
    }

    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(async move { self.of_execution(id).await?.wait(id, patience).await })
    }

    fn current_steps(&self, id: &str) -> Vec<String> {
        let own = self.own.current_steps(id);
        if own.is_empty() { self.users.current_steps(id) } else { own }
    }

    fn changed<'a>(&'a self, id: &'a str, after: u64, patience: Duration) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(async move { self.of_execution(id).await?.changed(id, after, patience).await })
    }

    fn command<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(async move { self.of_execution(id).await?.command(id, wanted).await })
    }

    fn signal<'a>(&'a self, id: &'a str, signal: NewSignal) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.of_execution(id).await?.signal(id, signal).await })
    }
}
