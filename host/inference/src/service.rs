//! The models as the rest of the host uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_convnet::Isa;
use breakwater_core::{Deadline, Detection, DetectionKind, Failure};
use breakwater_resilience::CpuPermits;
use breakwater_vision::{ContentDigest, Image};

use crate::config::InferenceConfig;
use crate::device::{DeviceReport, Devices, Engines, choice};
use crate::embedding::Embedding;
use crate::engine::convnet::ConvnetEngine;
use crate::error::{self, InferenceError};
use crate::flight::{Flights, Joined};
use crate::found::{Found, FoundCache, Key};
use crate::graph::weights::Network;
use crate::model::{Model, ModelInfo};
use crate::self_test;
use crate::statistics::{InferenceStatistics, add};
use crate::worker::{Worker, WorkerConfig};

/// Every model, its device, and what was found before.
pub struct Inference {
    lanes: Vec<Arc<Lane>>,
    devices: Arc<Devices>,
    cache: Arc<FoundCache>,
    flights: Flights<Key, Found>,
    cpu: Arc<CpuPermits>,
    budget: Duration,
}

/// A model and its worker.
struct Lane {
    model: Model,
    info: ModelInfo,
    worker: Worker,
}

impl Inference {
    /// The model that gives features.
    const EMBEDDER: Model = Model::EfficientNetLite0;

    /// Loads the models, chooses the device and starts the threads that feed it. Processor work is done in `cpu`.
    ///
    /// A GPU is taken only if it finds a known face where it is; the first kernels are compiled by that.
    ///
    /// # Errors
    /// When the configuration or the weights are wrong, a demanded GPU is not usable, or a thread cannot be started.
    pub fn start(config: InferenceConfig, cpu: Arc<CpuPermits>) -> Result<Arc<Self>, InferenceError> {
        config.validate()?;
        let side_by_side = config.threads.min(cpu.statistics().threads);
        let permits = Arc::clone(&cpu);
        let engine = ConvnetEngine::new(Isa::best(), Some(Arc::clone(cpu.threads())), side_by_side);
        let processor = Arc::new(engine.beside(Arc::new(move || permits.statistics().running)));
        let yunet = Model::YuNet.load(config.models_dir.as_deref())?;
        let engines = choice::choose(&config, processor, |engine| self_test::check_engine(engine, &yunet))?;
        Self::start_on(config, cpu, engines)
    }

    /// As [`Self::start`], on engines of the caller's choice.
    ///
    /// # Errors
    /// When the configuration or the weights are wrong, or a thread cannot be started.
    pub fn start_on(config: InferenceConfig, cpu: Arc<CpuPermits>, engines: Engines) -> Result<Arc<Self>, InferenceError> {
        config.validate()?;
        let devices = Arc::new(Devices::new(engines));
        let mut lanes = Vec::new();
        for model in Model::ALL {
            let network = model.load(config.models_dir.as_deref())?;
            lanes.push(Arc::new(Lane::start(model, network, &config, &devices, &cpu)?));
        }
        Ok(Arc::new(Self {
            lanes,
            devices,
            cache: Arc::new(FoundCache::new(config.detection_cache_bytes)),
            flights: Flights::new(),
            cpu,
            budget: config.budget,
        }))
    }

    /// The device in use. Changes when a device is lost.
    #[must_use]
    pub fn device(&self) -> DeviceReport {
        self.devices.report()
    }

    /// Every model.
    #[must_use]
    pub fn models(&self) -> Vec<ModelInfo> {
        self.lanes.iter().map(|lane| lane.info.clone()).collect()
    }

    /// What of `kind` is in the image, in its original pixels, most confident first, down to a low floor (0.5 for faces, 0.3 for
    /// people and objects): callers choose their own threshold.
    ///
    /// Answers are remembered by the image's content. Concurrent calls for one image share one inference, which goes on until
    /// the last of them has gone; people and objects come from the same one.
    ///
    /// # Errors
    /// `detector.overloaded` when too many calls wait, `detector.failed` when no device can compute the image,
    /// `detector.unavailable` during shutdown, `call.deadline` when the deadline comes first. None is remembered.
    pub async fn detect(&self, image: &Arc<Image>, kind: DetectionKind, deadline: Deadline) -> Result<Arc<[Detection]>, Failure> {
        self.find(image, Model::of(kind), deadline).await.map(|found| found.of(kind))
    }

    /// The features of the image, by which it can be compared with others. Remembered and shared as [`Self::detect`] does.
    ///
    /// # Errors
    /// `embedder.overloaded` when too many calls wait, `embedder.failed` when no device can compute the image,
    /// `embedder.unavailable` during shutdown, `call.deadline` when the deadline comes first. None is remembered.
    pub async fn embed(&self, image: &Arc<Image>, deadline: Deadline) -> Result<Arc<Embedding>, Failure> {
        let found = self.find(image, Self::EMBEDDER, deadline).await?;
        found.embedding().ok_or_else(|| Failure::internal("the model for features gave none"))
    }

    /// Everything that one model finds in an image.
    async fn find(&self, image: &Arc<Image>, model: Model, deadline: Deadline) -> Result<Found, Failure> {
        let lane = self.lane(model)?;
        let key = (self.digest(image, deadline).await?, lane.model);
        if let Some(found) = self.cache.get(&key) {
            add(&lane.worker.counters().cache_hits, 1);
            return Ok(found);
        }
        let start = || {
            let (lane, image, cpu, cache) = (Arc::clone(lane), Arc::clone(image), Arc::clone(&self.cpu), Arc::clone(&self.cache));
            let deadline = Deadline::after(self.budget);
            async move {
                // A device that hangs must not hold the flight: those who come after its end start anew.
                let found = deadline.bound("the inference", lane.infer(image, &cpu, deadline)).await??;
                cache.insert(key, found.clone());
                Ok(found)
            }
        };
        let (joined, result) = self.flights.join(key, deadline, || self.cache.get(&key), start).await;
        let counters = lane.worker.counters();
        add(
            match joined {
                Joined::Ready => &counters.cache_hits,
                Joined::Shared => &counters.joined,
                Joined::Started => &counters.cache_misses,
            },
            1,
        );
        result
    }

    /// What was found before, if it is still remembered.
    #[must_use]
    pub fn cached(&self, image: &Image, kind: DetectionKind) -> Option<Arc<[Detection]>> {
        self.cache.get(&(image.digest(), Model::of(kind))).map(|found| found.of(kind))
    }

    /// The features of the image, if they are still remembered.
    #[must_use]
    pub fn cached_embedding(&self, image: &Image) -> Option<Arc<Embedding>> {
        self.cache.get(&(image.digest(), Self::EMBEDDER)).and_then(|found| found.embedding())
    }

    /// Sends a picture with a known face through the queue and the device, past the cache, and says how long that took.
    ///
    /// # Errors
    /// When a worker is gone, or the face is not found where it is.
    pub async fn self_test(&self) -> Result<Duration, Failure> {
        let start = Instant::now();
        if let Some(dead) = self.lanes.iter().find(|lane| !lane.worker.is_alive()) {
            return Err(error::unavailable(dead.model.name()));
        }
        let lane = self.lane(Model::YuNet)?;
        let deadline = Deadline::after(self.budget);
        let slot = lane.worker.admit()?;
        let run = deadline.bound("the self-test", slot.run(self_test::frame(), deadline)).await??;
        let wrong = |what: String| Failure::internal(format!("the self-test failed: {what}")).from_origin("detector:yunet");
        let found = lane.model.read(&run.outputs, run.image, self_test::SIZE).map_err(|error| wrong(error.to_string()))?;
        self_test::check(&found).map_err(wrong)?;
        Ok(start.elapsed())
    }

    /// Counts since the start.
    #[must_use]
    pub fn statistics(&self) -> InferenceStatistics {
        let (cache_entries, cache_bytes) = self.cache.size();
        InferenceStatistics {
            models: self.lanes.iter().map(|lane| (lane.model.name(), lane.worker.statistics())).collect(),
            cache_entries,
            cache_bytes,
            devices_lost: self.devices.lost(),
        }
    }

    /// Refuses new calls and waits for those under way.
    pub async fn shutdown(&self) {
        for lane in &self.lanes {
            lane.worker.close();
        }
        for lane in &self.lanes {
            lane.worker.ended().await;
        }
    }

    /// The image's digest; that of a large file is computed on the pool, once.
    async fn digest(&self, image: &Arc<Image>, deadline: Deadline) -> Result<ContentDigest, Failure> {
        const QUICK: usize = 1 << 20;
        if image.source().len() <= QUICK {
            return Ok(image.digest());
        }
        let image = Arc::clone(image);
        self.cpu.compute(deadline, move || image.digest()).await
    }

    fn lane(&self, model: Model) -> Result<&Arc<Lane>, Failure> {
        let found = self.lanes.iter().find(|lane| lane.model == model);
        found.ok_or_else(|| error::unavailable(model.name()))
    }
}

impl Lane {
    fn start(
        model: Model,
        network: Network,
        config: &InferenceConfig,
        devices: &Arc<Devices>,
        cpu: &Arc<CpuPermits>,
    ) -> Result<Self, InferenceError> {
        let info = model.info(&network);
        let config = WorkerConfig {
            model: model.name(),
            network,
            normalisation: model.normalisation(),
            max_batch: config.max_batch,
            max_delay: config.max_delay,
            queue: config.queue,
        };
        Ok(Self { model, info, worker: Worker::start(config, devices, cpu)? })
    }

    /// Prepares the image on the pool, runs it in a batch, reads the result on the pool.
    async fn infer(&self, image: Arc<Image>, cpu: &CpuPermits, deadline: Deadline) -> Result<Found, Failure> {
        let slot = self.worker.admit()?;
        let model = self.model;
        let original = image.size();
        let frame = cpu.go_on(deadline, move || model.frame(&image)).await?;
        let run = slot.run(frame, deadline).await?;
        let read = move || model.read(&run.outputs, run.image, original).map_err(|cause| error::failed(model.name(), cause));
        cpu.go_on(deadline, read).await?
    }
}
