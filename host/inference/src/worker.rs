//! The threads of a model, which take images from a bounded queue and run them in batches: as many as the device with the most of
//! them could use, of which the queue gives work to as many as the device in use wants.

mod queue;
mod runner;

pub(crate) use runner::message as panic_message;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use breakwater_core::{Deadline, Failure};
use breakwater_resilience::CpuPermits;
use tokio::sync::{oneshot, watch};

use crate::array::Outputs;
use crate::batch::Normalisation;
use crate::device::Devices;
use crate::error;
use crate::frame::Frame;
use crate::graph::weights::Network;
use crate::statistics::{Counters, ModelStatistics, add};
use queue::{Item, Queue};
use runner::{RunError, Runner};

/// What a worker needs to know.
pub(crate) struct WorkerConfig {
    pub(crate) model: &'static str,
    pub(crate) network: Network,
    pub(crate) normalisation: Normalisation,
    pub(crate) max_batch: usize,
    pub(crate) max_delay: Duration,
    pub(crate) queue: usize,
}

/// The outputs of a batch, and which image of it is ours.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) image: usize,
}

/// A model's threads.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    model: &'static str,
    ended: watch::Receiver<bool>,
}

impl Worker {
    /// Starts the threads. They end after [`Worker::close`], or when the worker is dropped, once every call admitted before is done.
    pub(crate) fn start(config: WorkerConfig, devices: &Arc<Devices>, cpu: &Arc<CpuPermits>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(config.queue, config.max_batch, config.max_delay));
        let counters = Arc::new(Counters::default());
        let (end, ended) = watch::channel(false);
        let WorkerConfig { model, network, normalisation, .. } = config;
        let threads = Arc::new(Threads { queue: Arc::clone(&queue), counters: Arc::clone(&counters), model, end });
        let moved = Arc::downgrade(&queue);
        devices.on_move(move || moved.upgrade().into_iter().for_each(|queue| queue.wake()));
        // Made before its threads: should one of them not start, dropping it ends the others.
        let worker = Self { queue, counters, model, ended };
        for index in 0..devices.most_at_once() {
            let counters = Arc::clone(&worker.counters);
            let runner = Runner::new(network.clone(), normalisation.clone(), Arc::clone(devices), Arc::clone(cpu), counters);
            let threads = Arc::clone(&threads);
            thread::Builder::new().name(format!("{model}-{index}")).spawn(move || threads.serve(runner))?;
        }
        Ok(worker)
    }

    /// Takes a place among the calls of this model, before the image is prepared.
    ///
    /// # Errors
    /// `detector.overloaded` when there is none left, `detector.unavailable` after [`Worker::close`].
    pub(crate) fn admit(&self) -> Result<Slot, Failure> {
        match self.queue.admit() {
            Ok(()) => Ok(Slot { queue: Arc::clone(&self.queue), model: self.model, used: false }),
            Err(queue::Refused::Closed) => Err(error::unavailable(self.model)),
            Err(queue::Refused::Full) => {
                add(&self.counters.rejected, 1);
                Err(error::overloaded(self.model))
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

    pub(crate) fn counters(&self) -> &Counters {
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
    model: &'static str,
    used: bool,
}

impl Slot {
    /// Queues the image and waits for its run. Dropping the future takes it out of the queue, unless it is running already.
    pub(crate) async fn run(mut self, frame: Frame, deadline: Deadline) -> Result<Run, Failure> {
        let (reply, result) = oneshot::channel();
        self.used = true;
        self.queue.push(Item { frame, deadline, reply, since: Instant::now() });
        let lost = || Failure::internal(format!("the worker of {} dropped a call", self.model));
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
    model: &'static str,
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
                item.answer(Err(error::expired(self.model)));
            }
            if !taken.batch.is_empty() {
                let _running = Running(&self.queue);
                self.run(&mut runner, taken.batch);
            }
        }
    }

    fn run(&self, runner: &mut Runner, batch: Vec<Item>) {
        add(&self.counters.batches, 1);
        add(&self.counters.images, batch.len() as u64);
        let frames: Vec<&Frame> = batch.iter().map(|item| &item.frame).collect();
        // As long as anyone waits.
        let Some(deadline) = batch.iter().map(|item| item.deadline).max() else { return };
        match runner.run(&frames, deadline) {
            Ok(outputs) => {
                let outputs = Arc::new(outputs);
                for (image, item) in batch.into_iter().enumerate() {
                    item.answer(Ok(Run { outputs: Arc::clone(&outputs), image }));
                }
            }
            Err(RunError::Engine(cause)) if batch.len() > 1 => {
                tracing::warn!(model = self.model, images = batch.len(), %cause, "a batch failed; its images run one by one");
                for item in batch {
                    match runner.run(&[&item.frame], item.deadline) {
                        Ok(outputs) => item.answer(Ok(Run { outputs: Arc::new(outputs), image: 0 })),
                        Err(cause) => self.fail(item, cause),
                    }
                }
            }
            Err(cause) => {
                for item in batch {
                    self.fail(item, cause.clone());
                }
            }
        }
    }

    fn fail(&self, item: Item, cause: RunError) {
        item.answer(Err(match cause {
            RunError::Engine(cause) => {
                add(&self.counters.failures, 1);
                tracing::warn!(model = self.model, %cause, "inference failed");
                error::failed(self.model, cause)
            }
            RunError::Permit(failure) => {
                add(&self.counters.abandoned, 1);
                failure
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Engines;
    use crate::engine::burn::BurnEngine;
    use crate::model::Model;
    use crate::self_test;

    #[tokio::test]
    async fn a_run_on_the_processor_waits_for_a_permit_as_long_as_its_caller_does() {
        let cpu = CpuPermits::start("cpu", 1, 1).unwrap();
        let engines = Engines { preferred: Arc::new(BurnEngine::cpu(None)), fallback: None, reason: "a test".to_owned() };
        let (network, normalisation) = (Model::YuNet.load(None).unwrap(), Model::YuNet.normalisation());
        let config = WorkerConfig { model: "yunet", network, normalisation, max_batch: 1, max_delay: Duration::ZERO, queue: 1 };
        let worker = Worker::start(config, &Arc::new(Devices::new(engines)), &cpu).unwrap();
        let run = |budget| worker.admit().unwrap().run(self_test::frame(), Deadline::after(budget));

        let permit = cpu.permit(Deadline::after(Duration::from_secs(60))).unwrap();
        assert_eq!(run(Duration::from_millis(20)).await.unwrap_err().code, "call.deadline");
        let statistics = worker.statistics();
        assert_eq!((statistics.runs, statistics.failures, statistics.abandoned), (0, 0, 1));
        drop(permit);
        run(Duration::from_secs(60)).await.unwrap();
        assert_eq!(worker.statistics().runs, 1);
    }
}
