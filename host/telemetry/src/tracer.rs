//! Spans of calls, exported over OTLP (http/protobuf).
//!
//! Ids of traces and spans always exist, in [`CallContext::trace`], and go downstream whether anything is exported or not. Spans are
//! recorded only when an endpoint is configured and the trace is sampled; otherwise a [`Span`] holds nothing and costs a branch.

mod export;
mod span;

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{CallContext, TraceContext};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter;
use tokio::runtime::Handle;

use crate::TelemetryError;
use crate::metrics::SpanSample;
pub use export::OtlpTransport;
use export::{Queue, exporter};
pub use span::{MAX_ATTRIBUTES, MAX_EVENTS, Span, SpanKind, SpanValue};

/// Where spans go.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpConfig {
    /// The collector, such as `http://localhost:4318`; `/v1/traces` is appended unless it is there.
    pub endpoint: String,
    /// The share of new traces that are recorded, 0 to 1. Traces that begin elsewhere are recorded if they are there.
    pub sample_ratio: f64,
    /// The longest one export may take, its retries included.
    pub timeout: Duration,
    /// The resource attribute `service.name`.
    pub service_name: String,
    /// The resource attribute `service.version`.
    pub service_version: String,
    /// Spans that wait for their export at most; more are dropped and counted.
    pub max_queue: usize,
    /// Spans of one export at most.
    pub max_batch: usize,
    /// The longest that a span waits for others.
    pub interval: Duration,
}

impl OtlpConfig {
    /// The defaults of the OpenTelemetry specification for batches (queue 2048, batch 512, interval 5 s) and timeout (10 s).
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            sample_ratio: 1.0,
            timeout: Duration::from_secs(10),
            service_name: "breakwater".to_owned(),
            service_version: String::new(),
            max_queue: 2048,
            max_batch: 512,
            interval: Duration::from_secs(5),
        }
    }

    fn traces_url(&self) -> String {
        let endpoint = self.endpoint.trim_end_matches('/');
        if endpoint.ends_with("/v1/traces") { endpoint.to_owned() } else { format!("{endpoint}/v1/traces") }
    }
}

/// Makes spans.
#[derive(Debug)]
pub struct Tracer {
    exporting: Option<Exporting>,
}

#[derive(Debug)]
struct Exporting {
    queue: Arc<Queue>,
    scope: InstrumentationScope,
    sample_ratio: f64,
}

impl Tracer {
    /// A tracer that records nothing.
    #[must_use]
    pub fn disabled() -> Arc<Self> {
        Arc::new(Self { exporting: None })
    }

    /// A tracer that exports spans through `transport`, whose work runs on `runtime`.
    ///
    /// # Errors
    /// [`TelemetryError::Exporter`] when the endpoint is no URL.
    pub fn start(config: &OtlpConfig, transport: Arc<dyn OtlpTransport>, runtime: Handle) -> Result<Arc<Self>, TelemetryError> {
        let (exporter, reason) = exporter(&config.traces_url(), config.timeout, transport, runtime)
            .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
        Ok(Self::exporting(config, exporter, reason))
    }

    fn exporting(config: &OtlpConfig, exporter: impl SpanExporter + 'static, reason: export::LastError) -> Arc<Self> {
        let version = [KeyValue::new("service.version", config.service_version.clone())];
        let resource = Resource::builder_empty().with_service_name(config.service_name.clone()).with_attributes(version).build();
        let queue = Arc::new(Queue::start(config, &resource, exporter, reason));
        let scope = InstrumentationScope::builder("breakwater").build();
        Arc::new(Self { exporting: Some(Exporting { queue, scope, sample_ratio: config.sample_ratio }) })
    }

    /// Whether spans are exported at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.exporting.is_some()
    }

    /// The trace of a call that begins here: a child of the caller's, if it names one, or a new one, sampled as configured.
    #[must_use]
    pub fn root(&self, caller: Option<TraceContext>) -> TraceContext {
        let sampled = || self.exporting.as_ref().is_some_and(|exporting| fastrand::f64() < exporting.sample_ratio);
        caller.map_or_else(|| TraceContext::generate(sampled()), |caller| caller.child())
    }

    /// Starts the span `own` below `parent`; it ends when it is dropped. Nothing is recorded when tracing is off or the trace is not
    /// sampled.
    ///
    /// `name` is one of few, such as `operation` or `upstream attempt`; what varies belongs into attributes.
    pub fn span(&self, name: &str, kind: SpanKind, parent: impl Into<Option<TraceContext>>, own: TraceContext) -> Span {
        match &self.exporting {
            Some(exporting) if own.is_sampled() => {
                Span::start(Arc::clone(&exporting.queue), exporting.scope.clone(), name, kind, parent.into(), own)
            }
            _ => Span::none(),
        }
    }

    /// As [`Self::span`], of something that began at `started`.
    pub fn span_since(
        &self,
        name: &str,
        kind: SpanKind,
        parent: impl Into<Option<TraceContext>>,
        own: TraceContext,
        started: std::time::Instant,
    ) -> Span {
        let mut span = self.span(name, kind, parent, own);
        span.began(started);
        span
    }

    /// Starts a span below the current one of `context`; the context returned is the call within it.
    pub fn child(&self, context: &CallContext, name: &str, kind: SpanKind) -> (CallContext, Span) {
        let child = context.child_span();
        let span = self.span(name, kind, context.trace, child.trace);
        (child, span)
    }

    /// Spans exported, failed and dropped since the start.
    #[must_use]
    pub fn sample(&self) -> SpanSample {
        self.exporting.as_ref().map(|exporting| exporting.queue.sample()).unwrap_or_default()
    }

    /// Exports what waits and stops. Spans that end later are dropped and counted.
    ///
    /// # Errors
    /// [`TelemetryError::Flush`] with the number of spans that were still waiting when `within` had passed.
    pub async fn shutdown(&self, within: Duration) -> Result<(), TelemetryError> {
        match &self.exporting {
            Some(exporting) => exporting.queue.shutdown(within).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
