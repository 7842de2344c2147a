//! Things that happen to the service, or to a call in a way that operators care about.
//!
//! Each event is declared once: the same lines give its fields, its log line, the metric that counts it and the span event that
//! carries it.

use std::borrow::Cow;
use std::fmt;

use tracing::Level;

use crate::label::{Label, words};
use crate::metrics::names::{self, Metric};

words! {
    /// What happened to a plugin.
    PluginChange {
        /// A generation passed its probes and serves.
        Deployed = "deployed",
        /// A kept generation serves again.
        Activated = "activated",
        /// The generation before serves again.
        RolledBack = "rolled-back",
        /// A generation was deleted.
        Removed = "removed",
        /// A package was refused and nothing changed.
        Refused = "refused",
    }
}

words! {
    /// What happened to an endpoint of an upstream.
    EndpointChange {
        /// It failed too often in a row and gets no calls for a while.
        Ejected = "ejected",
        /// It gets calls again.
        Returned = "returned",
    }
}

words! {
    /// What the health checks of an upstream found.
    Health {
        /// It answers again.
        Healthy = "healthy",
        /// It does not answer as it should.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// What happened to a tier of the cache.
    TierChange {
        /// It cannot be reached; the other tiers serve.
        Lost = "lost",
        /// It serves again.
        Recovered = "recovered",
    }
}

words! {
    /// A tier of the cache.
    CacheTier {
        /// This process.
        Memory = "memory",
        /// Shared by several processes.
        Redis = "redis",
    }
}

words! {
    /// What happened to a feature flag.
    FlagChange {
        /// It was made or changed.
        Put = "put",
        /// It was deleted; what is declared in the configuration counts again.
        Removed = "removed",
    }
}

words! {
    /// What happened to a service of the registry.
    RegistryChange {
        /// An instance is new.
        Registered = "registered",
        /// It registered again, with what it says now.
        Updated = "updated",
        /// A heartbeat says that it is well again.
        Healthy = "healthy",
        /// A heartbeat says that it is not well.
        Unhealthy = "unhealthy",
        /// It was taken out.
        Deregistered = "deregistered",
        /// It sent no heartbeat in time and was taken out.
        Expired = "expired",
    }
}

words! {
    /// What happened to an instance of a sidecar.
    SidecarChange {
        /// Its process was started.
        Started = "started",
        /// It can be used.
        Ready = "ready",
        /// It failed.
        Failed = "failed",
        /// It is about to be started again after a failure.
        Restarting = "restarting",
        /// It failed and is not started again by itself.
        GaveUp = "gave-up",
        /// It ended as it was told to.
        Stopped = "stopped",
    }
}

impl SidecarChange {
    /// Whether somebody should look.
    const fn is_trouble(self) -> bool {
        matches!(self, Self::Failed | Self::Restarting | Self::GaveUp)
    }
}

/// A number that may not be known; written as `-` then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure(pub Option<u64>);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// Declares the events:
/// `Name = "name" { field: Type, … } at LEVEL counts METRIC [field, …] says "message with {field}";`
macro_rules! events {
    ($(
        $(#[doc = $about:literal])*
        $event:ident = $name:literal { $($(#[doc = $doc:literal])* $field:ident: $type:ty),* $(,)? }
        at $level:expr, counts $metric:ident [$($counted:ident),*], says $message:literal;
    )*) => {
        /// Something operators care about. [`crate::Metrics::emit`] writes its log line and counts its metric together.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Event {
            $($(#[doc = $about])* $event { $($(#[doc = $doc])* $field: $type),* }),*
        }

        impl Event {
            /// The metrics that events count, in the order of the events.
            pub(crate) const METRICS: &[Metric] = &[$(names::$metric),*];

            /// Its stable name: the field `event` of the log line and the name of the span event.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$event { .. } => $name),*
                }
            }

            /// Writes its log line.
            pub(crate) fn log(&self) {
                match self {
                    $(Self::$event { $($field),* } => {
                        // A call site has one level, so that each level needs its own.
                        if $level == Level::WARN {
                            tracing::warn!(event = $name, $($field = %$field,)* $message);
                        } else {
                            tracing::info!(event = $name, $($field = %$field,)* $message);
                        }
                    })*
                }
            }

            /// The metric it counts, and the row.
            #[expect(unused_variables, reason = "not every field is a label")]
            pub(crate) fn counted(&self) -> (Metric, Vec<Cow<'static, str>>) {
                match self {
                    $(Self::$event { $($field),* } => (names::$metric, vec![$(Label::label($counted)),*])),*
                }
            }

            /// Its fields, for spans.
            pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Self::$event { $($field),* } => vec![$((stringify!($field), $field.to_string())),*]),*
                }
            }

            /// One of each.
            #[cfg(test)]
            pub(crate) fn samples() -> Vec<Self> {
                vec![$(Self::$event { $($field: tests::Sample::sample(stringify!($field))),* }),*]
            }
        }
    };
}

events! {
    /// The catalogue changed, or refused to.
    Plugin = "plugin-changed" {
        /// The plugin's id.
        plugin: String,
        /// What happened.
        change: PluginChange,
        /// The generation's digest, or why the package was refused.
        detail: String,
    } at if *change == PluginChange::Refused { Level::WARN } else { Level::INFO },
        counts PLUGIN_CHANGES [plugin, change], says "plugin {plugin} {change}: {detail}";

    /// A breaker went to another state.
    BreakerChanged = "breaker-changed" {
        /// Which breaker, such as `plugin:crop-people` or `upstream:image-service`.
        breaker: String,
        /// Where it was.
        from: String,
        /// Where it is.
        to: String,
    } at Level::WARN, counts BREAKER_CHANGES [breaker, to], says "breaker {breaker} went from {from} to {to}";

    /// An endpoint was ejected, or returned.
    Endpoint = "endpoint-changed" {
        /// The upstream.
        upstream: String,
        /// The endpoint.
        endpoint: String,
        /// What happened.
        change: EndpointChange,
        /// The code of the last failure, or how long it was away.
        detail: String,
    } at if *change == EndpointChange::Ejected { Level::WARN } else { Level::INFO },
        counts UPSTREAM_ENDPOINT_CHANGES [upstream, change], says "endpoint {endpoint} of {upstream} {change}: {detail}";

    /// Health checks of an upstream began to fail, or pass again.
    UpstreamHealth = "upstream-health-changed" {
        /// The upstream.
        upstream: String,
        /// The endpoint that was checked.
        endpoint: String,
        /// What it is now.
        health: Health,
        /// What the check saw, such as a status or a code.
        detail: String,
    } at if *health == Health::Unhealthy { Level::WARN } else { Level::INFO },
        counts UPSTREAM_HEALTH_CHANGES [upstream, health], says "endpoint {endpoint} of {upstream} is {health}: {detail}";

    /// Retries and hedges of an upstream are used up; more are refused until calls or time refill the budget.
    RetryBudgetExhausted = "retry-budget-exhausted" {
        /// The upstream.
        upstream: String,
    } at Level::WARN, counts UPSTREAM_BUDGET_EXHAUSTED [upstream], says "the retry budget of {upstream} is exhausted";

    /// A tier of the cache was lost, or is back.
    Cache = "cache-tier-changed" {
        /// The tier.
        tier: CacheTier,
        /// What happened.
        change: TierChange,
        /// Why it was lost, or how long it was away.
        detail: String,
    } at if *change == TierChange::Lost { Level::WARN } else { Level::INFO },
        counts CACHE_TIER_CHANGES [tier, change], says "cache tier {tier} {change}: {detail}";

    /// A feature flag was changed.
    Flag = "flag-changed" {
        /// Its name.
        flag: String,
        /// What happened.
        change: FlagChange,
        /// What it is now, such as `on for 25 %`.
        detail: String,
    } at Level::INFO, counts FLAG_CHANGES [flag, change], says "flag {flag} {change}: {detail}";

    /// The registry changed.
    Registry = "registry-changed" {
        /// The service.
        service: String,
        /// The instance.
        instance: String,
        /// What happened.
        change: RegistryChange,
    } at Level::INFO, counts REGISTRY_CHANGES [service, change], says "instance {instance} of {service} {change}";

    /// An instance of a sidecar was started, became ready, failed or ended.
    Sidecar = "sidecar-changed" {
        /// The sidecar.
        sidecar: String,
        /// The instance, from 0.
        instance: u32,
        /// What happened.
        change: SidecarChange,
        /// Why; a failure begins with its kind, such as `DEPENDENCY_ERROR`.
        detail: String,
        /// Its process.
        pid: Figure,
        /// How long it had been ready, or how long that took, in milliseconds.
        uptime_ms: Figure,
        /// Starts after a failure, since it was last stable.
        restarts: u32,
    } at if change.is_trouble() { Level::WARN } else { Level::INFO },
        counts SIDECAR_CHANGES [sidecar, change], says "instance {instance} of the sidecar {sidecar} {change}: {detail}";

    /// A fallback answered a call that its providers did not.
    FallbackServed = "fallback-served" {
        /// The operation.
        operation: String,
        /// The level that answered, such as `basic-template`; `stale` and `static` for the host's own.
        level: String,
        /// Who answered.
        served_by: String,
        /// The code of the failure that made it necessary.
        code: String,
        /// Which call.
        correlation_id: String,
    } at Level::INFO, counts FALLBACK_ANSWERS [operation, level], says "{operation} answered by its fallback {level} after {code}";

    /// An operation went to its fallbacks because its flag is off.
    OperationDisabled = "operation-disabled" {
        /// The operation.
        operation: String,
        /// The flag.
        flag: String,
        /// Which call.
        correlation_id: String,
    } at Level::INFO, counts OPERATION_DISABLED [operation, flag], says "{operation} went to its fallbacks: flag {flag} is off";
}

#[cfg(test)]
pub(crate) mod tests;
