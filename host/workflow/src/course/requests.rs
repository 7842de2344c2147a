//! What a course asks for.

use breakwater_core::{Failure, OperationEffect};
use tokio::sync::oneshot;

use crate::execution::Execution;
use crate::runner::StepAnswer;
use crate::world::{Attempt, Child};

/// Where an answer goes.
#[derive(Debug)]
pub struct Reply<T>(pub(super) oneshot::Sender<T>);

impl<T> Reply<T> {
    /// Gives the answer. One that nobody wants any more is dropped.
    pub fn give(self, answer: T) {
        let _ = self.0.send(answer);
    }

    /// Whether the answer is still wanted: what is not may be ended.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Called {
    /// The answer.
    pub result: Result<StepAnswer, Failure>,
    /// What the operation does to the world, as whoever called it knows.
    pub effect: OperationEffect,
}

/// Something that a course asks for.
#[derive(Debug)]
pub enum Request {
    /// To be told when it is `at_ms`, in milliseconds since 1970.
    Time {
        /// When.
        at_ms: u64,
        /// Then.
        reply: Reply<()>,
    },
    /// To make an attempt of a step.
    Attempt {
        /// Which.
        attempt: Attempt,
        /// How it ended.
        reply: Reply<Called>,
    },
    /// To start a workflow for a step, or to find the one that was started for it.
    Child {
        /// Which.
        child: Box<Child>,
        /// Its execution's id.
        begun: Reply<Result<String, Failure>>,
        /// How it was at its end.
        ended: Reply<Result<Execution, Failure>>,
    },
    /// To end a workflow that was started.
    CancelChild {
        /// Its execution's id.
        id: String,
    },
}
