//! What the catalogue tells of its plugins.

use std::collections::BTreeSet;

use breakwater_core::{Digest, OperationSpec, Strategy};
use serde::Serialize;

use crate::capability::Capability;
use crate::level::FallbackLevel;
use crate::plugin_id::PluginId;
use crate::ranking::RankerInfo;
use crate::reach::Reach;
use crate::world::World;

/// A plugin and its generations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginInfo {
    /// The plugin.
    pub id: PluginId,
    /// The generation that serves.
    pub active: Option<Digest>,
    /// Every kept generation, oldest first.
    pub generations: Vec<GenerationInfo>,
}

/// What a generation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GenerationState {
    /// It serves new calls.
    Active,
    /// It was replaced and still serves calls that began before.
    Draining,
    /// It is kept and can be activated.
    Standby,
    /// It should serve but could not be brought back; `problem` says why.
    Unavailable,
}

/// A generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerationInfo {
    /// Names the generation.
    pub digest: Digest,
    /// Names its component.
    pub code_digest: Digest,
    /// The plugin's version.
    pub version: String,
    /// What kind of plugin it is.
    pub world: World,
    /// What it is doing.
    pub state: GenerationState,
    /// The strategies it offers.
    pub strategies: Vec<Strategy>,
    /// The operations it offers.
    pub operations: Vec<OperationSpec>,
    /// The levels at which it answers, best first.
    pub levels: Vec<FallbackLevel>,
    /// The ranker it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerInfo>,
    /// What it was granted.
    pub capabilities: BTreeSet<Capability>,
    /// What it may name.
    pub reach: Reach,
    /// State of its breaker, such as `closed`; `None` unless it is loaded.
    pub breaker: Option<&'static str>,
    /// Calls since this process started.
    pub calls: u64,
    /// How many of them failed, for whatever reason.
    pub failures: u64,
    /// How many of them failed by the plugin's fault.
    pub faults: u64,
    /// When it was deployed, in milliseconds since 1970.
    pub deployed_at_ms: u64,
    /// When it was last loaded by this process, in milliseconds since 1970.
    pub loaded_at_ms: Option<u64>,
    /// Why it is unavailable.
    pub problem: Option<String>,
}
