//! The queue of ended spans and the way out of the process.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakwater_core::BoxFuture;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _};
use tokio::runtime::Handle;

use super::OtlpConfig;
use crate::TelemetryError;
use crate::metrics::SpanSample;
use crate::throttle::Throttle;

/// How often at most a failing collector is mentioned in the log.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Sends an OTLP request. The composition root builds it on the client of the upstreams.
pub trait OtlpTransport: Send + Sync + 'static {
    /// Posts `body` to `url` and answers with the status, or with why there is none. Header names are in lower case.
    fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> BoxFuture<'_, Result<u16, String>>;
}

/// Why the last request had no answer; the exporter's own error does not say.
pub(super) type LastError = Arc<Mutex<Option<String>>>;

/// The SDK exports on a thread of its own; the transport needs a runtime. This brings the two together.
struct Client {
    transport: Arc<dyn OtlpTransport>,
    runtime: Handle,
    timeout: Duration,
    reason: LastError,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let headers = parts.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect();
        let (transport, url, timeout) = (Arc::clone(&self.transport), parts.uri.to_string(), self.timeout);
        // Task `otlp-export`: ends with its request or its timeout; dropped with the runtime, which is an error here.
        let task = self.runtime.spawn(async move { tokio::time::timeout(timeout, transport.post(&url, headers, body)).await });
        let status = match task.await {
            Ok(Ok(Ok(status))) => Ok(status),
            Ok(Ok(Err(reason))) => Err(reason),
            Ok(Err(_)) => Err("no answer in time".to_owned()),
            Err(_) => Err("the service is stopping".to_owned()),
        };
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *reason = status.as_ref().err().cloned();
        drop(reason);
        Ok(Response::builder().status(status?).body(Bytes::new())?)
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'async_trait>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send(request))
    }
}

/// The exporter of the SDK on `transport`.
pub(super) fn exporter(
    url: &str,
    timeout: Duration,
    transport: Arc<dyn OtlpTransport>,
    runtime: Handle,
) -> Result<(opentelemetry_otlp::SpanExporter, LastError), ExporterBuildError> {
    let reason = LastError::default();
    let client = Client { transport, runtime, timeout, reason: Arc::clone(&reason) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(timeout)
        .build()?;
    Ok((exporter, reason))
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    waiting: AtomicUsize,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Counts what an exporter does and complains about failures, but not too often.
#[derive(Debug)]
pub(super) struct Counting<E> {
    exporter: E,
    counts: Arc<Counts>,
    reason: LastError,
    complaints: Throttle,
}

impl<E> Counting<E> {
    pub(super) fn new(exporter: E, counts: Arc<Counts>, reason: LastError) -> Self {
        Self { exporter, counts, reason, complaints: Throttle::new(COMPLAINT_INTERVAL) }
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        // Spans of a batch under way count as waiting: they are held in memory.
        self.counts.waiting.fetch_sub(spans, Ordering::AcqRel);
        let counter = if result.is_ok() { &self.counts.exported } else { &self.counts.failed };
        counter.fetch_add(spans as u64, Ordering::Relaxed);
        if let Err(error) = &result
            && let Some(silent) = self.complaints.pass()
        {
            let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let reason = reason.unwrap_or_else(|| error.to_string());
            tracing::warn!(event = "trace-export-failed", spans, reason, silent, "spans could not be exported; they are lost");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Ended spans on their way to the exporter's thread.
#[derive(Debug)]
pub(super) struct Queue {
    processor: BatchSpanProcessor,
    counts: Arc<Counts>,
    limit: usize,
    closed: AtomicBool,
}

impl Queue {
    pub(super) fn start(config: &OtlpConfig, resource: &Resource, exporter: impl SpanExporter + 'static, reason: LastError) -> Self {
        let counts = Arc::new(Counts::default());
        let exporter = Counting::new(exporter, Arc::clone(&counts), reason);
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(config.max_queue)
            .with_max_export_batch_size(config.max_batch)
            .with_scheduled_delay(config.interval)
            .build();
        let mut processor = BatchSpanProcessor::new(exporter, batches);
        opentelemetry_sdk::trace::SpanProcessor::set_resource(&mut processor, resource);
        Self { processor, counts, limit: config.max_queue, closed: AtomicBool::new(false) }
    }

    /// Takes a span, or drops and counts it when too many wait. The bound is ours because the processor does not tell what it drops.
    pub(super) fn offer(&self, span: SpanData) {
        let counts = &self.counts;
        if self.closed.load(Ordering::Acquire) {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        } else if counts.waiting.fetch_add(1, Ordering::AcqRel) >= self.limit {
            counts.waiting.fetch_sub(1, Ordering::AcqRel);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            self.processor.on_end(span);
        }
    }

    pub(super) fn sample(&self) -> SpanSample {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { exported, failed, dropped, .. } = &*self.counts;
        SpanSample { exported: read(exported), failed: read(failed), dropped: read(dropped) }
    }

    pub(super) async fn shutdown(self: &Arc<Self>, within: Duration) -> Result<(), TelemetryError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (done, flushed) = tokio::sync::oneshot::channel();
        let queue = Arc::clone(self);
        // Thread `trace-flush`: the processor's shutdown blocks until its last export, or `within`.
        let flush = move || {
            let result = queue.processor.shutdown_with_timeout(within);
            // Nobody listens any more once the time is over.
            let _ = done.send(result.is_ok());
        };
        let spawned = std::thread::Builder::new().name("trace-flush".to_owned()).spawn(flush);
        let flushed = match spawned {
            Ok(_) => tokio::time::timeout(within, flushed).await.is_ok_and(|flushed| flushed == Ok(true)),
            Err(_) => false,
        };
        let waiting = self.counts.waiting.load(Ordering::Acquire);
        if flushed { Ok(()) } else { Err(TelemetryError::Flush { waiting }) }
    }
}
