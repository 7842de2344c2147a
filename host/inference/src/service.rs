//! The models as the rest of the host uses them.

mod embed;
mod lane;
mod loader;
mod models;
mod tensors;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use breakwater_convnet::Isa;
use breakwater_core::{Deadline, Detection, DetectionKind, Failure};
use breakwater_resilience::CpuPermits;
use breakwater_vision::{ContentDigest, Image};

use crate::config::InferenceConfig;
use crate::device::{DeviceReport, Devices, Engines, choice};
use crate::embedder::{Loaded, Parts, Priority, Registry, Slot, Source};
use crate::engine::convnet::ConvnetEngine;
use crate::error::{self, InferenceError, Name};
use crate::flight::Flights;
use crate::found::{By, Subject};
use crate::memory::Memory;
use crate::model::{Model, ModelInfo};
use crate::quarantine::Quarantine;
use crate::self_test;
use crate::statistics::InferenceStatistics;
use crate::worker::job::Job;
use lane::Lane;
use loader::Loader;

/// Every model, its device, and what was found before.
pub struct Inference {
    lanes: Vec<Arc<Lane>>,
    embedders: Registry,
    quarantine: Arc<Quarantine>,
    devices: Arc<Devices>,
    memory: Memory,
    loads: Flights<Arc<str>, ()>,
    loader: Loader,
    cpu: Arc<CpuPermits>,
    config: Arc<InferenceConfig>,
}

impl Inference {
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
        let folder = config.models_dir.as_deref();
        let lane = |model: Model| Ok(Arc::new(Lane::start(model, model.load(folder)?, &config, &devices, &cpu)?));
        let lanes = Model::DETECTORS.into_iter().map(lane).collect::<Result<Vec<_>, InferenceError>>()?;
        let slots = Registry::added(&config)?;
        let parts = Parts::lite0(folder)?;
        let lite0 = Arc::new(Slot::new(Arc::clone(&parts.info.id), Source::Lite0(config.models_dir.clone())));
        lite0.replace(Some(Arc::new(Loaded::start(parts, config.embedder_bounds(), &devices, &cpu, &lite0.counters)?)));
        let default = config.default_embedder.clone().unwrap_or_else(|| Arc::clone(&lite0.name.id));
        let embedders = Registry::new(std::iter::once(lite0).chain(slots).collect(), default)?;
        let (config, closed) = (Arc::new(config), Arc::default());
        let (processor, permits) = (devices.processor(), Arc::clone(&cpu));
        let loader = Loader { devices: Arc::clone(&devices), processor, cpu: permits, config: Arc::clone(&config), closed };
        let this = Arc::new(Self {
            lanes,
            embedders,
            quarantine: Arc::new(Quarantine::new(config.quarantine)),
            devices,
            memory: Memory::new(config.detection_cache_bytes, config.budget),
            loads: Flights::new(),
            loader,
            cpu,
            config,
        });
        this.load_added()?;
        Ok(this)
    }

    /// The device in use. Changes when a device is lost.
    #[must_use]
    pub fn device(&self) -> DeviceReport {
        self.devices.report()
    }

    /// Every detector.
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
        let model = Model::of(kind);
        let lane = self.lane(model)?;
        let key = (Subject::Image(self.digest(image, deadline).await?), By::Detector(model));
        let compute = |deadline| {
            let (lane, image, cpu) = (Arc::clone(lane), Arc::clone(image), Arc::clone(&self.cpu));
            async move { lane.infer(image, &cpu, deadline).await }
        };
        let found = self.memory.find(key, lane.worker.counters(), deadline, compute).await?;
        Ok(found.of(kind))
    }

    /// What was found before, if it is still remembered.
    #[must_use]
    pub fn cached(&self, image: &Image, kind: DetectionKind) -> Option<Arc<[Detection]>> {
        self.memory.get(&(Subject::Image(image.digest()), By::Detector(Model::of(kind)))).map(|found| found.of(kind))
    }

    /// Sends a picture with a known face through the queue and the device, past the cache, and says how long that took.
    ///
    /// # Errors
    /// When a worker is gone, or the face is not found where it is.
    pub async fn self_test(&self) -> Result<Duration, Failure> {
        let start = Instant::now();
        let embedders: Vec<_> = self.embedders.slots().iter().filter_map(|slot| slot.current()).collect();
        let lanes = self.lanes.iter().map(|lane| (&lane.worker, &lane.name));
        let mut workers = lanes.chain(embedders.iter().map(|loaded| (loaded.worker(), loaded.name())));
        if let Some((_, dead)) = workers.find(|(worker, _)| !worker.is_alive()) {
            return Err(error::unavailable(dead));
        }
        let lane = self.lane(Model::YuNet)?;
        let deadline = Deadline::after(self.config.budget);
        let slot = lane.worker.admit(Priority::Interactive)?;
        let run = deadline.bound("the self-test", slot.run(Job::Frame(self_test::frame()), deadline)).await?;
        let run = run.map_err(|fault| fault.failure)?;
        let wrong = |what: String| Failure::internal(format!("the self-test failed: {what}")).from_origin("detector:yunet");
        let found = lane.model.read(&run.outputs, run.image, self_test::SIZE).map_err(|error| wrong(error.to_string()))?;
        self_test::check(&found).map_err(wrong)?;
        Ok(start.elapsed())
    }

    /// Counts since the start.
    #[must_use]
    pub fn statistics(&self) -> InferenceStatistics {
        let (cache_entries, cache_bytes) = self.memory.size();
        let detectors = self.lanes.iter().map(|lane| (Arc::clone(&lane.name.id), lane.worker.statistics()));
        InferenceStatistics {
            models: detectors.chain(self.embedders.statistics()).collect(),
            cache_entries,
            cache_bytes,
            devices_lost: self.devices.lost(),
            clip_bytes: self.loader.clip_bytes(),
            in_quarantine: self.quarantine.len(),
        }
    }

    /// Refuses new calls and waits for those under way.
    pub async fn shutdown(&self) {
        self.loader.closed.store(true, Ordering::Release);
        let embedders: Vec<_> = self.embedders.slots().iter().filter_map(|slot| slot.current()).collect();
        let workers: Vec<_> = self.lanes.iter().map(|lane| &lane.worker).chain(embedders.iter().map(|loaded| loaded.worker())).collect();
        for worker in &workers {
            worker.close();
        }
        for worker in workers {
            worker.ended().await;
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
        found.ok_or_else(|| error::unavailable(&Name::detector(model.name())))
    }
}
