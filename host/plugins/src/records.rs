//! What survives a restart: which generations there are and which of them is active.

mod memory;

use std::collections::{BTreeMap, BTreeSet};

use breakwater_core::{Digest, OperationSpec, Strategy};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::level::FallbackLevel;
use crate::manifest::LimitRequest;
use crate::plugin_id::PluginId;
use crate::ports::BoxFuture;
use crate::ranking::RankerInfo;
use crate::reach::Reach;
use crate::world::World;

pub use memory::MemoryRecords;

/// One generation as it is kept: everything but its code, which is found by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// Of code, configuration, limits and grants together.
    pub digest: Digest,
    /// Of the component.
    pub code_digest: Digest,
    /// The plugin.
    pub id: PluginId,
    /// Of the plugin.
    pub version: semver::Version,
    /// What kind of plugin it is. Records from before there were several worlds are of the first one.
    #[serde(default)]
    pub world: World,
    /// What it was granted. After a restart it gets at most what the operator still grants.
    pub granted: BTreeSet<Capability>,
    /// What it may name. After a restart at most what the operator still grants.
    #[serde(default, skip_serializing_if = "Reach::is_empty")]
    pub reach: Reach,
    /// What its manifest tightened.
    pub limits: LimitRequest,
    /// Its settings.
    pub config: BTreeMap<String, String>,
    /// The strategies it described when it was deployed.
    pub strategies: Vec<Strategy>,
    /// The operations it described.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationSpec>,
    /// The levels it described, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<FallbackLevel>,
    /// The ranker it described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerInfo>,
    /// When it was deployed, in milliseconds since 1970.
    pub deployed_at_ms: u64,
}

/// The whole catalogue as it is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CatalogueState {
    /// Grows by one with every change; 0 before the first.
    pub revision: u64,
    /// Every kept generation, oldest first.
    pub generations: Vec<GenerationRecord>,
    /// The active generation of each plugin.
    pub active: BTreeMap<PluginId, Digest>,
    /// Generations that were active before, the most recent last.
    pub previous: BTreeMap<PluginId, Vec<Digest>>,
    /// Which plugin wins a name that several offer: the earlier one.
    pub order: Vec<PluginId>,
}

impl CatalogueState {
    /// A kept generation of a plugin.
    #[must_use]
    pub fn generation(&self, id: &PluginId, digest: Digest) -> Option<&GenerationRecord> {
        self.generations.iter().find(|record| record.id == *id && record.digest == digest)
    }
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Somebody else changed the catalogue meanwhile; nothing was written.
    #[error("the catalogue is at revision {found}, not {expected}: it was changed meanwhile")]
    Conflict {
        /// The revision the change was made from.
        expected: u64,
        /// The revision found.
        found: u64,
    },
    /// A state to be saved whose revision does not follow the expected one.
    #[error("a state of revision {given} cannot follow revision {expected}")]
    Revision {
        /// The revision the change was made from.
        expected: u64,
        /// The revision of the state given.
        given: u64,
    },
    /// What was stored cannot be understood.
    #[error("what is stored cannot be read: {0}")]
    Corrupt(String),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps the catalogue's state and the components' bytes.
pub trait CatalogueRecords: Send + Sync + 'static {
    /// The state last saved; the default state before the first save.
    fn load(&self) -> BoxFuture<'_, Result<CatalogueState, RecordsError>>;

    /// Replaces the state if its revision is still `expected_revision`. The new state's revision is one more.
    fn save<'a>(&'a self, expected_revision: u64, state: &'a CatalogueState) -> BoxFuture<'a, Result<(), RecordsError>>;

    /// Keeps a component. Keeping it again changes nothing.
    fn put_component(&self, digest: Digest, wasm: Bytes) -> BoxFuture<'_, Result<(), RecordsError>>;

    /// A kept component, or `None`.
    fn component(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Bytes>, RecordsError>>;

    /// Forgets a component. Forgetting one that is not kept changes nothing.
    fn remove_component(&self, digest: Digest) -> BoxFuture<'_, Result<(), RecordsError>>;
}
