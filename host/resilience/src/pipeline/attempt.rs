//! What a call is allowed to do, what it does, and how that fails.

use std::sync::Arc;

use breakwater_core::{Deadline, Failure, Ledger, OperationEffect};

use crate::shed::Priority;

/// What a call may cost, and what may be done for it.
#[derive(Debug, Clone)]
pub struct Terms {
    /// When the caller stops waiting. Nothing is done after it.
    pub deadline: Deadline,
    /// Bounds the extra attempts of the root call, whatever upstreams they go to.
    pub ledger: Ledger,
    /// What it does to the world; picks the retry policy.
    pub effect: OperationEffect,
    /// Whether sending it twice does no more than sending it once: it reads, its method is idempotent, or it carries a key.
    pub repeatable: bool,
    /// How much it matters when not everything can be done.
    pub priority: Priority,
}

impl Terms {
    /// A read of normal priority: it may be repeated.
    #[must_use]
    pub const fn read(deadline: Deadline, ledger: Ledger) -> Self {
        Self { deadline, ledger, effect: OperationEffect::Read, repeatable: true, priority: Priority::Normal }
    }
}

/// One attempt, as the function that makes it is told.
#[derive(Debug, Clone)]
pub struct Attempt<E> {
    /// Where it goes.
    pub endpoint: E,
    /// The endpoint's name.
    pub endpoint_id: Arc<str>,
    /// 1 for the first of the call; retries and hedges count on.
    pub number: u32,
    /// Whether it runs beside an earlier one that is taking long.
    pub is_hedge: bool,
    /// When it is cut off: the nearer of the attempt timeout and the call's deadline.
    pub deadline: Deadline,
}

/// What an attempt died of, as far as the mechanisms care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// No connection, or it broke. With [`breakwater_core::Effect::None`] nothing was sent, and anything may be tried again.
    Connection,
    /// No answer in time; also an answer 408.
    Timeout,
    /// The other side failed: 5xx, or an answer that is no answer.
    ServerError,
    /// The other side wants less: 429.
    Throttled,
    /// The request is wrong. Never tried again, and held against nobody: it proves that the other side answers.
    Client,
    /// The caller went away. Never tried again, and says nothing about the other side.
    Cancelled,
}

impl FailureClass {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::ServerError => "server-error",
            Self::Throttled => "throttled",
            Self::Client => "client",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it speaks against the other side.
    #[must_use]
    pub const fn blames_endpoint(self) -> bool {
        !matches!(self, Self::Client | Self::Cancelled)
    }
}

/// How an attempt failed.
#[derive(Debug, Clone)]
pub struct AttemptFailure {
    /// What the caller gets when it is the last one. `retry_after` makes the next attempt wait, `effect` decides whether there is one.
    pub failure: Failure,
    /// What the mechanisms make of it.
    pub class: FailureClass,
}

impl AttemptFailure {
    /// A failure of this class.
    #[must_use]
    pub const fn new(class: FailureClass, failure: Failure) -> Self {
        Self { failure, class }
    }
}

/// A call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed<T> {
    /// What the successful attempt gave.
    pub value: T,
    /// Attempts made, retries and hedges included.
    pub attempts: u32,
}
