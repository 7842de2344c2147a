//! The CPU pool: work for the processor runs here, never on the threads that serve connections.
//!
//! A pool has as many permits as threads. A permit belongs to a job until the job ends, whether or not anyone still waits for the
//! result, so abandoned calls cannot pile work on top of work. Whoever has threads of its own, as one that feeds a device has,
//! takes a permit for the time that it computes. Either may spread its work over [`CpuPermits::threads`]: those that no permit
//! keeps busy help.
//!
//! New work waits in a bounded queue. The later steps of work that was let in go first, so that what was begun is finished; they
//! are never refused, and whoever let the work in has bounded them. What waits past its deadline, or for a waiter who has left, is
//! dropped without being run. Nobody may wait for a permit while he holds one.

mod waiting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use waiting::{Waiting, Work};

/// How long a caller is asked to wait when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A job of the pool.
pub type CpuJob = Box<dyn FnOnce() + Send>;

/// A pool of threads, as many permits, and the queue for them.
#[derive(Debug)]
pub struct CpuPermits {
    shared: Arc<Shared>,
}

/// Leave to keep one thread busy, until it is dropped.
#[derive(Debug)]
pub struct CpuPermit {
    shared: Arc<Shared>,
}

/// A moment's view of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuStatistics {
    /// Threads, so the most permits that are held at once.
    pub threads: usize,
    /// Permits held now.
    pub running: usize,
    /// Jobs and threads that wait for one now.
    pub queued: usize,
    /// Jobs refused because the queue was full, since the start.
    pub rejected: u64,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    threads: Arc<ThreadPool>,
    permits: usize,
    capacity: usize,
    state: Mutex<State>,
    rejected: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: Waiting,
    closed: bool,
}

/// Whether work is let in here, or was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Later,
}

impl CpuPermits {
    /// A pool of `threads` threads (at least one) whose queue holds `capacity` new jobs. `name` is the area of its failure codes: a
    /// full queue fails with `NAME.overloaded`.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(name: &'static str, threads: usize, capacity: usize) -> std::io::Result<Arc<Self>> {
        let permits = threads.max(1);
        let pool = ThreadPoolBuilder::new().num_threads(permits).thread_name(move |index| format!("{name}-{index}"));
        let threads = Arc::new(pool.build().map_err(std::io::Error::other)?);
        let rejected = AtomicU64::new(0);
        let shared = Shared { name, threads, permits, capacity, state: Mutex::default(), rejected };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Runs a new job on the pool and waits for its result until the deadline.
    ///
    /// # Errors
    /// `NAME.overloaded` (limit) when the queue is full, `call.deadline` (timeout) when the deadline comes first (the job may then
    /// still run, but nobody sees its result), `internal` when the job panicked or the pool is closed.
    pub async fn compute<T: Send + 'static>(&self, deadline: Deadline, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        self.result(Step::First, deadline, job).await
    }

    /// Runs a job that is a later step of a call which was let in before; as [`Self::compute`], but ahead of new jobs, and never
    /// refused.
    ///
    /// # Errors
    /// As [`Self::compute`], without `NAME.overloaded`.
    pub async fn go_on<T: Send + 'static>(&self, deadline: Deadline, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        self.result(Step::Later, deadline, job).await
    }

    async fn result<T: Send + 'static>(
        &self,
        step: Step,
        deadline: Deadline,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (send, receive) = oneshot::channel();
        let done = self.submit(step, Box::new(move || drop(send.send(job()))), deadline)?;
        deadline.bound("work on the CPU pool", done).await?.unwrap_or_else(|_| Err(dropped()))?;
        receive.await.map_err(|_| Failure::internal("a job ended without a result"))
    }

    /// Queues a new job now; the future resolves when it has run.
    pub fn run(&self, job: CpuJob, deadline: Deadline) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let submitted = self.submit(Step::First, job, deadline);
        async move { deadline.bound("work on the CPU pool", submitted?).await?.unwrap_or_else(|_| Err(dropped())) }
    }

    /// Waits on the caller's thread for a permit to do there what is a later step of calls let in before. It comes ahead of new
    /// jobs. A thread of the pool, and whoever holds a permit, must not ask.
    ///
    /// # Errors
    /// `call.deadline` when the deadline comes first, `internal` when the pool is closed.
    pub fn permit(&self, deadline: Deadline) -> Result<CpuPermit, Failure> {
        let (give, take) = mpsc::sync_channel(1);
        self.ask(Step::Later, Work::Thread(give), deadline)?;
        take.recv_timeout(deadline.remaining()).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => late(),
            mpsc::RecvTimeoutError::Disconnected => dropped(),
        })
    }

    /// The threads, for work that is spread over those that are idle.
    #[must_use]
    pub fn threads(&self) -> &Arc<ThreadPool> {
        &self.shared.threads
    }

    /// A moment's view, for metrics.
    #[must_use]
    pub fn statistics(&self) -> CpuStatistics {
        let state = self.shared.lock();
        let (running, queued) = (state.running, state.waiting.len());
        CpuStatistics { threads: self.shared.permits, running, queued, rejected: self.shared.rejected.load(Ordering::Relaxed) }
    }

    fn submit(&self, step: Step, job: CpuJob, deadline: Deadline) -> Result<oneshot::Receiver<Result<(), Failure>>, Failure> {
        let (done, receiver) = oneshot::channel();
        self.ask(step, Work::Job { job, done }, deadline)?;
        Ok(receiver)
    }

    /// Gives a permit to this work now, or in its turn.
    fn ask(&self, step: Step, work: Work, deadline: Deadline) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Failure::internal("the pool is closed"));
        }
        if deadline.has_passed() {
            return Err(late());
        }
        if state.running < self.shared.permits {
            state.running += 1;
            drop(state);
            self.shared.begin(work);
            return Ok(());
        }
        match step {
            Step::Later => state.waiting.push_later(work, deadline),
            Step::First if state.waiting.push_first(work, deadline, self.shared.capacity) => {}
            Step::First => {
                self.shared.rejected.fetch_add(1, Ordering::Relaxed);
                let code = format!("{}.overloaded", self.shared.name);
                return Err(Failure::limit(code, "too much work is waiting already; try again later").retry_after(RETRY_AFTER));
            }
        }
        Ok(())
    }
}

impl Drop for CpuPermits {
    /// What waits is dropped, what runs ends by itself; the threads then leave.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}

impl Shared {
    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts work with a permit that is counted already.
    fn begin(self: &Arc<Self>, work: Work) {
        let permit = CpuPermit { shared: Arc::clone(self) };
        match work {
            Work::Job { job, done } => self.threads.spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(job));
                drop(permit);
                let result = result.map_err(|panic| Failure::internal(format!("a job panicked: {}", panic_message(&*panic))));
                // The waiter may have left; its job is done all the same.
                drop(done.send(result));
            }),
            // The waiter may have left; then the permit comes back with the error and goes on to the next.
            Work::Thread(give) => drop(give.send(permit)),
        }
    }
}

impl Drop for CpuPermit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let (next, gone) = state.waiting.next();
        if next.is_none() {
            state.running -= 1;
        }
        drop(state);
        for work in gone {
            work.refuse(late());
        }
        if let Some(work) = next {
            self.shared.begin(work);
        }
    }
}

fn late() -> Failure {
    Failure::new(FailureKind::Timeout, "call.deadline", "the call's deadline passed while its work waited for the CPU pool")
}

fn dropped() -> Failure {
    Failure::internal("a pool dropped a job")
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
