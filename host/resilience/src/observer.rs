//! What a pipeline tells about its work. Every method does nothing unless it is written.

use std::time::Duration;

use crate::breaker::Change;
use crate::pipeline::FailureClass;
use crate::shed::Priority;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// With an answer.
    Success,
    /// With a failure of this class; [`FailureClass::Cancelled`] also when its call was dropped or another attempt was faster.
    Failure(FailureClass),
}

/// An attempt has ended.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnded<'a> {
    /// Where it went.
    pub endpoint_id: &'a str,
    /// 1 for the first of the call.
    pub number: u32,
    /// Whether it ran beside an earlier one.
    pub is_hedge: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// A retry will be made.
#[derive(Debug, Clone, Copy)]
pub struct RetryScheduled<'a> {
    /// 1 for the first retry of the call.
    pub retry: u32,
    /// How long it waits.
    pub wait: Duration,
    /// What the attempt before it died of.
    pub class: FailureClass,
    /// The code of that failure.
    pub code: &'a str,
}

/// An extra attempt was wanted and not paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BudgetRefused {
    /// Whether it would have been a hedge, otherwise a retry.
    pub is_hedge: bool,
    /// Who refused it.
    pub by: Payer,
}

/// Who pays for extra attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// The ledger of the root call.
    Ledger,
    /// The retry budget of the upstream.
    Budget,
    /// The extra-load cap of hedges.
    HedgeCap,
}

impl Payer {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Budget => "budget",
            Self::HedgeCap => "hedge-cap",
        }
    }
}

/// Why a call was turned away before its first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShedReason {
    /// The other side refuses too much already.
    Overload,
    /// The adaptive limit is reached.
    Limit,
    /// The bulkhead and the part of its queue that the call's priority may use are full.
    QueueFull,
    /// The call's deadline came while it waited for its turn.
    QueueDeadline,
}

impl ShedReason {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Limit => "limit",
            Self::QueueFull => "queue-full",
            Self::QueueDeadline => "queue-deadline",
        }
    }
}

/// Hears what happens in a pipeline. Called on the thread that does the work, outside of all locks; it must not block.
pub trait PipelineObserver: Send + Sync + 'static {
    /// An attempt ended.
    fn attempt_ended(&self, attempt: &AttemptEnded<'_>) {
        let _ = attempt;
    }

    /// A retry will be made.
    fn retry_scheduled(&self, retry: &RetryScheduled<'_>) {
        let _ = retry;
    }

    /// An extra attempt was wanted and not paid for.
    fn budget_refused(&self, refused: BudgetRefused) {
        let _ = refused;
    }

    /// The breaker changed its state.
    fn breaker_changed(&self, change: Change) {
        let _ = change;
    }

    /// An endpoint gets no calls for so long.
    fn endpoint_ejected(&self, endpoint_id: &str, duration: Duration) {
        let _ = (endpoint_id, duration);
    }

    /// An endpoint that was ejected gets calls again. Noticed when the next call picks an endpoint, or the status is read.
    fn endpoint_returned(&self, endpoint_id: &str) {
        let _ = endpoint_id;
    }

    /// A second attempt was sent beside one that takes long.
    fn hedge_sent(&self, endpoint_id: &str) {
        let _ = endpoint_id;
    }

    /// The second attempt answered first.
    fn hedge_won(&self, endpoint_id: &str) {
        let _ = endpoint_id;
    }

    /// A call was turned away before its first attempt.
    fn shed(&self, reason: ShedReason, priority: Priority) {
        let _ = (reason, priority);
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl PipelineObserver for NoObserver {}
