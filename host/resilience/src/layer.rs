//! A [`Pipeline`] for users of tower: a layer over a service that makes one attempt.
//!
//! ```
//! # use std::time::Duration;
//! # use breakwater_core::{Deadline, Ledger};
//! # use breakwater_resilience::*;
//! # use breakwater_resilience::layer::Routed;
//! # use tower::{Layer as _, ServiceExt as _, service_fn};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let pipeline = Pipeline::new(PipelineConfig::default(), std::sync::Arc::new(NoObserver));
//! pipeline.set_endpoints(vec![EndpointSpec { id: "a".into(), weight: 1, endpoint: 10 }]);
//! let one_attempt = service_fn(|routed: Routed<i32, i32>| async move { Ok::<_, AttemptFailure>(routed.attempt.endpoint + routed.request) });
//! let terms = |_: &i32| Terms::read(Deadline::after(Duration::from_secs(1)), Ledger::default());
//! let service = PipelineLayer::new(pipeline, terms).layer(one_attempt);
//! assert_eq!(service.oneshot(5).await.unwrap().value, 15);
//! # });
//! ```

use std::fmt;
use std::task::{Context, Poll};

use breakwater_core::{BoxFuture, Failure};
use tower::{Layer, Service, ServiceExt as _};

use crate::pipeline::{Attempt, AttemptFailure, Completed, Pipeline, Terms};

/// A request, and the attempt it is sent in.
#[derive(Debug, Clone)]
pub struct Routed<E, R> {
    /// Where it goes and until when.
    pub attempt: Attempt<E>,
    /// What is asked.
    pub request: R,
}

/// Puts a [`Pipeline`] around a service of [`Routed`] requests. `terms` says what each request may cost.
#[derive(Clone)]
pub struct PipelineLayer<E, P> {
    pipeline: Pipeline<E>,
    terms: P,
}

impl<E, P> PipelineLayer<E, P> {
    /// A layer; every service it makes shares the pipeline.
    #[must_use]
    pub const fn new(pipeline: Pipeline<E>, terms: P) -> Self {
        Self { pipeline, terms }
    }
}

impl<E, P> fmt::Debug for PipelineLayer<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineLayer").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl<S, E, P: Clone> Layer<S> for PipelineLayer<E, P> {
    type Service = PipelineService<S, E, P>;

    fn layer(&self, inner: S) -> Self::Service {
        PipelineService { inner, pipeline: self.pipeline.clone(), terms: self.terms.clone() }
    }
}

/// A service whose every call goes through a [`Pipeline`].
#[derive(Clone)]
pub struct PipelineService<S, E, P> {
    inner: S,
    pipeline: Pipeline<E>,
    terms: P,
}

impl<S, E, P> fmt::Debug for PipelineService<S, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineService").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl<S, E, P, R> Service<R> for PipelineService<S, E, P>
where
    S: Service<Routed<E, R>> + Clone + Send + Sync + 'static,
    S::Error: Into<AttemptFailure>,
    S::Future: Send,
    S::Response: Send,
    E: Clone + Send + Sync + 'static,
    P: Fn(&R) -> Terms,
    R: Clone + Send + Sync + 'static,
{
    type Response = Completed<S::Response>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    /// Always ready: calls wait in the pipeline's bulkhead, under their own deadlines.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (pipeline, inner, terms) = (self.pipeline.clone(), self.inner.clone(), (self.terms)(&request));
        Box::pin(async move {
            let attempt = |attempt| {
                let routed = Routed { attempt, request: request.clone() };
                let service = inner.clone();
                async move { service.oneshot(routed).await.map_err(Into::into) }
            };
            pipeline.call(&terms, attempt).await
        })
    }
}
