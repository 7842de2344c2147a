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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use breakwater_core::{Deadline, FailureKind, Ledger};
    use tower::{ServiceBuilder, service_fn};

    use super::*;
    use crate::observer::NoObserver;
    use crate::pipeline::{FailureClass, PipelineConfig};
    use crate::{EndpointSpec, Terms};

    #[tokio::test(start_paused = true)]
    async fn a_tower_service_is_retried_at_another_endpoint_and_its_breaker_opens() {
        let pipeline = Pipeline::new(PipelineConfig::default(), Arc::new(NoObserver));
        let spec = |id: &str| EndpointSpec { id: id.to_owned(), weight: 1, endpoint: id.to_owned() };
        pipeline.set_endpoints(vec![spec("a"), spec("b")]);
        let sent = Arc::new(AtomicU32::new(0));
        let counting = Arc::clone(&sent);
        let one_attempt = service_fn(move |routed: Routed<String, &'static str>| {
            counting.fetch_add(1, Ordering::Relaxed);
            async move {
                if routed.request == "down" || routed.attempt.endpoint == "a" {
                    let failure = Failure::new(FailureKind::Unavailable, "test.down", "down");
                    return Err(AttemptFailure::new(FailureClass::Connection, failure));
                }
                Ok(format!("{} from {}", routed.request, routed.attempt.endpoint))
            }
        });
        let terms = |_: &&str| Terms::read(Deadline::after(Duration::from_secs(60)), Ledger::default());
        let mut service = ServiceBuilder::new().layer(PipelineLayer::new(pipeline.clone(), terms)).service(one_attempt);
        let completed = service.ready().await.unwrap().call("hello").await.unwrap();
        assert_eq!(completed, Completed { value: "hello from b".to_owned(), attempts: 2 });
        for _ in 0..5 {
            assert_eq!(&*service.ready().await.unwrap().call("down").await.unwrap_err().code, "retry.exhausted");
        }
        let before = sent.load(Ordering::Relaxed);
        assert_eq!(&*service.ready().await.unwrap().call("hello").await.unwrap_err().code, "breaker.open");
        assert_eq!(sent.load(Ordering::Relaxed), before);
    }
}
