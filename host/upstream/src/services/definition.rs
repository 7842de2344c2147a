//! What a service and its actions are.

use std::fmt;
use std::str::FromStr;

use breakwater_core::{OperationEffect, keyed_id};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Whether a service may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceStatus {
    /// Its actions are called.
    #[default]
    Active,
    /// It is kept and not called, until somebody says otherwise.
    Inactive,
    /// The same, for good.
    Archived,
}

impl ServiceStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Archived];

    /// As JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Archived => "ARCHIVED",
        }
    }
}

impl fmt::Display for ServiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is ACTIVE, INACTIVE or ARCHIVED")]
pub struct InvalidServiceStatus;

impl FromStr for ServiceStatus {
    type Err = InvalidServiceStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(InvalidServiceStatus)
    }
}

/// Something a service does, by `POST {endpoint}/{name}` with the input as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionDefinition {
    /// What it is called by within its service: letters, digits, `-` and `_`, at most 128.
    pub name: String,
    /// For people. At most 4096 bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// JSON Schema (2020-12) of what it takes; absent, it takes anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// JSON Schema (2020-12) of what it answers; absent, any JSON will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What it does to the world. `create` when nothing is said: of what is not known nothing may be taken for granted.
    #[serde(default = "creates")]
    pub effect: OperationEffect,
    /// Whether it may be sent twice without harm, though it is no read.
    #[serde(default)]
    pub idempotent: bool,
    /// The longest it may take, retries included, in milliseconds; 1 to 600 000. Absent: 30 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

const fn creates() -> OperationEffect {
    OperationEffect::Create
}

/// Nothing given and `null` are the same.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A service as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceDefinition {
    /// Names it for ever; a UUID of version 7, so that ids sort by age.
    pub id: String,
    /// What it is called by; no two services share one. Also the name of its upstream.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its base URL.
    pub endpoint: String,
    /// What it does.
    pub actions: Vec<ActionDefinition>,
    /// Anything else, never interpreted.
    pub metadata: Map<String, Value>,
    /// Whether it may be called.
    pub status: ServiceStatus,
    /// 1 at first, and one more with every change.
    pub version: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_at_ms: u64,
}

impl ServiceDefinition {
    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&ActionDefinition> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// Whether it was made of the draft under this key, as far as can be told once it was changed.
    pub(crate) fn was_made_of(&self, draft: &ServiceDraft, key: &str) -> bool {
        let ServiceDraft { name, description, endpoint, actions, metadata, status } = draft;
        let is_still = (&self.name, &self.description, &self.endpoint, &self.status) == (name, description, endpoint, status)
            && (&self.actions, &self.metadata) == (actions, metadata);
        keyed_id::is_under_key(&self.id, name, key) && (is_still || self.version > 1)
    }
}

/// A service that is to be made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDraft {
    /// What it is called by: 1 to 128 lower-case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// For people. At most 4096 bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// Its base URL, http or https, without user name, query or fragment. At most 1024 bytes.
    pub endpoint: String,
    /// What it does. At most 256.
    #[serde(default, deserialize_with = "or_default")]
    pub actions: Vec<ActionDefinition>,
    /// Anything else, never interpreted. At most 64 KiB of JSON.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Map<String, Value>,
    /// Whether it may be called.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ServiceStatus,
}

/// What is to be changed of a service. What is not given stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePatch {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Another description.
    #[serde(default)]
    pub description: Option<String>,
    /// Another base URL.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Other actions, in the place of all there are.
    #[serde(default)]
    pub actions: Option<Vec<ActionDefinition>>,
    /// Other metadata, in the place of all there is.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Another status.
    #[serde(default)]
    pub status: Option<ServiceStatus>,
    /// The version that the change was made from; given, a service of another version is not changed.
    #[serde(default)]
    pub version: Option<u64>,
}

impl ServicePatch {
    /// The service with what is given.
    pub(crate) fn applied_to(self, before: &ServiceDefinition, now_ms: u64) -> ServiceDefinition {
        ServiceDefinition {
            id: before.id.clone(),
            name: self.name.unwrap_or_else(|| before.name.clone()),
            description: self.description.unwrap_or_else(|| before.description.clone()),
            endpoint: self.endpoint.unwrap_or_else(|| before.endpoint.clone()),
            actions: self.actions.unwrap_or_else(|| before.actions.clone()),
            metadata: self.metadata.unwrap_or_else(|| before.metadata.clone()),
            status: self.status.unwrap_or(before.status),
            version: before.version + 1,
            created_at_ms: before.created_at_ms,
            // The clock may have been set back meanwhile.
            updated_at_ms: now_ms.max(before.updated_at_ms),
        }
    }
}
