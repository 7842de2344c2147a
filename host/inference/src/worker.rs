//! The threads of a model, which take images from a bounded queue and run them in batches: as many as the device with the most of
//! them could use, of which the queue gives work to as many as the device in use wants.

pub(crate) mod job;
mod queue;
mod runner;

pub(crate) use runner::message as panic_message;

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use breakwater_core::{Deadline, Failure};
use breakwater_resilience::CpuPermits;
use tokio::sync::{oneshot, watch};

use crate::array::Outputs;
use crate::device::Devices;
use crate::embedder::Priority;
use crate::engine::EngineError;
use crate::error::{self, Name};
use crate::statistics::{Counters, ModelStatistics, add};
use job::{Job, Program};
pub(crate) use queue::Bounds;
use queue::{Item, Queue};
use runner::{RunError, Runner};

/// What a worker needs to know.
pub(crate) struct WorkerConfig {
    pub(crate) model: Name,
    pub(crate) program: Program,
    pub(crate) bounds: Bounds,
    /// An input that a working device computes. With it, an input that fails alone is told from a device that fails.
    pub(crate) probe: Option<Job>,
}

/// The outputs of a batch, and which of its images or texts is ours: the first, where the job held several.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) image: usize,
}

/// Why a job has no outputs.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// The input is what fails: alone it does, and another on the same device does not.
    pub(crate) poison: bool,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, poison: false }
    }
}

/// A model's threads.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    model: Name,
    ended: watch::Receiver<bool>,
}

impl Worker {
    /// Starts the threads. They end after [`Worker::close`], or when the worker is dropped, once every call admitted before is done.
    pub(crate) fn start(config: WorkerConfig, devices: &Arc<Devices>, cpu: &Arc<CpuPermits>) -> std::io::Result<Self> {
        Self::start_counted(config, devices, cpu, Arc::default())
    }

    /// As [`Worker::start`], counting in `counters`.
    pub(crate) fn start_counted(
        config: WorkerConfig,
        devices: &Arc<Devices>,
        cpu: &Arc<CpuPermits>,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(config.bounds));
        let (end, ended) = watch::channel(false);
        let WorkerConfig { model, program, probe, .. } = config;
        let threads = Threads { queue: Arc::clone(&queue), counters: Arc::clone(&counters), model: model.clone(), probe, end };
        let threads = Arc::new(threads);
        let moved = Arc::downgrade(&queue);
        devices.on_move(move || moved.upgrade().into_iter().for_each(|queue| queue.wake()));
        // Made before its threads: should one of them not start, dropping it ends the others.
        let worker = Self { queue, counters, model, ended };
        for index in 0..devices.most_at_once() {
            let counters = Arc::clone(&worker.counters);
            let runner = Runner::new(program.clone(), Arc::clone(devices), Arc::clone(cpu), counters);
            let threads = Arc::clone(&threads);
            thread::Builder::new().name(format!("{}-{index}", worker.model.id)).spawn(move || threads.serve(runner))?;
        }
        Ok(worker)
    }

    /// Takes a place among the calls of this model, before the image is prepared.
    ///
    /// # Errors
    /// `detector.overloaded` when there is none left, `detector.unavailable` after [`Worker::close`].
    pub(crate) fn admit(&self, priority: Priority) -> Result<Slot, Failure> {
        match self.queue.admit(priority) {
            Ok(()) => Ok(Slot { queue: Arc::clone(&self.queue), model: self.model.clone(), priority, used: false }),
            Err(queue::Refused::Closed) => Err(error::unavailable(&self.model)),
            Err(queue::Refused::Full) => {
                add(&self.counters.rejected, 1);
                Err(error::overloaded(&self.model))
            }
        }
    }

    /// Refuses further calls.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    /// Waits until the threads have done every call admitted before [`Worker::close`].
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the threads are gone, which is what is waited for.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// Whether there is a thread.
    pub(crate) fn is_alive(&self) -> bool {
        !*self.ended.borrow() && self.ended.has_changed().is_ok()
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn statistics(&self) -> ModelStatistics {
        self.counters.read(self.queue.depth())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A place among the calls of a model. Dropping it gives it back.
pub(crate) struct Slot {
    queue: Arc<Queue>,
    model: Name,
    priority: Priority,
    used: bool,
}

impl Slot {
    /// Queues the job and waits for its run. Dropping the future takes it out of the queue, unless it is running already.
    pub(crate) async fn run(mut self, job: Job, deadline: Deadline) -> Result<Run, Fault> {
        let (reply, result) = oneshot::channel();
        self.used = true;
        self.queue.push(Item { bucket: job.bucket(), job, priority: self.priority, deadline, reply, since: Instant::now() });
        let lost = || Failure::internal(format!("the worker of {} dropped a call", self.model.id)).into();
        result.await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.used {
            self.queue.give_back();
        }
    }
}

/// The threads' side. However the last of them ends, calls that still wait are told so, and no more come.
struct Threads {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    model: Name,
    probe: Option<Job>,
    end: watch::Sender<bool>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.abandon();
        // Nobody may be waiting for the end.
        self.end.send_replace(true);
    }
}

/// A batch under way.
struct Running<'a>(&'a Queue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl Threads {
    fn serve(&self, mut runner: Runner) {
        while let Some(taken) = self.queue.next(|| runner.load()) {
            add(&self.counters.abandoned, taken.cancelled + taken.expired.len() as u64);
            for item in taken.expired {
                let late = item.deadline.has_passed();
                let failure = if late { error::expired(&self.model) } else { error::overloaded(&self.model) };
                item.answer(Err(failure.into()));
            }
            if !taken.batch.is_empty() {
                let _running = Running(&self.queue);
                self.run(&mut runner, taken.batch);
            }
        }
    }

    fn run(&self, runner: &mut Runner, batch: Vec<Item>) {
        let jobs: Vec<&Job> = batch.iter().map(|item| &item.job).collect();
        self.counters.batch(jobs.iter().map(|job| job.count() as u64).sum());
        // As long as anyone waits.
        let Some(deadline) = batch.iter().map(|item| item.deadline).max() else { return };
        match runner.run(&jobs, deadline) {
            Ok(outputs) => {
                let outputs = Arc::new(outputs);
                for (image, item) in batch.into_iter().enumerate() {
                    item.answer(Ok(Run { outputs: Arc::clone(&outputs), image }));
                }
            }
            Err(RunError::Engine(cause)) if batch.len() > 1 => {
                tracing::warn!(model = &*self.model.id, images = batch.len(), %cause, "a batch failed; its images run one by one");
                for item in batch {
                    match runner.run(&[&item.job], item.deadline) {
                        Ok(outputs) => item.answer(Ok(Run { outputs: Arc::new(outputs), image: 0 })),
                        Err(cause) => self.fail(runner, item, cause),
                    }
                }
            }
            Err(cause) => {
                for item in batch {
                    self.fail(runner, item, cause.clone());
                }
            }
        }
    }

    fn fail(&self, runner: &mut Runner, item: Item, cause: RunError) {
        let fault = match cause {
            RunError::Engine(cause) => {
                add(&self.counters.failures, 1);
                tracing::warn!(model = &*self.model.id, %cause, "inference failed");
                // Only what an input could have done to the device: an input that was refused harmed nothing.
                let harmful = !matches!(cause, EngineError::Input(_) | EngineError::Refused { .. });
                let works = |probe| runner.run(&[probe], item.deadline).is_ok();
                let poison = harmful && self.probe.as_ref().is_some_and(works);
                Fault { failure: error::failed(&self.model, cause), poison }
            }
            RunError::Permit(failure) => {
                add(&self.counters.abandoned, 1);
                failure.into()
            }
        };
        item.answer(Err(fault));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::Engines;
    use crate::engine::burn::BurnEngine;
    use crate::model::Model;
    use crate::self_test;

    #[tokio::test]
    async fn a_run_on_the_processor_waits_for_a_permit_as_long_as_its_caller_does() {
        let cpu = CpuPermits::start("cpu", 1, 1).unwrap();
        let engines = Engines { preferred: Arc::new(BurnEngine::cpu(None)), fallback: None, reason: "a test".to_owned() };
        let program = Model::YuNet.program(Model::YuNet.load(None).unwrap());
        let bounds = Bounds { capacity: 1, max_batch: 1, max_delay: Duration::ZERO, max_wait: Duration::from_secs(60) };
        let config = WorkerConfig { model: Name::detector("yunet"), program, bounds, probe: None };
        let worker = Worker::start(config, &Arc::new(Devices::new(engines)), &cpu).unwrap();
        let run = |budget| worker.admit(Priority::Interactive).unwrap().run(Job::Frame(self_test::frame()), Deadline::after(budget));

        let permit = cpu.permit(Deadline::after(Duration::from_secs(60))).unwrap();
        assert_eq!(run(Duration::from_millis(20)).await.unwrap_err().failure.code, "call.deadline");
        let statistics = worker.statistics();
        assert_eq!((statistics.runs, statistics.failures, statistics.abandoned), (0, 0, 1));
        drop(permit);
        run(Duration::from_secs(60)).await.unwrap();
        assert_eq!(worker.statistics().runs, 1);
    }
}
