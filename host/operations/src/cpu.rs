//! The CPU pool: decoding, analysing and rendering run here, never on the threads that serve connections.
//!
//! A pool has a fixed number of threads and a bounded queue. A thread is the permit: the job holds it until the job ends, whether
//! or not anyone still waits for the result, so abandoned calls cannot pile work on top of work. A job whose deadline passed, or
//! whose waiter left, while it was queued is dropped without being run.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use breakwater_plugins::CpuPool;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// How long a caller is asked to wait when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A pool of threads with a bounded queue.
#[derive(Debug)]
pub struct CpuPermits {
    shared: Arc<Shared>,
}

/// A moment's view of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuStatistics {
    /// Threads, so the most jobs that run at once.
    pub threads: usize,
    /// Jobs running now.
    pub running: usize,
    /// Jobs waiting now.
    pub queued: usize,
    /// Jobs refused because the queue was full, since the start.
    pub rejected: u64,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    threads: usize,
    capacity: usize,
    queue: Mutex<Queue>,
    available: Condvar,
    running: AtomicUsize,
    rejected: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Queued>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("jobs", &self.jobs.len()).field("closed", &self.closed).finish()
    }
}

struct Queued {
    job: Job,
    deadline: Deadline,
    done: oneshot::Sender<Result<(), Failure>>,
}

impl CpuPermits {
    /// A pool of `threads` threads (at least one) whose queue holds `capacity` jobs. `name` is the area of its failure codes:
    /// a full queue fails with `NAME.overloaded`.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(name: &'static str, threads: usize, capacity: usize) -> std::io::Result<Arc<Self>> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            name,
            threads,
            capacity,
            queue: Mutex::default(),
            available: Condvar::new(),
            running: AtomicUsize::new(0),
            rejected: AtomicU64::new(0),
        });
        let pool = Arc::new(Self { shared });
        for index in 0..threads {
            let shared = pool.shared.clone();
            std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Runs `job` on the pool and waits for its result until the deadline.
    ///
    /// # Errors
    /// `NAME.overloaded` (limit) when the queue is full, `call.deadline` (timeout) when the deadline comes first (the job may then
    /// still run, but nobody sees its result), `internal` when the job panicked or the pool is closed.
    pub async fn compute<T: Send + 'static>(&self, deadline: Deadline, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let (send, receive) = oneshot::channel();
        let done = self.submit(Box::new(move || drop(send.send(job()))), deadline)?;
        deadline.bound("work on the CPU pool", done).await?.unwrap_or_else(|_| Err(Failure::internal("a pool dropped a job")))?;
        receive.await.map_err(|_| Failure::internal("a job ended without a result"))
    }

    /// A moment's view, for metrics.
    #[must_use]
    pub fn statistics(&self) -> CpuStatistics {
        let queued = self.shared.lock().jobs.len();
        CpuStatistics {
            threads: self.shared.threads,
            running: self.shared.running.load(Ordering::Relaxed),
            queued,
            rejected: self.shared.rejected.load(Ordering::Relaxed),
        }
    }

    fn submit(&self, job: Job, deadline: Deadline) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
        let (done, receiver) = oneshot::channel();
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Failure::internal("the pool is closed"));
        }
        if queue.jobs.len() >= self.shared.capacity {
            // Jobs nobody waits for any more must not keep others out.
            queue.jobs.retain(|queued| !queued.is_abandoned());
        }
        if queue.jobs.len() >= self.shared.capacity {
            self.shared.rejected.fetch_add(1, Ordering::Relaxed);
            let code = format!("{}.overloaded", self.shared.name);
            return Err(Failure::limit(code, "too much work is waiting already; try again later").retry_after(RETRY_AFTER));
        }
        queue.jobs.push_back(Queued { job, deadline, done });
        drop(queue);
        self.shared.available.notify_one();
        Ok(receiver)
    }
}

impl CpuPool for CpuPermits {
    fn run(&self, job: Box<dyn FnOnce() + Send>, deadline: Deadline) -> BoxFuture<'static, Result<(), Failure>> {
        let submitted = self.submit(job, deadline);
        Box::pin(async move {
            let done = submitted?;
            deadline.bound("work on the CPU pool", done).await?.unwrap_or_else(|_| Err(Failure::internal("a pool dropped a job")))
        })
    }
}

impl Drop for CpuPermits {
    /// Queued jobs are dropped, running ones end by themselves; the threads then leave.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.available.notify_all();
    }
}

impl Queued {
    fn is_abandoned(&self) -> bool {
        self.done.is_closed() || self.deadline.has_passed()
    }
}

impl Shared {
    /// A panic never happens while the lock is held, so a poisoned lock still guards a whole queue.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(queued) = self.next() {
            if queued.is_abandoned() {
                let late = Failure::new(FailureKind::Timeout, "call.deadline", "the call's deadline passed while its work was queued");
                drop(queued.done.send(Err(late)));
                continue;
            }
            self.running.fetch_add(1, Ordering::Relaxed);
            let result = std::panic::catch_unwind(AssertUnwindSafe(queued.job));
            self.running.fetch_sub(1, Ordering::Relaxed);
            let result = result.map_err(|panic| Failure::internal(format!("a job panicked: {}", panic_message(&*panic))));
            // The waiter may have left; its job is done all the same.
            drop(queued.done.send(result));
        }
    }

    fn next(&self) -> Option<Queued> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(queued) = queue.jobs.pop_front() {
                return Some(queued);
            }
            queue = self.available.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    /// A pool of one thread that is busy until the returned sender is dropped.
    async fn busy_pool(capacity: usize) -> (Arc<CpuPermits>, mpsc::Sender<()>) {
        let pool = CpuPermits::start("cpu", 1, capacity).unwrap();
        let (release, wait) = mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let job = move || {
            started.send(()).unwrap();
            // Ends when the sender is dropped.
            let _ = wait.recv();
        };
        let waiter = pool.run(Box::new(job), soon());
        has_started.await.unwrap();
        drop(waiter);
        (pool, release)
    }

    #[tokio::test]
    async fn a_result_comes_back_from_another_thread() {
        let pool = CpuPermits::start("cpu", 2, 4).unwrap();
        let name = pool.compute(soon(), || std::thread::current().name().map(str::to_owned)).await.unwrap();
        assert!(name.is_some_and(|name| name.starts_with("cpu-")));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_with_a_wait() {
        let (pool, release) = busy_pool(1).await;
        let queued = pool.run(Box::new(|| ()), soon());
        let failure = pool.compute(soon(), || ()).await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code, failure.retryable), (FailureKind::Limit, "cpu.overloaded", true));
        assert_eq!(pool.statistics(), CpuStatistics { threads: 1, running: 1, queued: 1, rejected: 1 });
        drop(release);
        queued.await.unwrap();
    }

    #[tokio::test]
    async fn the_job_holds_its_thread_after_the_waiter_left() {
        let (pool, release) = busy_pool(1).await;
        // `busy_pool` dropped its waiter at once, and still its job runs.
        assert_eq!(pool.statistics().running, 1);
        drop(release);
        pool.compute(soon(), || ()).await.unwrap();
    }

    #[tokio::test]
    async fn abandoned_jobs_make_room_and_never_run() {
        let (pool, release) = busy_pool(1).await;
        let (ran, has_run) = mpsc::channel::<()>();
        drop(pool.run(Box::new(move || ran.send(()).unwrap()), soon()));
        let queued = pool.run(Box::new(|| ()), soon());
        drop(release);
        queued.await.unwrap();
        assert!(has_run.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_deadline_that_passes_in_the_queue_is_a_timeout() {
        let (pool, release) = busy_pool(4).await;
        let failure = pool.compute(Deadline::after(Duration::from_millis(5)), || ()).await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
        drop(release);
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_call_only() {
        let pool = CpuPermits::start("cpu", 1, 4).unwrap();
        let failure = pool.compute(soon(), || panic!("boom")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Internal);
        assert!(failure.message.contains("boom"));
        assert_eq!(pool.compute(soon(), || 7).await.unwrap(), 7);
    }
}
