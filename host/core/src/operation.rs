//! What everyone agrees on about an operation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an operation does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationEffect {
    /// Nothing: it may be repeated and answered by anyone.
    #[default]
    Read,
    /// Makes something new.
    Create,
    /// Changes something.
    Update,
    /// Removes something.
    Delete,
}

impl OperationEffect {
    /// Every effect.
    pub const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Update, Self::Delete];

    /// As configuration, answers and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// An operation as a provider describes it, in the words of the plugin contract's `adapter` interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationSpec {
    /// Kebab case, such as `generate-resume`.
    pub name: String,
    /// One sentence for people.
    pub summary: String,
    /// JSON Schema (2020-12) of the input.
    pub input_schema: Value,
    /// JSON Schema (2020-12) of the output.
    pub output_schema: Value,
    /// What it does to the world.
    pub effect: OperationEffect,
    /// Whether it may be sent twice without harm, though it is no read.
    pub idempotent: bool,
    /// The permission it asks for, such as `operation:generate-resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
}
