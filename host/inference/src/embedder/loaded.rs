//! An embedder that serves: its worker, and the way of one input through it.

use std::sync::Arc;

use breakwater_core::{Deadline, Digest, Failure, Size};
use breakwater_resilience::CpuPermits;
use breakwater_vision::Image;

use crate::array::Array;
use crate::device::Devices;
use crate::embedder::preparation::Preparation;
use crate::embedder::{EmbedderInfo, Overlong, Parts, Priority};
use crate::embedding::Embedding;
use crate::engine::{DeviceKind, EngineError};
use crate::error::{self, Name};
use crate::graph::shape::Shape;
use crate::metadata::{EMBEDDING, IMAGE, ModelMetadata, PIXELS, TEXT, TOKENS, spec};
use crate::statistics::{Counters, ModelStatistics};
use crate::tensor::DataType;
use crate::worker::job::Job;
use crate::worker::{Bounds, Fault, Run, Slot, Worker, WorkerConfig};

/// An embedder that serves. Once the last call lets go of it, its threads end and its weights are given back.
pub(crate) struct Loaded {
    name: Name,
    info: EmbedderInfo,
    preparation: Preparation,
    devices: Arc<Devices>,
    worker: Worker,
}

impl Loaded {
    /// Starts the threads. Weights go onto the device with the first run.
    pub(crate) fn start(
        parts: Parts,
        bounds: Bounds,
        devices: &Arc<Devices>,
        cpu: &Arc<CpuPermits>,
        counters: &Arc<Counters>,
    ) -> std::io::Result<Self> {
        let Parts { info, program, preparation } = parts;
        let name = Name::embedder(Arc::clone(&info.id));
        let config = WorkerConfig { model: name.clone(), program, bounds, probe: preparation.probe() };
        let worker = Worker::start_counted(config, devices, cpu, Arc::clone(counters))?;
        Ok(Self { name, info, preparation, devices: Arc::clone(devices), worker })
    }

    /// As its users see it.
    pub(crate) fn info(&self) -> EmbedderInfo {
        EmbedderInfo { device: self.devices.report().name, ..self.info.clone() }
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn revision(&self) -> Digest {
        self.info.revision
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn statistics(&self) -> ModelStatistics {
        self.worker.statistics()
    }

    /// See [`Preparation::raster`].
    pub(crate) fn raster(&self, image: Size) -> Size {
        self.preparation.raster(image)
    }

    /// Whether it takes images.
    ///
    /// # Errors
    /// `embedder.no-image`.
    pub(crate) fn takes_images(&self) -> Result<(), Failure> {
        if self.info.images {
            return Ok(());
        }
        let message = "the model takes texts only; choose one that takes images";
        Err(Failure::invalid("embedder.no-image", message).from_origin(self.name.origin()))
    }

    /// Whether this could be a text for it.
    ///
    /// # Errors
    /// `embedder.no-text`, `embedder.empty-text`.
    pub(crate) fn takes_text(&self, text: &str) -> Result<(), Failure> {
        if !self.info.texts {
            return Err(self.no_text());
        }
        if text.trim().is_empty() {
            return Err(Failure::invalid("embedder.empty-text", "the text is empty").from_origin(self.name.origin()));
        }
        Ok(())
    }

    fn no_text(&self) -> Failure {
        let message = "the model takes images only; choose one that takes texts too";
        Failure::invalid("embedder.no-text", message).from_origin(self.name.origin())
    }

    /// The text's tokens. Takes the processor for a while.
    pub(crate) fn tokens(&self, text: &str, overlong: Overlong) -> Result<Arc<[u32]>, Failure> {
        let tokens = self.preparation.tokens(text, overlong).unwrap_or_else(|| Err(self.no_text()));
        tokens.map(Arc::from).map_err(|failure| failure.from_origin(self.name.origin()))
    }

    /// Prepares the image on the pool, runs it in a batch.
    pub(crate) async fn image(
        self: &Arc<Self>,
        image: Arc<Image>,
        priority: Priority,
        cpu: &CpuPermits,
        deadline: Deadline,
    ) -> Result<Embedding, Fault> {
        let slot = self.worker.admit(priority)?;
        let this = Arc::clone(self);
        let frame = cpu.go_on(deadline, move || this.preparation.frame(&image)).await?;
        let frame = frame.ok_or_else(|| Failure::internal("the model takes no images"))?;
        self.one(slot, Job::Frame(frame), deadline).await
    }

    /// Runs a text's tokens in a batch.
    pub(crate) async fn text(&self, tokens: Arc<[u32]>, priority: Priority, deadline: Deadline) -> Result<Embedding, Fault> {
        let context = self.preparation.context().ok_or_else(|| self.no_text())?;
        let slot = self.worker.admit(priority)?;
        self.one(slot, Job::Tokens(tokens, context), deadline).await
    }

    /// Runs images as their numbers.
    pub(crate) async fn planes(&self, planes: Array, priority: Priority, deadline: Deadline) -> Result<Vec<Embedding>, Fault> {
        let (count, slot) = (planes.shape().images, self.worker.admit(priority)?);
        let run = slot.run(Job::Planes(planes), deadline).await?;
        let each = |image| self.read(&Run { image, outputs: Arc::clone(&run.outputs) });
        (0..count).map(each).collect::<Result<_, _>>().map_err(|cause| error::failed(&self.name, cause).into())
    }

    async fn one(&self, slot: Slot, job: Job, deadline: Deadline) -> Result<Embedding, Fault> {
        let run = slot.run(job, deadline).await?;
        // The run ended, so it is this input that has no direction.
        self.read(&run).map_err(|cause| Fault { failure: error::failed(&self.name, cause), poison: true })
    }

    /// The direction that a run found.
    fn read(&self, run: &Run) -> Result<Embedding, EngineError> {
        let features = run.outputs.get(self.preparation.output())?;
        Embedding::of(&self.name.id, self.info.revision, features, run.image)
    }

    /// Lets the device compute something, so that whatever it does once is done: weights are there, kernels are compiled for every
    /// number of images that a batch is padded to.
    pub(crate) async fn warm_up(&self, max_batch: usize, deadline: Deadline) -> Result<(), Failure> {
        let gpu = self.devices.report().kind == DeviceKind::Gpu;
        let most = if gpu { max_batch } else { 1 };
        let batches = || std::iter::successors(Some(1usize), |batch| batch.checked_mul(2)).take_while(|batch| *batch <= most);
        if let Some(input) = self.preparation.input() {
            for batch in batches() {
                let shape = Shape::new(batch, 3, input.height as usize, input.width as usize);
                let planes = Array::new(shape, vec![0.1; shape.elements().unwrap_or(0)]);
                let planes = planes.map_err(|error| Failure::internal(error.to_string()))?;
                self.planes(planes, Priority::Bulk, deadline).await.map_err(|fault| fault.failure)?;
            }
        }
        // Texts come one by one from people who wait; larger batches are compiled when the first one comes.
        let Some(context) = self.preparation.context() else { return Ok(()) };
        for length in if gpu { vec![8, 16, 32, context] } else { vec![8] } {
            let Some(text) = self.preparation.any_text(length.min(context)) else { continue };
            let slot = self.worker.admit(Priority::Bulk)?;
            self.one(slot, text, deadline).await.map_err(|fault| fault.failure)?;
        }
        Ok(())
    }

    /// Names of the tensors it takes, one at a time.
    pub(crate) fn inputs(&self) -> Vec<&'static str> {
        let kinds = [(self.info.images, PIXELS), (self.info.images, IMAGE), (self.info.texts, TEXT)];
        let kinds = kinds.into_iter().chain([(self.preparation.context().is_some(), TOKENS)]);
        kinds.filter_map(|(takes, name)| takes.then_some(name)).collect()
    }

    /// What it takes and gives, as tensors.
    pub(crate) fn metadata(&self) -> ModelMetadata {
        let input = self.preparation.input().unwrap_or(Size::new(0, 0));
        let one = |name| match name {
            PIXELS => spec(name, DataType::Fp32, [-1, 3, input.height.into(), input.width.into()]),
            TOKENS => spec(name, DataType::Int64, [-1, -1]),
            _ => spec(name, DataType::Bytes, [-1]),
        };
        ModelMetadata {
            name: Arc::clone(&self.name.id),
            platform: self.devices.report().name,
            revision: self.info.revision,
            inputs: self.inputs().into_iter().map(one).collect(),
            outputs: vec![spec(EMBEDDING, DataType::Fp32, [-1, self.info.dimension.into()])],
        }
    }
}

/// The input is in quarantine.
pub(crate) fn quarantined(name: &Name) -> Failure {
    let message = "the model failed on this input before, so it is not tried again for a while";
    Failure::limit("embedder.quarantined", message).from_origin(name.origin())
}
