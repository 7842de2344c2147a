//! One execution for executors that keep the journal elsewhere: a walk that asks for everything it needs, and can be walked again.
//!
//! Whoever drives it gives the time and the answers. As long as those are the same and come in the same order, a second course over the same
//! definition asks for the same things in the same order, which is what systems need that replay a history.

mod requests;
mod world;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use breakwater_core::{BoxFuture, Failure};
use tokio::task::unconstrained;

use crate::definition::Definition;
use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Signal, StepError};
use crate::journal::{Journal, JournalError};
use crate::log::Log;
use crate::records::{Change, Fence, Wanted};
use crate::walk::Walk;
use crate::walk::life::end;
use crate::walk::plan::Plan;
use crate::walk::run::{Run, Time};
pub use crate::world::{Attempt, Child, Observer};
pub use requests::{Called, Reply, Request};
use world::{CourseWorld, Shared};

/// What a course begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// The execution.
    pub execution: Execution,
    /// The version of the workflow that it runs.
    pub definition: Definition,
    /// How many workflows have started each other above it.
    pub depth: usize,
    /// What happened in it before, without gaps.
    pub past: Vec<Event>,
    /// Its signals so far.
    pub signals: Vec<Signal>,
    /// In milliseconds since 1970.
    pub now_ms: u64,
}

/// One execution on its way. Not woken by anything but what is given to it.
pub struct Course {
    handle: CourseHandle,
    walk: BoxFuture<'static, Change>,
    woken: Arc<Woken>,
}

/// What commands, signals and looks at a course share with it.
#[derive(Clone)]
pub struct CourseHandle {
    run: Arc<Run>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Course {
    /// # Errors
    /// `workflow.invalid` (invalid request): an expression cannot be read.
    pub fn new(begin: Begin, observer: Arc<dyn Observer>) -> Result<Self, Failure> {
        let Begin { execution, definition, depth, past, signals, now_ms } = begin;
        let plan = Arc::new(Plan::of(definition)?);
        let mut log = Log::default();
        past.iter().for_each(|event| log.apply(event));
        let (paused, cancelled) = (log.is_paused(), log.is_cancelled());
        let fence = Fence { execution: execution.id.clone(), node: String::new(), epoch: 0 };
        let shared = Arc::new(Shared::new(now_ms, depth, signals));
        let run = Run::new(fence, log, Journal::elsewhere(observer), Time::Given(Arc::clone(&shared.now_ms)));
        run.paused.set(paused);
        if cancelled {
            run.cancel.cancel();
        }
        let handle = CourseHandle { run: Arc::clone(&run), shared: Arc::clone(&shared) };
        let world = Arc::new(CourseWorld { shared: Arc::clone(&shared) });
        let walk = Box::pin(unconstrained(async move {
            let walk = Walk::new(world, Arc::clone(&run), execution, plan);
            let result = walk.whole(shared.now_ms()).await;
            let at_ms = shared.now_ms();
            let change = match result.and_then(|result| end(result, at_ms)) {
                Ok(Some(change)) => change,
                // Nothing is lost to an observer, and nothing stops.
                Ok(None) => failed(&Failure::internal("a course stopped"), at_ms),
                Err(error) => failed(&lost(error), at_ms),
            };
            run.record([], Some(change.clone()));
            change
        }));
        Ok(Self { handle, walk, woken: Arc::new(Woken(AtomicBool::new(true))) })
    }

    /// What others may do with it.
    #[must_use]
    pub fn handle(&self) -> CourseHandle {
        self.handle.clone()
    }

    /// Whether there is anything to do before something is answered or comes.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Walks as far as it goes. What it came to, once it has ended; not to be called again then.
    pub fn advance(&mut self) -> Poll<Change> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        while self.woken.0.swap(false, Ordering::SeqCst) {
            if let Poll::Ready(change) = Pin::new(&mut self.walk).poll(&mut context) {
                return Poll::Ready(change);
            }
        }
        Poll::Pending
    }
}

impl CourseHandle {
    /// Says what time it is, in milliseconds since 1970.
    pub fn set_time(&self, now_ms: u64) {
        self.shared.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// What it asks for since it was asked last, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.requests())
    }

    /// Gives it a signal, at once or for later. Of those with one key only the first counts.
    pub fn signal(&self, signal: NewSignal) {
        {
            let mut signals = self.shared.signals();
            if signal.idempotency_key.is_some() && signals.iter().any(|known| known.idempotency_key == signal.idempotency_key) {
                return;
            }
            let number = signals.last().map_or(1, |last| last.number + 1);
            signals.push(Signal::of(signal, number, self.shared.now_ms()));
        }
        self.run.signalled.notify_waiters();
    }

    /// The signals that have come.
    #[must_use]
    pub fn signals(&self) -> Vec<Signal> {
        self.shared.signals().clone()
    }

    /// Does what somebody wants of it, if its state allows that.
    pub fn obey(&self, wanted: Wanted) {
        if wanted == Wanted::Resume && !self.run.paused.is_on() {
            return;
        }
        if self.run.note(wanted, self.shared.now_ms()).is_some() {
            self.run.follow(wanted);
        }
    }

    /// No further step begins, as if it were paused, but nothing says so: it will be walked again elsewhere.
    pub fn hold(&self) {
        self.run.held.set(true);
    }

    /// The paths of the steps at which it is.
    #[must_use]
    pub fn current(&self) -> Vec<String> {
        self.run.log().current()
    }
}

fn lost(error: JournalError) -> Failure {
    Failure::internal("the journal of a course was lost").caused_by(error)
}

fn failed(failure: &Failure, at_ms: u64) -> Change {
    Change { status: ExecutionStatus::Failed, output: None, error: Some(StepError::of(failure)), at_ms }
}

/// The lock of what is only held to look or to put.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
