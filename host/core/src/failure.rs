//! How a call fails.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What kind of failure it is decides what may be done about it. The same list as `failure-kind` of the plugin contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request itself is wrong; retrying cannot help.
    InvalidRequest,
    /// The thing asked for does not exist.
    NotFound,
    /// The plugin's manifest or the operator's grant lacks the capability, or the principal lacks the permission.
    Denied,
    /// The other side could not be reached.
    Unavailable,
    /// Time ran out.
    Timeout,
    /// The breaker is open.
    CircuitOpen,
    /// No retry or hedge is left in the budget.
    BudgetExhausted,
    /// The other side answered with an error of its own.
    Rejected,
    /// A limit was crossed; the code names it as the configuration does.
    Limit,
    /// A defect; the message is for the log, not for the user.
    Internal,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// As answers, logs and metrics write it; the same word as in JSON and in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit-open",
            Self::BudgetExhausted => "budget-exhausted",
            Self::Rejected => "rejected",
            Self::Limit => "limit",
            Self::Internal => "internal",
            Self::Other => "other",
        }
    }
}

/// Whether the thing asked for may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing happened.
    #[default]
    None,
    /// It may have happened.
    Unknown,
    /// It happened.
    Applied,
}

/// A failure of a call, with all that is needed to decide what to do about it and to explain it.
///
/// `message` is written for whoever made the call and never holds a path, a query or an upstream's body; those belong in the
/// cause chain, which is only logged. For [`FailureKind::Internal`] even the message stays in the log.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What may be done about it.
    pub kind: FailureKind,
    /// Stable and documented, such as `image.too-many-pixels`. Lower case, area first.
    pub code: Cow<'static, str>,
    /// What was wrong and what to do, in one or two sentences.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// How long to wait before trying again, when that is known.
    pub retry_after: Option<Duration>,
    /// Whether the thing asked for may have happened.
    pub effect: Effect,
    /// Which part failed, such as `plugin:crop-people` or `detector:yunet`.
    pub origin: Option<Cow<'static, str>>,
    /// Machine-readable detail: violations with JSON Pointers, limits and the like. Shown to the caller.
    pub detail: Option<serde_json::Value>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without effect. [`FailureKind::Unavailable`], `Timeout`, `CircuitOpen` and `BudgetExhausted` start as retryable.
    #[must_use]
    pub fn new(kind: FailureKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        use FailureKind::{BudgetExhausted, CircuitOpen, Timeout, Unavailable};
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            retryable: matches!(kind, Unavailable | Timeout | CircuitOpen | BudgetExhausted),
            retry_after: None,
            effect: Effect::None,
            origin: None,
            detail: None,
            cause: None,
        }
    }

    /// The request is wrong.
    #[must_use]
    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidRequest, code, message)
    }

    /// A limit was crossed.
    #[must_use]
    pub fn limit(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Limit, code, message)
    }

    /// A defect of ours; `message` goes to the log only.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, "internal", message)
    }

    /// Names the part that failed. The first origin wins: it is the closest to the fault.
    #[must_use]
    pub fn from_origin(mut self, origin: impl Into<Cow<'static, str>>) -> Self {
        self.origin.get_or_insert_with(|| origin.into());
        self
    }

    /// Adds what made it fail, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Adds machine-readable detail for the caller.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Says when to try again; makes it retryable.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retryable = true;
        self.retry_after = Some(wait);
        self
    }

    /// The message followed by every cause, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_in_the_chain_but_not_in_the_message() {
        let failure = Failure::internal("could not store the plan").caused_by(std::io::Error::other("/secret/path is full"));
        assert!(!failure.to_string().contains("secret"));
        assert!(failure.chain().ends_with("/secret/path is full"));
    }

    #[test]
    fn a_kind_is_named_as_in_json() {
        for kind in [FailureKind::InvalidRequest, FailureKind::CircuitOpen, FailureKind::BudgetExhausted, FailureKind::Other] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn the_origin_closest_to_the_fault_wins() {
        let failure = Failure::invalid("x", "y").from_origin("guest").from_origin("operation");
        assert_eq!(failure.origin.as_deref(), Some("guest"));
    }
}
