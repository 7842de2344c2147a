//! What of the cluster's work this process does.

use std::time::Duration;

use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_sdk::runtime::worker_tuner::{FixedSizeSlotSupplier, TunerHolder};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::TemporalConfig;
use crate::steps::Steps;
use crate::workflow::ExecutionWorkflow;

/// Tasks of workflows at once: they only decide what is next.
const WORKFLOW_TASKS: usize = 100;
/// The first wait before another worker takes the place of one that failed; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The thread `workflow-temporal`: workflows cannot move between threads. Gives what resolves when it has ended, after `stop`.
pub(crate) fn begin(config: TemporalConfig, steps: Steps, stop: CancellationToken) -> std::io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("workflow-temporal".to_owned()).spawn(move || {
        runtime.block_on(work(&config, &steps, &stop));
        let _ = ended.send(());
    })?;
    Ok(end)
}

async fn work(config: &TemporalConfig, steps: &Steps, stop: &CancellationToken) {
    let mut wait = FIRST_WAIT;
    while !stop.is_cancelled() {
        match run(config, steps, stop).await {
            Ok(()) => wait = FIRST_WAIT,
            Err(error) => tracing::warn!(error = &*error, "the worker of the Temporal cluster failed; another one begins"),
        }
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn run(config: &TemporalConfig, steps: &Steps, stop: &CancellationToken) -> Result<(), Problem> {
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let courses = steps.cluster.courses.clone();
    let slots = FixedSizeSlotSupplier::new(config.max_steps.max(1));
    let tuner = TunerHolder::builder()
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .activity_task_slot_supplier(slots)
        .local_activity_task_slot_supplier(slots)
        .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
        .build();
    let options = WorkerOptions::new(config.task_queue.clone())
        .register_activities(steps.clone())
        .register_workflow_with_factory::<ExecutionWorkflow, _>(move || ExecutionWorkflow::new(courses.clone()))?
        .tuner(tuner)
        .max_cached_workflows(config.max_cached)
        .deployment_options(WorkerDeploymentOptions::from_build_id(env!("CARGO_PKG_VERSION").to_owned()))
        .build();
    let mut worker = Worker::new(&runtime, steps.cluster.client.clone(), options)?;
    let shut_down = worker.shutdown_handle();
    let stopping = async {
        stop.cancelled().await;
        shut_down();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = worker.run() => Ok(result?),
        () = stopping => Ok(()),
    }
}
