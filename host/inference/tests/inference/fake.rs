//! An engine that computes nothing and does what a test wants.

use std::sync::{Arc, Condvar, Mutex};

use breakwater_inference::array::{Array, Outputs};
use breakwater_inference::batch::Batch;
use breakwater_inference::engine::{DeviceKind, Engine, EngineError, Session};
use breakwater_inference::graph::weights::Network;
use breakwater_inference::{Engines, Inference, InferenceConfig, efficientnet_lite0};
use breakwater_resilience::CpuPermits;

/// What the engine does with a batch that holds a poisonous image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    Error,
    Panic,
    /// Gives no numbers for that image, and right ones for the others.
    Nan,
}

/// Finds nothing in any image, and the same features in every one. An image whose last column is black is poisonous.
pub(crate) struct FakeEngine {
    kind: DeviceKind,
    poison: Poison,
    /// Fails every run, poisonous or not.
    broken: bool,
    batch: usize,
    concurrency: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    batches: Vec<usize>,
    running: usize,
    most: usize,
}

impl FakeEngine {
    pub(crate) fn new(kind: DeviceKind, poison: Poison) -> Self {
        Self { kind, poison, broken: false, batch: usize::MAX, concurrency: 1, shared: Arc::default() }
    }

    /// An engine that fails every run.
    pub(crate) fn broken(kind: DeviceKind, how: Poison) -> Self {
        Self { broken: true, ..Self::new(kind, how) }
    }

    /// An engine that gains nothing from batches.
    pub(crate) fn one_by_one(self) -> Self {
        Self { batch: 1, ..self }
    }

    /// An engine that works on so many images side by side.
    pub(crate) fn side_by_side(self, concurrency: usize) -> Self {
        Self { batch: 1, concurrency, ..self }
    }

    /// Runs wait from now on.
    pub(crate) fn close_gate(&self) {
        self.shared.state.lock().unwrap().closed = true;
    }

    /// Runs go on.
    pub(crate) fn open_gate(&self) {
        self.shared.state.lock().unwrap().closed = false;
        self.shared.opened.notify_all();
    }

    /// Sizes of the batches that were run or are running.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.shared.state.lock().unwrap().batches.clone()
    }

    /// The most runs that there ever were at once.
    pub(crate) fn most(&self) -> usize {
        self.shared.state.lock().unwrap().most
    }

    /// Runs that have begun and not ended.
    pub(crate) fn running(&self) -> usize {
        self.shared.state.lock().unwrap().running
    }
}

impl Engine for FakeEngine {
    fn device(&self) -> &str {
        "fake"
    }

    fn kind(&self) -> DeviceKind {
        self.kind
    }

    fn preferred_batch(&self) -> usize {
        self.batch
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn prepare(&self, network: &Network) -> Result<Box<dyn Session>, EngineError> {
        let (poison, broken, shared) = (self.poison, self.broken, Arc::clone(&self.shared));
        Ok(Box::new(FakeSession { network: network.clone(), poison, broken, shared }))
    }
}

struct FakeSession {
    network: Network,
    poison: Poison,
    broken: bool,
    shared: Arc<Shared>,
}

impl Session for FakeSession {
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        let batch = batch.into_array()?;
        let shape = batch.shape();
        {
            let mut state = self.shared.state.lock().unwrap();
            state.batches.push(shape.images);
            state.running += 1;
            state.most = state.most.max(state.running);
            let mut state = self.shared.opened.wait_while(state, |state| state.closed).unwrap();
            state.running -= 1;
        }
        let black = |image: &[f32]| image.chunks_exact(shape.width).all(|row| row.last() == Some(&0.0));
        let poisonous: Vec<bool> = batch.values().chunks_exact(shape.channels * shape.height * shape.width).map(black).collect();
        if poisonous.contains(&true) || self.broken {
            match self.poison {
                Poison::Nan => {}
                Poison::Error => return Err(EngineError::Device { what: "poisoned".into() }),
                Poison::Panic => panic!("poisoned"),
            }
        }
        let graph = self.network.graph();
        let shapes = graph.shapes(shape)?;
        let outputs = graph.outputs().iter().map(|output| {
            let shape = shapes[output.node.index()];
            // Features of zero would be none.
            let value = if output.name == efficientnet_lite0::OUTPUT { 1.0 } else { 0.0 };
            let each = shape.elements().unwrap() / shape.images;
            let values = poisonous.iter().flat_map(|poisonous| vec![if *poisonous { f32::NAN } else { value }; each]);
            (output.name.clone(), Array::new(shape, values.collect()).unwrap())
        });
        Ok(Outputs::new(outputs.collect()))
    }
}

/// A pool of so many threads.
pub(crate) fn pool(threads: usize) -> Arc<CpuPermits> {
    CpuPermits::start("cpu", threads, 256).unwrap()
}

/// Detectors on a fake engine and nothing else.
pub(crate) fn start(engine: FakeEngine, config: InferenceConfig) -> (Arc<Inference>, Arc<FakeEngine>) {
    let engine = Arc::new(engine);
    let engines = Engines { preferred: Arc::clone(&engine) as Arc<dyn Engine>, fallback: None, reason: "a test".into() };
    (Inference::start_on(config, pool(2), engines).unwrap(), engine)
}
