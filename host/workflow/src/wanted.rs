//! What can be wanted of an execution in which state.

use breakwater_core::Failure;

use crate::execution::ExecutionStatus;
use crate::records::Wanted;

impl Wanted {
    /// Whether an execution of this status is already as wanted.
    #[must_use]
    pub fn is_so(self, status: ExecutionStatus) -> bool {
        use ExecutionStatus::{Cancelled, Paused, Pending, Running};
        match self {
            Self::Cancel => status == Cancelled,
            Self::Pause => status == Paused,
            Self::Resume | Self::Retry => matches!(status, Running | Pending),
        }
    }

    /// Whether nothing more comes of it: it is so, or cannot become so any more.
    #[must_use]
    pub fn is_seen_to(self, status: ExecutionStatus) -> bool {
        self.is_so(status) || !self.is_possible(status)
    }

    fn is_possible(self, status: ExecutionStatus) -> bool {
        use ExecutionStatus::{Failed, Paused, Pending, Running};
        match self {
            Self::Cancel => !status.is_final(),
            Self::Pause => matches!(status, Pending | Running),
            Self::Resume => status == Paused,
            Self::Retry => status == Failed,
        }
    }

    /// Refuses what cannot be done to an execution of this status.
    ///
    /// # Errors
    /// `execution.state` (invalid request).
    pub fn check(self, status: ExecutionStatus) -> Result<(), Failure> {
        if self.is_possible(status) {
            return Ok(());
        }
        let what = match self {
            Self::Cancel => "cancelled",
            Self::Pause => "paused",
            Self::Resume => "resumed; only a paused one can",
            Self::Retry => "retried; only a failed one can",
        };
        Err(Failure::invalid("execution.state", format!("the execution is {} and cannot be {what}", status.name()))
            .with_detail(serde_json::json!({ "status": status.name() })))
    }
}
