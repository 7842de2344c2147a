//! The worlds of the plugin contract that this host runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bindings;

/// What kind of plugin a component is: which interface it exports and which it may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum World {
    /// Offers crop strategies.
    #[default]
    Crop,
    /// Speaks to a service on behalf of operations.
    Adapter,
    /// The same, in a language that brings a runtime and an HTTP library of its own.
    AdapterWasi,
    /// Answers when the providers before it failed.
    Fallback,
    /// Orders what a search found.
    Ranker,
}

/// Text that names no world of this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("world: this host runs {known}, not `{given}`", known = World::ALL.map(|world| format!("`{world}`")).join(", "))]
pub struct UnknownWorld {
    given: String,
}

impl World {
    /// Every world.
    pub const ALL: [Self; 5] = [Self::Crop, Self::Adapter, Self::AdapterWasi, Self::Fallback, Self::Ranker];

    /// As manifests write it, with package and version.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crop => "breakwater:plugin/crop-plugin@0.1.0",
            Self::Adapter => "breakwater:plugin/adapter-plugin@0.1.0",
            Self::AdapterWasi => "breakwater:plugin/adapter-wasi-plugin@0.1.0",
            Self::Fallback => "breakwater:plugin/fallback-plugin@0.1.0",
            Self::Ranker => "breakwater:plugin/ranker-plugin@0.1.0",
        }
    }

    /// Its description in the binary form that components carry.
    pub(crate) fn component_type(self) -> &'static [u8] {
        match self {
            Self::Crop => bindings::crop::COMPONENT_TYPE,
            Self::Adapter => bindings::adapter::COMPONENT_TYPE,
            Self::AdapterWasi => bindings::COMPONENT_TYPE,
            Self::Fallback => bindings::fallback::COMPONENT_TYPE,
            Self::Ranker => bindings::ranker::COMPONENT_TYPE,
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for World {
    type Error = UnknownWorld;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let found = Self::ALL.into_iter().find(|world| world.name() == text);
        found.ok_or_else(|| UnknownWorld { given: text.chars().take(120).collect() })
    }
}

impl From<World> for String {
    fn from(world: World) -> Self {
        world.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_named_as_in_the_wit_files() {
        for world in World::ALL {
            assert_eq!(World::try_from(world.name().to_owned()), Ok(world));
        }
        let error = World::try_from("breakwater:plugin/crop-plugin@0.2.0".to_owned()).unwrap_err();
        assert!(error.to_string().contains("crop-plugin@0.1.0"), "{error}");
    }
}
