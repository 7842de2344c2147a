//! Which services are meant.

use serde::{Deserialize, Serialize};

use super::records::ServiceRecord;

/// What services must have, all of it. Empty means every service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A capability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Selection {
    /// Every service of this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Every service that can do this.
    #[must_use]
    pub fn able(capability: impl Into<String>) -> Self {
        Self { capability: Some(capability.into()), ..Self::default() }
    }

    /// Every service with this tag.
    #[must_use]
    pub fn tagged(tag: impl Into<String>) -> Self {
        Self { tag: Some(tag.into()), ..Self::default() }
    }

    pub(crate) fn fits(&self, record: &ServiceRecord) -> bool {
        self.name.as_ref().is_none_or(|name| *name == record.name)
            && self.capability.as_ref().is_none_or(|capability| record.capabilities.contains(capability))
            && self.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
    }
}
