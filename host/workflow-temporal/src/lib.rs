//! Workflows on a Temporal cluster: the same definitions and the same walk as the embedded executor's, with the cluster's history as the
//! journal.
//!
//! An execution is one Temporal workflow of the type `breakwater-execution`, its id is the execution's. A step is an activity, a wait is a
//! timer, a workflow as a step is a child. What a Temporal user knows works on them: its UI, `temporal workflow describe`, terminating.
//! Definitions stay in the host's records; each execution carries the version that it runs.
//!
//! What differs from the embedded executor: an execution begins with at most 1.9 MB, and so much is what a step or an execution is given and
//! puts out; ended executions are kept as long as the namespace keeps them; a list shows those that run before those that ended, the latest
//! first, and an execution that was retried where each of its runs stood.

#![forbid(unsafe_code)]

mod cluster;
mod config;
mod connection;
mod failures;
mod listing;
mod look;
mod pending;
mod snapshots;
mod steps;
mod story;
mod wire;
mod worker;
mod workflow;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakwater_core::{BoxFuture, Deadline, Failure};
use breakwater_workflow::{
    Event, Execution, ExecutionFilter, ExecutionStatus, Executor, NewSignal, Part, Range, Start, Started, StepRunner, Wanted,
    WorkflowRecords,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use cluster::Cluster;
pub use config::{TemporalConfig, TemporalTls};
use steps::Steps;
use story::Courses;
use wire::HistoryRange;

/// How often an execution that another process runs is looked at while somebody waits for its next event.
const LOOK: Duration = Duration::from_millis(500);

/// Runs workflows on a Temporal cluster.
#[derive(Clone)]
pub struct TemporalExecutor {
    inner: Arc<Inner>,
}

struct Inner {
    config: TemporalConfig,
    cluster: Arc<Cluster>,
    runner: Arc<dyn StepRunner>,
    /// No further work is taken.
    stop: CancellationToken,
    /// There is no time left for what is at work.
    left: CancellationToken,
    worker: Mutex<Option<oneshot::Receiver<()>>>,
}

impl TemporalExecutor {
    /// An executor that takes executions, and does the cluster's work once it is told to [`Self::adopt`]: when the operations are there that
    /// steps call.
    ///
    /// # Errors
    /// `workflow.temporal`: the cluster cannot be reached (unavailable), or its address, its namespace or its search attributes are wrong
    /// (invalid request).
    pub async fn prepare(config: TemporalConfig, records: Arc<dyn WorkflowRecords>, runner: Arc<dyn StepRunner>) -> Result<Self, Failure> {
        let client = connection::connect(&config).await?;
        let cluster = Arc::new(Cluster { client, task_queue: config.task_queue.clone(), records, courses: Courses::default() });
        let (stop, left) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self { inner: Arc::new(Inner { config, cluster, runner, stop, left, worker: Mutex::default() }) })
    }

    /// Does the cluster's work from now on.
    ///
    /// # Errors
    /// An internal failure when no thread can be started.
    pub fn adopt(&self) -> Result<(), Failure> {
        let Inner { config, cluster, runner, stop, left, worker } = &*self.inner;
        let steps = Steps { cluster: Arc::clone(cluster), runner: Arc::clone(runner), snapshots: Arc::default(), left: left.clone() };
        let begun = worker::begin(config.clone(), steps, stop.clone());
        let end = begun.map_err(|error| Failure::internal("no thread for the Temporal cluster's work").caused_by(error))?;
        *worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        Ok(())
    }

    /// Takes no further work, and waits for what is at work until `deadline`; others make again what did not end.
    pub async fn shutdown(&self, deadline: Deadline) {
        self.inner.stop.cancel();
        let worker = self.inner.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut worker) = worker else { return };
        if deadline.bound("steps of workflows", &mut worker).await.is_err() {
            tracing::warn!("not every step of a workflow ended in time; they are made again elsewhere or after the next start");
            self.inner.left.cancel();
            // Saying so takes no longer than an answer of the cluster.
            drop(tokio::time::timeout(Duration::from_secs(2), worker).await);
        }
    }

    async fn part(&self, id: &str, after: u64, take: u32) -> Result<Part<Event>, Failure> {
        let range = HistoryRange { after, take };
        let part = match self.inner.cluster.courses.get(id) {
            Some(local) => local.story.part(range),
            None => {
                self.inner.cluster.get(id).await?;
                self.inner.cluster.history(id, range).await?
            }
        };
        Ok(Part { items: part.events, total: part.last })
    }

    async fn next_change(&self, id: &str, after: u64, patience: Duration) -> Result<u64, Failure> {
        let ends = Instant::now() + patience.min(Duration::from_secs(31_536_000));
        loop {
            if let Some(local) = self.inner.cluster.courses.get(id) {
                let mut progress = local.story.progress();
                let last = *progress.borrow_and_update();
                if last > after || Instant::now() >= ends {
                    return Ok(last);
                }
                // Its run may leave this process meanwhile, and then it is asked for elsewhere.
                let look = tokio::time::sleep_until(ends.min(Instant::now() + LOOK));
                tokio::select! {
                    _ = progress.changed() => {}
                    () = look => {}
                }
                continue;
            }
            let status = self.inner.cluster.get(id).await?.status;
            let last = self.part(id, after, 1).await?.total;
            if last > after || status.is_final() || Instant::now() >= ends {
                return Ok(last);
            }
            tokio::time::sleep_until(ends.min(Instant::now() + LOOK)).await;
        }
    }
}

impl std::fmt::Debug for TemporalExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalExecutor").field("url", &self.inner.config.url).finish_non_exhaustive()
    }
}

impl Executor for TemporalExecutor {
    fn start(&self, start: Start) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move {
            if self.inner.stop.is_cancelled() {
                return Err(breakwater_workflow::admission::stopping());
            }
            self.inner.cluster.start(&*self.inner.runner, start).await
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.cluster.get(id))
    }

    fn list<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> BoxFuture<'a, Result<Part<Execution>, Failure>> {
        Box::pin(self.inner.cluster.list(filter, range))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Vec<(ExecutionStatus, u64)>, Failure>> {
        Box::pin(self.inner.cluster.counts())
    }

    fn history<'a>(&'a self, id: &'a str, after: u64, take: u32) -> BoxFuture<'a, Result<Part<Event>, Failure>> {
        Box::pin(self.part(id, after, take))
    }

    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.cluster.wait(id, patience))
    }

    fn current_steps(&self, id: &str) -> Vec<String> {
        self.inner.cluster.courses.get(id).map(|local| local.course.current()).unwrap_or_default()
    }

    fn changed<'a>(&'a self, id: &'a str, after: u64, patience: Duration) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(self.next_change(id, after, patience))
    }

    fn command<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(self.inner.cluster.command(id, wanted))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: NewSignal) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.inner.cluster.signal(id, signal))
    }
}
