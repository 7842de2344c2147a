//! Things that happen to the service, rather than to one call.

/// What happened to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginChange {
    /// A generation passed its probes and serves.
    Deployed,
    /// A kept generation serves again.
    Activated,
    /// The generation before serves again.
    RolledBack,
    /// A generation was deleted.
    Removed,
    /// A package was refused and nothing changed.
    Refused,
}

impl PluginChange {
    /// As metrics and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Activated => "activated",
            Self::RolledBack => "rolled-back",
            Self::Removed => "removed",
            Self::Refused => "refused",
        }
    }
}

/// Something operators care about. [`crate::Metrics::emit`] writes its log line and counts its metric together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The catalogue changed, or refused to.
    Plugin {
        /// The plugin's id.
        plugin: String,
        /// What happened.
        change: PluginChange,
        /// The generation's digest, or why the package was refused.
        detail: String,
    },
    /// A breaker went to another state.
    BreakerChanged {
        /// Which breaker, such as `plugin:crop-people`.
        breaker: String,
        /// Where it was.
        from: String,
        /// Where it is.
        to: String,
    },
}

impl Event {
    pub(crate) fn log(&self) {
        match self {
            Self::Plugin { plugin, change: PluginChange::Refused, detail } => {
                tracing::warn!(event = "plugin-refused", plugin, reason = detail, "plugin refused; what served before still serves");
            }
            Self::Plugin { plugin, change, detail } => {
                tracing::info!(event = "plugin-changed", plugin, change = change.name(), generation = detail, "plugin {}", change.name());
            }
            Self::BreakerChanged { breaker, from, to } => {
                tracing::warn!(event = "breaker-changed", breaker, from, to, "breaker went from {from} to {to}");
            }
        }
    }
}
