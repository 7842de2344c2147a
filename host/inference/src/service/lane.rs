//! A detector and its worker.

use std::sync::Arc;

use breakwater_core::{Deadline, Failure, Size};
use breakwater_resilience::CpuPermits;
use breakwater_vision::Image;

use crate::config::InferenceConfig;
use crate::device::Devices;
use crate::embedder::Priority;
use crate::error::{self, InferenceError, Name};
use crate::found::Found;
use crate::graph::shape::Shape;
use crate::graph::weights::Network;
use crate::model::{Model, ModelInfo};
use crate::nanodet;
use crate::worker::job::Job;
use crate::worker::{Worker, WorkerConfig};

pub(super) struct Lane {
    pub(super) model: Model,
    pub(super) name: Name,
    pub(super) info: ModelInfo,
    pub(super) network: Network,
    pub(super) worker: Worker,
}

impl Lane {
    pub(super) fn start(
        model: Model,
        network: Network,
        config: &InferenceConfig,
        devices: &Arc<Devices>,
        cpu: &Arc<CpuPermits>,
    ) -> Result<Self, InferenceError> {
        let (info, name) = (model.info(&network), Name::detector(model.name()));
        let config = WorkerConfig { model: name.clone(), program: model.program(network.clone()), bounds: config.bounds(), probe: None };
        Ok(Self { model, name, info, network, worker: Worker::start(config, devices, cpu)? })
    }

    /// A shape of input that the network takes.
    pub(super) fn usual(&self) -> Shape {
        let size = self.model.place(Size::new(nanodet::EDGE, nanodet::EDGE)).input;
        Shape::new(1, 3, size.height as usize, size.width as usize)
    }

    /// Prepares the image on the pool, runs it in a batch, reads the result on the pool.
    pub(super) async fn infer(&self, image: Arc<Image>, cpu: &CpuPermits, deadline: Deadline) -> Result<Found, Failure> {
        let slot = self.worker.admit(Priority::Interactive)?;
        let (model, name) = (self.model, self.name.clone());
        let original = image.size();
        let frame = cpu.go_on(deadline, move || model.frame(&image)).await?;
        let run = slot.run(Job::Frame(frame), deadline).await.map_err(|fault| fault.failure)?;
        let read = move || model.read(&run.outputs, run.image, original).map_err(|cause| error::failed(&name, cause));
        cpu.go_on(deadline, read).await?
    }
}
