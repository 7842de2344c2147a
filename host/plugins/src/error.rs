//! How managing plugins fails.

use breakwater_core::{Failure, FailureKind};

use crate::capability::Capability;
use crate::inspect::Mismatch;
use crate::plugin_id::PluginId;
use crate::records::RecordsError;

/// Why a plugin could not be read, deployed, activated or removed. Each has a stable code, see [`PluginError::code`].
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// `plugin.toml` or what it names is wrong.
    #[error("the plugin's manifest is not valid: {0}")]
    ManifestInvalid(String),
    /// The component's bytes are no component this host can run.
    #[error("the component is not valid: {0}")]
    ComponentInvalid(String),
    /// The component was built for another contract.
    #[error("the component does not fit the contract {contract}:\n{}", list(.mismatches))]
    ContractMismatch {
        /// The world it was held against.
        contract: &'static str,
        /// Every difference found.
        mismatches: Vec<Mismatch>,
    },
    /// The component imports what it may not have.
    #[error("the component imports {import}, which needs the capability `{capability}`: {missing}")]
    CapabilityDenied {
        /// The capability it lacks.
        capability: Capability,
        /// What it imports.
        import: String,
        /// Who has to ask for it or grant it.
        missing: String,
    },
    /// What the component says about itself is not usable.
    #[error("what the plugin's `describe` answers is not valid: {0}")]
    DescribeInvalid(String),
    /// A fixture, or a strategy on the built-in picture, did not give a usable answer.
    #[error("the probe {probe} failed: {failure}")]
    ProbeFailed {
        /// Which probe.
        probe: String,
        /// How it failed.
        failure: String,
    },
    /// Another plugin offers a strategy of that name.
    #[error(
        "the strategy `{strategy}` is already offered by the plugin `{holder}`; rename it, or name both plugins in the configured order"
    )]
    StrategyTaken {
        /// The name.
        strategy: String,
        /// Who has it.
        holder: PluginId,
    },
    /// Another plugin offers an operation of that name that does something else to the world.
    #[error(
        "the operation `{operation}` is offered as `{offered}`, and the plugin `{holder}` offers it as `{held}`; what it does to the world \
         must be the same everywhere"
    )]
    OperationConflict {
        /// The name.
        operation: String,
        /// What the newcomer says it does.
        offered: &'static str,
        /// Who has it.
        holder: PluginId,
        /// What the holder says it does.
        held: &'static str,
    },
    /// No such plugin, or no such generation of it.
    #[error("{0}")]
    NotFound(String),
    /// A generation that is active or still serves calls cannot be removed.
    #[error("{0}")]
    GenerationInUse(String),
    /// The compiler failed or crossed its limits.
    #[error("compiling the component failed: {0}")]
    CompileFailed(String),
    /// What must survive a restart could not be read or written.
    #[error("the catalogue's records could not be read or written")]
    Records(#[from] RecordsError),
    /// The runtime could not be set up as configured.
    #[error("the plugin runtime could not be set up: {0}")]
    Setup(String),
}

fn list(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl PluginError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ManifestInvalid(_) => "plugin.manifest-invalid",
            Self::ComponentInvalid(_) => "plugin.component-invalid",
            Self::ContractMismatch { .. } => "plugin.contract-mismatch",
            Self::CapabilityDenied { .. } => "plugin.capability-denied",
            Self::DescribeInvalid(_) => "plugin.describe-invalid",
            Self::ProbeFailed { .. } => "plugin.probe-failed",
            Self::StrategyTaken { .. } => "plugin.strategy-taken",
            Self::OperationConflict { .. } => "plugin.operation-conflict",
            Self::NotFound(_) => "plugin.not-found",
            Self::GenerationInUse(_) => "plugin.generation-in-use",
            Self::CompileFailed(_) => "plugin.compile-failed",
            Self::Records(_) => "plugin.records",
            Self::Setup(_) => "plugin.setup",
        }
    }

    /// What may be done about it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::ManifestInvalid(_)
            | Self::ComponentInvalid(_)
            | Self::ContractMismatch { .. }
            | Self::DescribeInvalid(_)
            | Self::ProbeFailed { .. }
            | Self::StrategyTaken { .. }
            | Self::OperationConflict { .. }
            | Self::GenerationInUse(_)
            | Self::CompileFailed(_) => FailureKind::InvalidRequest,
            Self::CapabilityDenied { .. } => FailureKind::Denied,
            Self::NotFound(_) => FailureKind::NotFound,
            Self::Records(_) => FailureKind::Unavailable,
            Self::Setup(_) => FailureKind::Internal,
        }
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let failure = Self::new(error.kind(), error.code(), error.to_string()).from_origin("plugins");
        match error {
            PluginError::Records(cause) => failure.caused_by(cause),
            PluginError::ContractMismatch { mismatches, .. } => {
                let mismatches = serde_json::to_value(mismatches).unwrap_or_default();
                failure.with_detail(serde_json::json!({ "mismatches": mismatches }))
            }
            _ => failure,
        }
    }
}
