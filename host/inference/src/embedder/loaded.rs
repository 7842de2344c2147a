//! An embedder that serves: its worker, and the way of one input through it.

use std::sync::Arc;

use breakwater_core::{Deadline, Digest, Failure, Size};
use breakwater_resilience::CpuPermits;
use breakwater_vision::{Image, RgbImage};

use crate::array::Array;
use crate::device::Devices;
use crate::efficientnet_lite0;
use crate::embedder::{EmbedderInfo, Overlong, Priority};
use crate::embedding::Embedding;
use crate::engine::{DeviceKind, EngineError};
use crate::error::{self, Name};
use crate::frame::Frame;
use crate::graph::shape::Shape;
use crate::metadata::{EMBEDDING, IMAGE, ModelMetadata, PIXELS, TEXT, TOKENS, spec};
use crate::model::Model;
use crate::statistics::{Counters, ModelStatistics};
use crate::tensor::DataType;
use crate::worker::job::{Job, Program};
use crate::worker::{Bounds, Fault, Run, Worker, WorkerConfig};

/// What an embedder is made of before it serves.
pub(crate) struct Parts {
    pub(crate) info: EmbedderInfo,
    pub(crate) program: Program,
    pub(crate) preparation: Preparation,
}

/// How inputs become what the network takes.
pub(crate) enum Preparation {
    /// Of EfficientNet-Lite0.
    Lite0,
}

/// An embedder that serves. Once the last call lets go of it, its threads end and its weights are given back.
pub(crate) struct Loaded {
    name: Name,
    info: EmbedderInfo,
    preparation: Preparation,
    devices: Arc<Devices>,
    worker: Worker,
}

impl Parts {
    /// EfficientNet-Lite0 with these weights.
    pub(crate) fn lite0(folder: Option<&std::path::Path>) -> Result<Self, crate::InferenceError> {
        let model = Model::EfficientNetLite0;
        let network = model.load(folder)?;
        let known = model.info(&network);
        let preparation = "rgb; short side 256, smooth; centre 224; mean 127, deviation 128; length 1";
        let info = EmbedderInfo {
            id: model.name().into(),
            dimension: efficientnet_lite0::FEATURES as u32,
            revision: Digest::of_parts([model.name().as_bytes(), known.weights.as_bytes(), preparation.as_bytes()]),
            images: true,
            texts: false,
            max_tokens: None,
            input: known.input.to_owned(),
            licence: Some(known.licence.to_owned()),
            parameters: known.parameters as u64,
            device: String::new(),
        };
        Ok(Self { info, program: model.program(network), preparation: Preparation::Lite0 })
    }
}

impl Preparation {
    /// The smallest raster of an image of this size from which the network sees what it would see of the whole.
    fn raster(&self, image: Size) -> Size {
        match self {
            Self::Lite0 => {
                let scaled = efficientnet_lite0::scaled(image);
                Size::new(scaled.width.min(image.width), scaled.height.min(image.height))
            }
        }
    }

    /// The image as the network sees it. Takes the processor for a while.
    fn frame(&self, image: &Image) -> Frame {
        match self {
            Self::Lite0 => Model::EfficientNetLite0.frame(image),
        }
    }

    /// The network's output that holds the features.
    fn output(&self) -> &'static str {
        match self {
            Self::Lite0 => efficientnet_lite0::OUTPUT,
        }
    }

    /// Size of the network's input.
    fn input(&self) -> Size {
        match self {
            Self::Lite0 => efficientnet_lite0::INPUT,
        }
    }

    /// A grey picture.
    fn grey(&self) -> Job {
        let input = self.input();
        let pixels = vec![128; input.width as usize * input.height as usize * 3];
        Job::Frame(Frame { content: RgbImage { size: input, pixels }, left: 0, top: 0, input })
    }
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
        let config = WorkerConfig { model: name.clone(), program, bounds, probe: Some(preparation.grey()) };
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

    /// Prepares the image on the pool, runs it in a batch, reads the result on the pool.
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
        self.read(slot.run(Job::Frame(frame), deadline).await?)
    }

    /// Whether this could be a text for it.
    ///
    /// # Errors
    /// `embedder.no-text`, `embedder.empty-text`.
    pub(crate) fn takes_text(&self, text: &str) -> Result<(), Failure> {
        if !self.info.texts {
            let message = "the model takes images only; choose one that takes texts too";
            return Err(Failure::invalid("embedder.no-text", message).from_origin(self.name.origin()));
        }
        if text.trim().is_empty() {
            return Err(Failure::invalid("embedder.empty-text", "the text is empty").from_origin(self.name.origin()));
        }
        Ok(())
    }

    /// The text's tokens. Takes the processor for a while.
    pub(crate) fn tokens(&self, text: &str, _overlong: Overlong) -> Result<Arc<[u32]>, Failure> {
        self.takes_text(text).map(|()| Arc::default())
    }

    /// Runs a text's tokens in a batch.
    pub(crate) async fn text(self: &Arc<Self>, _tokens: Arc<[u32]>, priority: Priority, _deadline: Deadline) -> Result<Embedding, Fault> {
        drop(self.worker.admit(priority)?);
        Err(self.takes_text("").err().unwrap_or_else(|| error::unavailable(&self.name)).into())
    }

    /// Runs images as their numbers.
    pub(crate) async fn planes(&self, planes: Array, priority: Priority, deadline: Deadline) -> Result<Vec<Embedding>, Fault> {
        let (count, slot) = (planes.shape().images, self.worker.admit(priority)?);
        let run = slot.run(Job::Planes(planes), deadline).await?;
        (0..count).map(|image| self.read(Run { image, outputs: Arc::clone(&run.outputs) })).collect()
    }

    /// Lets the device compute something, so that whatever it does once is done: weights are there, kernels are compiled.
    pub(crate) async fn warm_up(&self, max_batch: usize, deadline: Deadline) -> Result<(), Failure> {
        let most = match self.devices.report().kind {
            DeviceKind::Gpu => max_batch,
            DeviceKind::Cpu => 1,
        };
        let batches = std::iter::successors(Some(1usize), |batch| batch.checked_mul(2)).take_while(|batch| *batch <= most);
        let input = self.preparation.input();
        for batch in batches {
            let shape = Shape::new(batch, 3, input.height as usize, input.width as usize);
            let planes =
                Array::new(shape, vec![0.1; shape.elements().unwrap_or(0)]).map_err(|error| Failure::internal(error.to_string()))?;
            self.planes(planes, Priority::Bulk, deadline).await.map_err(|fault| fault.failure)?;
        }
        Ok(())
    }

    /// Names of the tensors it takes, one at a time.
    pub(crate) fn inputs(&self) -> Vec<&'static str> {
        if self.info.texts { vec![PIXELS, IMAGE, TEXT, TOKENS] } else { vec![PIXELS, IMAGE] }
    }

    /// What it takes and gives, as tensors.
    pub(crate) fn metadata(&self) -> ModelMetadata {
        let input = self.preparation.input();
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

    /// The direction that a run found.
    fn read(&self, run: Run) -> Result<Embedding, Fault> {
        let features = run.outputs.get(self.preparation.output()).map_err(EngineError::from);
        let embedding = features.and_then(|features: &Array| Embedding::of(&self.name.id, self.info.revision, features, run.image));
        // The run ended, so it is this input that has no direction.
        embedding.map_err(|cause| Fault { failure: error::failed(&self.name, cause), poison: true })
    }
}

/// The input is in quarantine.
pub(crate) fn quarantined(name: &Name) -> Failure {
    let message = "the model failed on this input before, so it is not tried again for a while";
    Failure::limit("embedder.quarantined", message).from_origin(name.origin())
}
