//! What the execution of a batch is started with.

use breakwater_core::Failure;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// Where the list came from, as the caller said.
    pub(crate) source: Value,
    /// Images at once.
    pub(crate) concurrency: u32,
    /// The input of the crop, but for the image.
    pub(crate) options: Map<String, Value>,
    /// What is looked for beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detect: Option<Map<String, Value>>,
    /// The batch whose failed images these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_of: Option<String>,
    /// The images.
    pub(crate) items: Vec<Item>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) image_path: String,
    /// What the caller calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Instead of those for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Map<String, Value>>,
    /// Instead of what is looked for in all; `false` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detect: Option<Value>,
}

impl Input {
    pub(crate) fn of(value: &Value) -> Result<Self, Failure> {
        Self::deserialize(value).map_err(|error| Failure::internal("the input of a batch cannot be read").caused_by(error))
    }
}
