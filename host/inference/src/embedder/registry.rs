//! Every embedder that there is, whether it serves or not; loading, replacing and unloading.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use breakwater_core::{Failure, FailureKind};

use crate::clip;
use crate::config::{DevicePreference, InferenceConfig, ModelKind, ModelSource};
use crate::embedder::{EmbedderInfo, LoadState, Loaded, ModelState, Parts};
use crate::error::{self, InferenceError, Name};
use crate::model::Model;
use crate::statistics::{Counters, ModelStatistics};

/// The embedders.
pub(crate) struct Registry {
    slots: Vec<Arc<Slot>>,
    default: Arc<str>,
}

/// An embedder, loaded or not.
pub(crate) struct Slot {
    pub(crate) name: Name,
    pub(crate) source: Source,
    /// Outlives what is loaded.
    pub(crate) counters: Arc<Counters>,
    current: RwLock<Option<Arc<Loaded>>>,
    /// Held while it is loaded or unloaded.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// What is said of it while nothing is loaded.
    absent: Mutex<LoadState>,
}

/// Where an embedder comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// EfficientNet-Lite0, built in or in a folder of other weights.
    Lite0(Option<PathBuf>),
    /// What an operator added.
    Added(ModelSource),
}

impl Source {
    /// Reads what the model is made of. Blocks.
    pub(crate) fn read(&self) -> Result<Parts, InferenceError> {
        match self {
            Self::Lite0(folder) => Parts::lite0(folder.as_deref()),
            Self::Added(source) => match source.kind {
                ModelKind::Clip => Parts::clip(source),
            },
        }
    }

    /// Where it should run.
    pub(crate) fn device(&self) -> DevicePreference {
        match self {
            Self::Lite0(_) => DevicePreference::Auto,
            Self::Added(source) => source.device,
        }
    }

    /// Bytes of its files, as far as they are there.
    fn bytes(&self) -> u64 {
        match self {
            Self::Lite0(folder) => Model::EfficientNetLite0.bytes(folder.as_deref()),
            Self::Added(source) => clip::bytes(&source.path),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Lite0(_) => "efficientnet-lite0",
            Self::Added(source) => match source.kind {
                ModelKind::Clip => "clip",
            },
        }
    }

    fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Lite0(path) => path.as_ref(),
            Self::Added(source) => Some(&source.path),
        }
    }
}

impl Slot {
    pub(crate) fn new(id: Arc<str>, source: Source) -> Self {
        let absent = Mutex::new(LoadState::Unloaded);
        Self {
            name: Name::embedder(id),
            source,
            counters: Arc::default(),
            current: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            absent,
        }
    }

    /// What serves now.
    pub(crate) fn current(&self) -> Option<Arc<Loaded>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `loaded` serve from now on. Calls under way end on what served before, which is returned.
    pub(crate) fn replace(&self, loaded: Option<Arc<Loaded>>) -> Option<Arc<Loaded>> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, loaded)
    }

    /// Says why nothing is loaded.
    pub(crate) fn say(&self, state: LoadState) {
        *self.absent.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn state(&self) -> LoadState {
        match self.current() {
            Some(_) => LoadState::Ready,
            None => self.absent.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn describe(&self) -> ModelState {
        let info = self.current().map(|loaded| loaded.info());
        ModelState {
            id: Arc::clone(&self.name.id),
            kind: self.source.kind().to_owned(),
            path: self.source.path().cloned(),
            state: self.state(),
            bytes: self.source.bytes(),
            dimension: info.as_ref().map(|info| info.dimension),
            revision: info.as_ref().map(|info| info.revision),
            device: info.map(|info| info.device),
        }
    }

    /// What serves now, or why nothing does.
    fn serving(&self) -> Result<Arc<Loaded>, Failure> {
        self.current().ok_or_else(|| {
            let why = match self.state() {
                LoadState::Ready | LoadState::Loading => "the model is being loaded; try again shortly",
                LoadState::Unloaded => "the model is not loaded",
                LoadState::Missing { .. } => "files of the model are missing; the operator can see which",
                LoadState::Failed { .. } => "the model could not be loaded; the operator can see why",
            };
            Failure::new(FailureKind::Unavailable, "embedder.unavailable", why).from_origin(self.name.origin())
        })
    }
}

impl Registry {
    /// Fails when the default is not among them, or two have one id.
    pub(crate) fn new(slots: Vec<Arc<Slot>>, default: Arc<str>) -> Result<Self, InferenceError> {
        let mut known = HashSet::new();
        if let Some(twice) = slots.iter().find(|slot| !known.insert(&slot.name.id)) {
            return Err(InferenceError::Id { id: twice.name.id.to_string() });
        }
        if !known.contains(&default) {
            return Err(InferenceError::NoDefault { id: default.to_string() });
        }
        Ok(Self { slots, default })
    }

    /// What the operator added, not loaded yet.
    pub(crate) fn added(config: &InferenceConfig) -> Result<Vec<Arc<Slot>>, InferenceError> {
        let slot = |source: &ModelSource| {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            let taken = Model::ALL.into_iter().any(|model| model.name() == &*source.id);
            if taken || !(1..=64).contains(&source.id.len()) || !source.id.bytes().all(letter) {
                return Err(InferenceError::Id { id: source.id.chars().take(80).collect() });
            }
            let slot = Slot::new(Arc::clone(&source.id), Source::Added(source.clone()));
            slot.say(LoadState::Loading);
            Ok(Arc::new(slot))
        };
        config.models.iter().map(slot).collect()
    }

    pub(crate) fn default_id(&self) -> &Arc<str> {
        &self.default
    }

    pub(crate) fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// The embedder with this id, or the default.
    pub(crate) fn slot(&self, id: Option<&str>) -> Result<&Arc<Slot>, Failure> {
        let id = id.unwrap_or(&self.default);
        self.slots.iter().find(|slot| *slot.name.id == *id).ok_or_else(|| error::unknown_model(id))
    }

    /// What serves under this id, or as the default.
    pub(crate) fn serving(&self, id: Option<&str>) -> Result<Arc<Loaded>, Failure> {
        self.slot(id)?.serving()
    }

    /// Those that serve.
    pub(crate) fn infos(&self) -> Vec<EmbedderInfo> {
        self.slots.iter().filter_map(|slot| slot.current()).map(|loaded| loaded.info()).collect()
    }

    /// All of them.
    pub(crate) fn describe(&self) -> Vec<ModelState> {
        self.slots.iter().map(|slot| slot.describe()).collect()
    }

    pub(crate) fn statistics(&self) -> Vec<(Arc<str>, ModelStatistics)> {
        let of = |slot: &Arc<Slot>| slot.current().map_or_else(|| slot.counters.read(0), |loaded| loaded.statistics());
        self.slots.iter().map(|slot| (Arc::clone(&slot.name.id), of(slot))).collect()
    }
}
