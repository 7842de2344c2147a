//! The world of a course: everything is asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use breakwater_core::{BoxFuture, Failure, OperationEffect};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Reply, Request, locked};
use crate::execution::{Execution, Signal};
use crate::journal::JournalError;
use crate::runner::StepAnswer;
use crate::world::{Attempt, Child, Slot, World};

/// The end of a child that was begun.
type End = oneshot::Receiver<Result<Execution, Failure>>;

/// What is between a course and whoever drives it.
pub(super) struct Shared {
    pub(super) now_ms: Arc<AtomicU64>,
    depth: usize,
    requests: Mutex<Vec<Request>>,
    signals: Mutex<Vec<Signal>>,
    effects: Mutex<HashMap<String, OperationEffect>>,
    children: Mutex<HashMap<String, End>>,
    /// A course is never told that its process ends: whoever drives it just stops.
    stopping: CancellationToken,
}

impl Shared {
    pub(super) fn new(now_ms: u64, depth: usize, signals: Vec<Signal>) -> Self {
        Self {
            now_ms: Arc::new(AtomicU64::new(now_ms)),
            depth,
            requests: Mutex::default(),
            signals: Mutex::new(signals),
            effects: Mutex::default(),
            children: Mutex::default(),
            stopping: CancellationToken::new(),
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        locked(&self.requests)
    }

    pub(super) fn signals(&self) -> MutexGuard<'_, Vec<Signal>> {
        locked(&self.signals)
    }

    pub(super) fn effects(&self) -> MutexGuard<'_, HashMap<String, OperationEffect>> {
        locked(&self.effects)
    }

    /// Asks for something, and gives what the answer will be.
    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests().push(request(Reply(reply)));
        answer.await.ok()
    }
}

pub(super) struct CourseWorld {
    pub(super) shared: Arc<Shared>,
}

/// Who drives a course has let a request go.
fn unanswered() -> Failure {
    Failure::internal("a request of a workflow was not answered")
}

impl World for CourseWorld {
    fn now_ms(&self) -> u64 {
        self.shared.now_ms()
    }

    fn until(&self, at_ms: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while self.shared.now_ms() < at_ms {
                if self.shared.ask(|reply| Request::Time { at_ms, reply }).await.is_none() {
                    return std::future::pending().await;
                }
            }
        })
    }

    fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }

    fn slot(&self) -> BoxFuture<'_, Option<Slot>> {
        // How many are at work is up to whoever makes the attempts.
        Box::pin(async { Some(Box::new(()) as Slot) })
    }

    fn effect(&self, operation: &str) -> OperationEffect {
        self.shared.effects().get(operation).copied().unwrap_or(OperationEffect::Create)
    }

    fn call(&self, attempt: Attempt) -> BoxFuture<'_, Result<StepAnswer, Failure>> {
        Box::pin(async move {
            let operation = attempt.operation.clone();
            let called = self.shared.ask(|reply| Request::Attempt { attempt, reply }).await.ok_or_else(unanswered)?;
            self.shared.effects().insert(operation, called.effect);
            called.result
        })
    }

    fn signals(&self) -> BoxFuture<'_, Result<Vec<Signal>, JournalError>> {
        Box::pin(async { Ok(self.shared.signals().clone()) })
    }

    fn depth(&self) -> BoxFuture<'_, Result<usize, Failure>> {
        Box::pin(async { Ok(self.shared.depth) })
    }

    fn begin_child(&self, child: Child) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(async move {
            let (ended, end) = oneshot::channel();
            let begun = self.shared.ask(|begun| Request::Child { child: Box::new(child), begun, ended: Reply(ended) }).await;
            let id = begun.ok_or_else(unanswered)??;
            locked(&self.shared.children).insert(id.clone(), end);
            Ok(id)
        })
    }

    fn child_ended<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Execution, Failure>> {
        Box::pin(async move {
            let end = locked(&self.shared.children).remove(id).ok_or_else(unanswered)?;
            end.await.map_err(|_| unanswered())?
        })
    }

    fn cancel_child<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.shared.requests().push(Request::CancelChild { id: id.to_owned() }) })
    }
}
