//! What the service says about itself: logs, Prometheus metrics and typed events.
//!
//! Every metric name lives in [`metrics::names`], so that dashboards have one place to look; `docs/metrics.md` is checked
//! against it. An [`Event`] is a thing that operators care about: it writes its log line and counts its metric together,
//! so that neither can be forgotten.

#![forbid(unsafe_code)]

pub mod event;
pub mod logs;
pub mod metrics;

pub use event::{Event, PluginChange};
pub use logs::{LogConfig, LogFormat, LogHandle, TelemetryError};
pub use metrics::{BreakerSample, Metrics, ModelSample, PluginSample, PoolSample, Sources, Stage};
