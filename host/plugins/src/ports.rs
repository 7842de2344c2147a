//! What the runtime needs from the rest of the host. The composition root connects these.

mod models;

use std::sync::Arc;

pub use breakwater_core::BoxFuture;
use breakwater_core::{CallContext, Deadline, Detection, DetectionKind, Failure, FailureKind, OutboundRequest, OutboundResponse};
use breakwater_resilience::CpuPermits;
use breakwater_vision::Image;

pub use models::{ElementType, Embed, Infer, ModelDescription, ModelTensor, ModelVector, NoModels};

/// Finds things in images; implemented over the inference engine.
pub trait Detect: Send + Sync + 'static {
    /// What of this kind is in the image, in original pixels, by falling confidence.
    fn detect<'a>(
        &'a self,
        image: &'a Arc<Image>,
        kind: DetectionKind,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>>;
}

/// Runs processor-bound work beside the threads that serve calls, bounded by permits that the job holds, not the waiter.
pub trait CpuPool: Send + Sync + 'static {
    /// Runs `job` and resolves when it has run.
    ///
    /// Fails when the pool is full or `deadline` comes before the job has ended; a job that has started runs to its end all the same.
    fn run(&self, job: Box<dyn FnOnce() + Send>, deadline: Deadline) -> BoxFuture<'static, Result<(), Failure>>;
}

impl CpuPool for CpuPermits {
    fn run(&self, job: Box<dyn FnOnce() + Send>, deadline: Deadline) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(Self::run(self, job, deadline))
    }
}

/// Sends requests to services: named upstreams, and URLs. Implemented over the host's HTTP client with its pool, retries and breakers.
///
/// The context is that of the call on whose behalf a request is sent; an answer later than its deadline is of no use.
pub trait Outbound: Send + Sync + 'static {
    /// Asks a named upstream. Fails with the codes that `upstream.send` of the plugin contract lists.
    fn send<'a>(
        &'a self,
        context: &'a CallContext,
        upstream: &'a str,
        request: OutboundRequest,
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>>;

    /// Asks a URL; the request's path is ignored. `hosts` are the patterns that the plugin was granted ([`Reach`](crate::Reach)), which
    /// redirects must keep to as well.
    fn send_to_url<'a>(
        &'a self,
        context: &'a CallContext,
        url: &'a str,
        request: OutboundRequest,
        hosts: &'a [String],
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>>;
}

/// Reads feature flags.
pub trait FlagReader: Send + Sync + 'static {
    /// Whether the flag is on for whom the call serves. A flag that does not exist is off.
    fn enabled(&self, context: &CallContext, flag: &str) -> bool;
}

/// What the composition root connects to the runtime.
#[derive(Clone)]
pub struct Ports {
    /// The detectors.
    pub detect: Arc<dyn Detect>,
    /// The processor pool.
    pub cpu: Arc<dyn CpuPool>,
    /// The way out.
    pub outbound: Arc<dyn Outbound>,
    /// The feature flags.
    pub flags: Arc<dyn FlagReader>,
    /// The models that give vectors.
    pub embed: Arc<dyn Embed>,
    /// The models that take tensors.
    pub infer: Arc<dyn Infer>,
}

impl Ports {
    /// Without upstreams, flags and models: every upstream and model is unknown, every flag is off.
    #[must_use]
    pub fn offline(detect: Arc<dyn Detect>, cpu: Arc<dyn CpuPool>) -> Self {
        Self { detect, cpu, outbound: Arc::new(Nowhere), flags: Arc::new(AllOff), embed: Arc::new(NoModels), infer: Arc::new(NoModels) }
    }
}

struct Nowhere;

impl Outbound for Nowhere {
    fn send<'a>(
        &'a self,
        _context: &'a CallContext,
        upstream: &'a str,
        _request: OutboundRequest,
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        let failure = Failure::new(FailureKind::NotFound, "upstream.unknown", format!("no upstream `{upstream}` is configured"));
        Box::pin(std::future::ready(Err(failure)))
    }

    fn send_to_url<'a>(
        &'a self,
        _context: &'a CallContext,
        _url: &'a str,
        _request: OutboundRequest,
        _hosts: &'a [String],
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        let failure = Failure::new(FailureKind::Denied, "upstream.not-granted", "requests to URLs are not set up here");
        Box::pin(std::future::ready(Err(failure)))
    }
}

struct AllOff;

impl FlagReader for AllOff {
    fn enabled(&self, _context: &CallContext, _flag: &str) -> bool {
        false
    }
}

/// Runs `work` on the pool and returns its result.
pub(crate) async fn on_pool<T: Send + 'static>(
    pool: &dyn CpuPool,
    deadline: Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (give, take) = tokio::sync::oneshot::channel();
    let job = Box::new(move || {
        // The waiter may be gone; then nobody wants the result.
        drop(give.send(work()));
    });
    pool.run(job, deadline).await?;
    take.await.map_err(|_| Failure::internal("a job on the processor pool ended without a result"))
}
