//! Runs batches on the device in use, and moves on when it fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{Deadline, Failure};
use breakwater_resilience::CpuPermits;

use crate::array::Outputs;
use crate::device::Devices;
use crate::engine::{DeviceKind, EngineError, Session};
use crate::statistics::{Counters, add};
use crate::worker::job::{Job, Program};
use crate::worker::queue::Load;

/// A model and the device it is on.
pub(crate) struct Runner {
    program: Program,
    devices: Arc<Devices>,
    cpu: Arc<CpuPermits>,
    counters: Arc<Counters>,
    /// The model on the engine of a generation.
    session: Option<(u64, Box<dyn Session>)>,
}

impl Runner {
    pub(crate) fn new(program: Program, devices: Arc<Devices>, cpu: Arc<CpuPermits>, counters: Arc<Counters>) -> Self {
        Self { program, devices, cpu, counters, session: None }
    }

    /// How much the device in use should be given.
    pub(crate) fn load(&self) -> Load {
        let (_, engine) = self.devices.current();
        Load { batch: self.program.preferred_batch(engine.as_ref()), at_once: engine.concurrency() }
    }

    /// Runs a batch, on the next device if this one fails. A panic counts as a failure of the device. On the processor it holds
    /// a permit, which it waits for until the deadline.
    ///
    /// # Errors
    /// When the batch is not one the network takes, the last device failed, or no permit came in time.
    pub(crate) fn run(&mut self, jobs: &[&Job], deadline: Deadline) -> Result<Outputs, RunError> {
        let images = jobs.iter().map(|job| job.count()).sum();
        loop {
            let (generation, engine) = self.devices.current();
            let _permit = match engine.kind() {
                DeviceKind::Cpu => Some(self.cpu.permit(deadline).map_err(RunError::Permit)?),
                DeviceKind::Gpu => None,
            };
            let session = self.session.take().filter(|(known, _)| *known == generation).map(|(_, session)| session);
            add(&self.counters.runs, 1);
            let start = Instant::now();
            let attempt = catch_unwind(AssertUnwindSafe(|| -> Result<_, EngineError> {
                let mut session = session.map_or_else(|| self.program.prepare(engine.as_ref()), Ok)?;
                let run = self.program.with_batch(jobs, |batch| session.run(batch));
                let result = run.and_then(|outputs| complete(outputs, images));
                Ok((session, result))
            }));
            add(&self.counters.busy_micros, u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            let error = match attempt {
                Ok(Ok((session, Ok(outputs)))) => {
                    self.session = Some((generation, session));
                    return Ok(outputs);
                }
                Ok(Ok((session, Err(error @ (EngineError::Input(_) | EngineError::Refused { .. }))))) => {
                    self.session = Some((generation, session));
                    return Err(RunError::Engine(error));
                }
                // Files that fit no model are no fault of the device.
                Ok(Err(error @ EngineError::Refused { .. })) => return Err(RunError::Engine(error)),
                Ok(Ok((_, Err(error))) | Err(error)) => error,
                Err(panic) => EngineError::Device { what: format!("it panicked: {}", message(panic.as_ref())) },
            };
            // The session that failed is gone; a new one is made for whatever comes next.
            if !self.devices.give_up(generation, &error.to_string()) {
                return Err(RunError::Engine(error));
            }
        }
    }
}

/// Why a batch has no outputs.
#[derive(Debug, Clone)]
pub(crate) enum RunError {
    /// The engine did not compute them.
    Engine(EngineError),
    /// The processor had no time for it.
    Permit(Failure),
}

/// Outputs of every image of the batch, or a failed device.
fn complete(outputs: Outputs, images: usize) -> Result<Outputs, EngineError> {
    let incomplete = outputs.iter().find(|(_, array)| array.shape().images != images);
    match incomplete {
        Some((name, array)) => {
            let what = format!("output {name:?} holds {} images of {images}", array.shape().images);
            Err(EngineError::Output { what })
        }
        None => Ok(outputs),
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
