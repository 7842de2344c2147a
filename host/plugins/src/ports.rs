//! What the runtime needs from the rest of the host. The composition root connects these.

use std::pin::Pin;
use std::sync::Arc;

use breakwater_core::{Deadline, Detection, DetectionKind, Failure};
use breakwater_vision::Image;

/// A boxed future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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
