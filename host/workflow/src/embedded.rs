//! The embedded executor: executions are tasks of this process, and their journal is in the store.

mod adopt;
mod commands;
mod drive;
mod inner;
mod world;

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline, Failure};

use crate::admission::stored;
use crate::clock::Clock;
use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Start};
use crate::executor::{Executor, Started};
use crate::records::{ExecutionFilter, Part, Range, Wanted, WorkflowRecords};
use crate::runner::StepRunner;
use inner::Inner;

/// How executions run in this process.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Names this process among those that share the records; a new name for each start.
    pub node: String,
    /// Executions under way at once.
    pub max_running: usize,
    /// Steps at work at once, over all executions.
    pub max_steps: usize,
    /// After how long others take over what a process owned that is not heard of.
    pub lease: Duration,
    /// How often it is looked for wishes, signals and executions that other processes left.
    pub poll: Duration,
    /// How long executions are kept after their end.
    pub keep: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl Default for EmbeddedConfig {
    /// 10 000 executions, 256 steps, a lease of 10 s, a look each 250 ms, 30 days.
    fn default() -> Self {
        Self {
            node: uuid::Uuid::now_v7().to_string(),
            max_running: 10_000,
            max_steps: 256,
            lease: Duration::from_secs(10),
            poll: Duration::from_millis(250),
            keep: Duration::from_secs(30 * 24 * 3600),
            clock: Clock::system(),
        }
    }
}

/// Runs workflows in this process.
#[derive(Debug, Clone)]
pub struct EmbeddedExecutor {
    inner: Arc<Inner>,
}

impl EmbeddedExecutor {
    /// An executor that takes executions, and goes on with what earlier processes left once it is told to [`Self::adopt`]: when the
    /// operations are there that steps call.
    ///
    /// # Errors
    /// `workflow.store` (unavailable) when the records cannot be used.
    pub async fn prepare(config: EmbeddedConfig, records: Arc<dyn WorkflowRecords>, runner: Arc<dyn StepRunner>) -> Result<Self, Failure> {
        records.beat(&config.node, config.lease).await.map_err(stored)?;
        let inner = Inner::new(config, records, runner);
        tokio::spawn(adopt::beat(Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// Goes on with what a process that ended has left, now and from then on.
    pub fn adopt(&self) {
        self.inner.tasks.spawn(adopt::adopt(Arc::clone(&self.inner)));
    }

    /// Both at once.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub async fn start(config: EmbeddedConfig, records: Arc<dyn WorkflowRecords>, runner: Arc<dyn StepRunner>) -> Result<Self, Failure> {
        let executor = Self::prepare(config, records, runner).await?;
        executor.adopt();
        Ok(executor)
    }

    /// Begins no further step, waits for those that run until `deadline`, and lets other processes go on.
    pub async fn shutdown(&self, deadline: Deadline) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if deadline.bound("steps of workflows", self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("not every step of a workflow ended in time; they are made again after the next start");
        }
        self.inner.left.cancel();
        if let Err(error) = self.inner.records.leave(&self.inner.config.node).await {
            tracing::warn!(failure = stored(error).chain(), "other processes cannot be told that this one ends");
        }
    }

    /// Waits until nothing could be written to the journal for `patience`, and says why not. Executions wait for their journal for ever and
    /// go on once it can be written again; who has started one for somebody may not want to.
    pub async fn journal_fails_for(&self, patience: Duration) -> String {
        self.inner.journal.fails_for(patience).await
    }

    /// How many executions are under way here.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.running().len()
    }
}

impl Executor for EmbeddedExecutor {
    fn start(&self, start: Start) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(self.inner.accept(start))
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.get(id))
    }

    fn list<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> BoxFuture<'a, Result<Part<Execution>, Failure>> {
        Box::pin(async move { self.inner.records.executions(filter, range).await.map_err(stored) })
    }

    fn counts(&self) -> BoxFuture<'_, Result<Vec<(ExecutionStatus, u64)>, Failure>> {
        Box::pin(async { self.inner.records.counts().await.map_err(stored) })
    }

    fn history<'a>(&'a self, id: &'a str, after: u64, take: u32) -> BoxFuture<'a, Result<Part<Event>, Failure>> {
        Box::pin(async move {
            self.inner.get(id).await?;
            self.inner.records.events(id, after, take).await.map_err(stored)
        })
    }

    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.wait(id, patience))
    }

    fn current_steps(&self, id: &str) -> Vec<String> {
        self.inner.run(id).map(|run| run.log().current()).unwrap_or_default()
    }

    fn changed<'a>(&'a self, id: &'a str, after: u64, patience: Duration) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(self.inner.changed(id, after, patience))
    }

    fn command<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.command(id, wanted))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: NewSignal) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.inner.signal(id, signal))
    }
}
