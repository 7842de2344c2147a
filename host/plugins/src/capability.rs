//! What a plugin may ask for, and what the operator lets it have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plugin_id::PluginId;

/// A group of host functions that is linked as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Byte strings held by the host: `breakwater:plugin/blobs`.
    Blobs,
    /// The plugin's settings: `wasi:config/store`.
    Config,
    /// Vectors by the models that the manifest names: `breakwater:plugin/embedder`.
    Embedder,
    /// Feature flags that the manifest names: `breakwater:plugin/feature-flags`.
    FeatureFlags,
    /// Requests to hosts that the manifest names, with any HTTP library: `wasi:http`. Not granted by default.
    Http,
    /// Pictures, maps and detections: `breakwater:plugin/imaging`.
    Imaging,
    /// Log lines: `wasi:logging/logging`. Always granted; naming it changes nothing.
    Logging,
    /// Tensors through the models that the manifest names: `wasi:nn`.
    Nn,
    /// Requests to upstreams that the manifest names: `breakwater:plugin/upstream`.
    Upstream,
}

/// Text that names no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("capabilities are blobs, config, embedder, feature-flags, http, imaging, logging, nn and upstream; got {0:?}")]
pub struct UnknownCapability(String);

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 9] =
        [Self::Blobs, Self::Config, Self::Embedder, Self::FeatureFlags, Self::Http, Self::Imaging, Self::Logging, Self::Nn, Self::Upstream];

    /// As manifests write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Config => "config",
            Self::Embedder => "embedder",
            Self::FeatureFlags => "feature-flags",
            Self::Http => "http",
            Self::Imaging => "imaging",
            Self::Logging => "logging",
            Self::Nn => "nn",
            Self::Upstream => "upstream",
        }
    }

    /// The capability that a WIT interface belongs to, whatever its version. `None` for what needs no grant.
    pub(crate) fn of_interface(interface: &str) -> Option<Self> {
        match interface.split('@').next()? {
            "breakwater:plugin/blobs" => Some(Self::Blobs),
            "breakwater:plugin/embedder" => Some(Self::Embedder),
            "breakwater:plugin/feature-flags" => Some(Self::FeatureFlags),
            "breakwater:plugin/imaging" => Some(Self::Imaging),
            "breakwater:plugin/upstream" => Some(Self::Upstream),
            "wasi:config/store" => Some(Self::Config),
            "wasi:http/types" | "wasi:http/outgoing-handler" => Some(Self::Http),
            "wasi:logging/logging" => Some(Self::Logging),
            "wasi:nn/tensor" | "wasi:nn/graph" | "wasi:nn/inference" | "wasi:nn/errors" => Some(Self::Nn),
            _ => None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|capability| capability.name() == text);
        found.ok_or_else(|| UnknownCapability(text.chars().take(40).collect()))
    }
}

/// What the operator grants: to every plugin, and instead of that to plugins named one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// For plugins without an entry of their own.
    pub default: BTreeSet<Capability>,
    /// For these plugins, instead of the default.
    pub plugins: BTreeMap<PluginId, BTreeSet<Capability>>,
}

impl Default for Grants {
    /// Everything but [`Capability::Http`]: the rest reaches nothing that the operator did not configure.
    fn default() -> Self {
        let default = Capability::ALL.into_iter().filter(|capability| *capability != Capability::Http);
        Self { default: default.collect(), plugins: BTreeMap::new() }
    }
}

impl Grants {
    /// What the operator lets this plugin have.
    #[must_use]
    pub fn of(&self, id: &PluginId) -> &BTreeSet<Capability> {
        self.plugins.get(id).unwrap_or(&self.default)
    }

    /// What this plugin gets: what it asks for and the operator grants, and logging.
    #[must_use]
    pub fn effective(&self, id: &PluginId, asked: &BTreeSet<Capability>) -> BTreeSet<Capability> {
        let mut granted: BTreeSet<_> = self.of(id).intersection(asked).copied().collect();
        granted.insert(Capability::Logging);
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_gets_what_it_asks_for_and_the_operator_grants() {
        let id: PluginId = "crop".parse().unwrap();
        let other: PluginId = "other".parse().unwrap();
        let grants = Grants { plugins: [(id.clone(), [Capability::Imaging].into())].into(), ..Grants::default() };
        let asked = [Capability::Imaging, Capability::Blobs].into();
        assert_eq!(grants.effective(&id, &asked), [Capability::Imaging, Capability::Logging].into());
        assert_eq!(grants.effective(&other, &asked), [Capability::Blobs, Capability::Imaging, Capability::Logging].into());
        assert_eq!(grants.effective(&other, &BTreeSet::new()), [Capability::Logging].into());
    }

    #[test]
    fn hosts_are_reached_only_where_the_operator_says_so() {
        let id: PluginId = "adapter".parse().unwrap();
        let asked = [Capability::Http, Capability::Upstream].into();
        assert_eq!(Grants::default().effective(&id, &asked), [Capability::Logging, Capability::Upstream].into());
        let grants = Grants { plugins: [(id.clone(), [Capability::Http].into())].into(), ..Grants::default() };
        assert_eq!(grants.effective(&id, &asked), [Capability::Http, Capability::Logging].into());
    }

    #[test]
    fn a_capability_is_named_as_in_manifests() {
        for capability in Capability::ALL {
            assert_eq!(capability.name().parse(), Ok(capability));
            assert_eq!(serde_json::to_value(capability).unwrap(), capability.name());
        }
    }
}
