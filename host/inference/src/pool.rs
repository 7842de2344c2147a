//! The threads that make images ready and read results; work never runs on a caller's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use breakwater_core::{Deadline, Failure};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::{Semaphore, oneshot};

/// A bounded pool. A job holds its permit until it ends, even when nobody waits for it any more, so that never more jobs are
/// started than there are threads.
#[derive(Debug, Clone)]
pub(crate) struct CpuPool {
    threads: Arc<ThreadPool>,
    permits: Arc<Semaphore>,
}

/// A pool of so many threads named `NAME-0` and so on.
pub(crate) fn threads(name: &'static str, count: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(count).thread_name(move |index| format!("{name}-{index}")).build()
}

impl CpuPool {
    pub(crate) fn new(name: &'static str, count: usize) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self { threads: Arc::new(threads(name, count)?), permits: Arc::new(Semaphore::new(count)) })
    }

    /// Runs a job, after waiting for a permit until the deadline. A job that panics is an internal failure.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        deadline: Deadline,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = deadline.bound(what, Arc::clone(&self.permits).acquire_owned()).await?;
        let permit = permit.map_err(|_| Failure::internal("the pool's permits were closed"))?;
        let (sender, receiver) = oneshot::channel();
        self.threads.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            drop(permit);
            // Whoever waited may have gone.
            drop(sender.send(result));
        });
        match deadline.bound(what, receiver).await? {
            Ok(Ok(value)) => Ok(value),
            _ => Err(Failure::internal(format!("{what} panicked"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[tokio::test]
    async fn a_job_keeps_its_permit_after_its_caller_has_gone() {
        let pool = CpuPool::new("test-pool", 1).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let job = pool.run("a job", soon(), move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        });
        let caller = tokio::spawn({
            let pool = pool.clone();
            async move { pool.permits.available_permits() }
        });
        assert_eq!(caller.await.unwrap(), 1);
        tokio::select! {
            _ = job => panic!("the job cannot end yet"),
            started = has_started => started.unwrap(),
        }
        assert_eq!(pool.permits.available_permits(), 0);
        let late = pool.run("another job", Deadline::after(Duration::from_millis(1)), || ()).await;
        assert_eq!(late.unwrap_err().code, "call.deadline");
        release.send(()).unwrap();
        assert_eq!(pool.run("another job", soon(), || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_job_that_panics_costs_only_itself() {
        let pool = CpuPool::new("test-pool", 1).unwrap();
        let failure = pool.run("a job", soon(), || panic!("broken")).await.unwrap_err();
        assert_eq!(failure.code, "internal");
        assert_eq!(pool.run("a job", soon(), || 7).await.unwrap(), 7);
    }
}
