//! What the service says about itself: logs, Prometheus metrics, spans and typed events.
//!
//! Every metric name lives in [`metrics::names`], so that dashboards have one place to look; `docs/metrics.md` is checked
//! against it. An [`Event`] is a thing that operators care about: it writes its log line and counts its metric together, and
//! the span of the call carries it, so that none of them can be forgotten. A [`Tracer`] exports spans over OTLP when it is asked to.

#![forbid(unsafe_code)]

#[cfg(test)]
mod capture;
pub mod event;
mod label;
pub mod logs;
pub mod metrics;
mod throttle;
pub mod tracer;

pub use event::{CacheTier, EndpointChange, Event, Figure, FlagChange, Health, PluginChange, RegistryChange, SidecarChange, TierChange};
pub use logs::{LogConfig, LogFormat, LogHandle, TelemetryError};
pub use metrics::{
    AttemptOutcome, BreakerSample, CacheResult, EndpointSample, HedgeResult, Metrics, ModelSample, PluginSample, PoolSample, Refusal,
    SidecarSample, Sources, SpaceSample, SpanSample, Stage, TierSample, UpstreamSample,
};
pub use throttle::Throttle;
pub use tracer::{OtlpConfig, OtlpTransport, Span, SpanKind, SpanValue, Tracer};
