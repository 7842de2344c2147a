//! A workflow as it is kept: a definition, which version of it, and whether it may be started.

use serde::{Deserialize, Serialize};

use crate::definition::Definition;

/// Whether a workflow may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowStatus {
    /// It may.
    #[default]
    Active,
    /// Not at the moment. Executions that run go on.
    Inactive,
    /// Not any more. Executions that run go on.
    Archived,
}

impl WorkflowStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Archived];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Archived => "ARCHIVED",
        }
    }
}

/// One version of a workflow. Older versions are kept for as long as an execution of theirs is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Names it for ever.
    pub id: String,
    /// Counts its changes, from 1.
    pub version: u32,
    /// Whether it may be started; of the workflow, not of the version.
    pub status: WorkflowStatus,
    /// What it does.
    pub definition: Definition,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_at_ms: u64,
}
