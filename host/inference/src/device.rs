//! The device in use, why, and the move to the CPU when it is lost.

pub mod adapter;
pub mod choice;

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::engine::{DeviceKind, Engine};

/// The device in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// What kind it is.
    pub kind: DeviceKind,
    /// Its name.
    pub name: String,
    /// Why it is this one.
    pub reason: String,
}

/// The engines there are, and why the first was chosen.
pub struct Engines {
    /// Used until it fails.
    pub preferred: Arc<dyn Engine>,
    /// Used after that; nothing when the preferred one is the CPU already.
    pub fallback: Option<Arc<dyn Engine>>,
    /// Why the preferred one was chosen.
    pub reason: String,
}

/// Which engine is in use, shared by all workers.
pub(crate) struct Devices {
    state: Mutex<State>,
    /// Called after a move.
    watchers: Mutex<Vec<Watcher>>,
}

type Watcher = Box<dyn Fn() + Send + Sync>;

struct State {
    engine: Arc<dyn Engine>,
    fallback: Option<Arc<dyn Engine>>,
    report: DeviceReport,
    /// Counts moves, so that a worker knows whether its session is on the engine in use.
    generation: u64,
}

impl Devices {
    pub(crate) fn new(engines: Engines) -> Self {
        let Engines { preferred, fallback, reason } = engines;
        let report = report(preferred.as_ref(), reason);
        tracing::info!(kind = %report.kind, device = report.name, reason = report.reason, "inference device chosen");
        Self { state: Mutex::new(State { engine: preferred, fallback, report, generation: 0 }), watchers: Mutex::default() }
    }

    /// The processor alone: this, if there is nothing else.
    pub(crate) fn processor(self: &Arc<Self>) -> Arc<Self> {
        let fallback = self.state().fallback.clone();
        let Some(preferred) = fallback else { return Arc::clone(self) };
        let reason = "the model's configuration asks for the CPU".to_owned();
        Arc::new(Self::new(Engines { preferred, fallback: None, reason }))
    }

    /// Bytes of weights of CLIP models on the engines.
    pub(crate) fn clip_bytes(&self) -> u64 {
        let state = self.state();
        std::iter::once(&state.engine).chain(&state.fallback).map(|engine| engine.clip_bytes()).sum()
    }

    /// Has `watcher` called after every move to another engine.
    pub(crate) fn on_move(&self, watcher: impl Fn() + Send + Sync + 'static) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(watcher));
    }

    /// The most runs side by side that any of the engines would want.
    pub(crate) fn most_at_once(&self) -> usize {
        let state = self.state();
        let engines = std::iter::once(&state.engine).chain(&state.fallback);
        engines.map(|engine| engine.concurrency()).max().unwrap_or(1).max(1)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is replaced in one step below; a panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self) -> DeviceReport {
        self.state().report.clone()
    }

    /// How often a device was lost.
    pub(crate) fn lost(&self) -> u64 {
        self.state().generation
    }

    /// The engine in use and its generation.
    pub(crate) fn current(&self) -> (u64, Arc<dyn Engine>) {
        let state = self.state();
        (state.generation, Arc::clone(&state.engine))
    }

    /// Gives up the engine of `generation` because of `why`. True when there is another one to try: it was moved to now, or by
    /// another worker before.
    pub(crate) fn give_up(&self, generation: u64, why: &str) -> bool {
        let mut state = self.state();
        if state.generation != generation {
            return true;
        }
        let Some(engine) = state.fallback.take() else { return false };
        let lost = state.report.name.clone();
        state.report = report(engine.as_ref(), format!("{lost} was lost at run time: {why}"));
        tracing::error!(lost, why, device = state.report.name, "inference device lost; moved to the CPU");
        state.engine = engine;
        state.generation += 1;
        drop(state);
        // Without the lock: a watcher may ask which engine is in use.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|watcher| watcher());
        true
    }
}

fn report(engine: &dyn Engine, reason: String) -> DeviceReport {
    DeviceReport { kind: engine.kind(), name: engine.device().to_owned(), reason }
}
