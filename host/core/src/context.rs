//! Who calls, until when, and under which name the call is found in every log.

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::caller::Caller;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::trace::TraceContext;

/// Names one call across services, logs and answers. At most 128 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorrelationId(String);

/// Text that cannot be a correlation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id is 1 to 128 printable ASCII characters without spaces")]
pub struct InvalidCorrelationId;

impl CorrelationId {
    /// The longest id accepted, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// A new id that sorts by time (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self(text.to_owned())).ok_or(InvalidCorrelationId)
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = InvalidCorrelationId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CorrelationId> for String {
    fn from(id: CorrelationId) -> Self {
        id.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Principal {
    /// Nobody in particular: identity is not configured.
    #[default]
    Anonymous,
    /// The service itself: readiness checks, warm-up, the command line.
    System,
}

/// What the host looked like when the root of a call began: catalogue, chains, settings. Whoever captured it knows its type.
#[derive(Clone, Default)]
pub struct CallSnapshot(Option<Arc<dyn Any + Send + Sync>>);

impl CallSnapshot {
    /// Holds `snapshot` for the call and everything nested in it.
    #[must_use]
    pub fn of<T: Send + Sync + 'static>(snapshot: Arc<T>) -> Self {
        Self(Some(snapshot))
    }

    /// The snapshot, if one of this type was captured.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.clone()?.downcast().ok()
    }
}

impl fmt::Debug for CallSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "captured" } else { "none" })
    }
}

/// What travels with a call from its root into everything it causes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Found in every log line and answer.
    pub correlation_id: CorrelationId,
    /// The current span; goes downstream as `traceparent`.
    pub trace: TraceContext,
    /// Who calls.
    pub principal: Principal,
    /// On whose behalf.
    pub caller: Arc<Caller>,
    /// What the caller attached, such as `project_id`; propagated, never interpreted.
    pub labels: Arc<[(String, String)]>,
    /// The same for every attempt at one effect; keys sent downstream are derived from it.
    pub idempotency_key: Option<Arc<str>>,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// What the call has cost its upstreams, nested calls included.
    pub ledger: Ledger,
    /// What the host looked like when the root began.
    pub snapshot: CallSnapshot,
    /// How many calls this one is nested in; 0 at the root.
    pub depth: u8,
}

impl CallContext {
    /// The deepest nesting of calls.
    pub const MAX_DEPTH: u8 = 4;

    /// The root of a call by `principal` that must end within `budget`.
    #[must_use]
    pub fn root(principal: Principal, budget: Duration) -> Self {
        Self {
            correlation_id: CorrelationId::generate(),
            trace: TraceContext::generate(false),
            principal,
            caller: Arc::default(),
            labels: Arc::default(),
            idempotency_key: None,
            deadline: Deadline::after(budget),
            ledger: Ledger::default(),
            snapshot: CallSnapshot::default(),
            depth: 0,
        }
    }

    /// The context of a call made on behalf of this one: same identity, ledger and snapshot, one level deeper, no later deadline.
    ///
    /// # Errors
    /// A failure of code `call.too-deep` beyond [`Self::MAX_DEPTH`].
    pub fn nested(&self) -> Result<Self, Failure> {
        if self.depth >= Self::MAX_DEPTH {
            return Err(Failure::limit("call.too-deep", format!("calls may nest at most {} levels", Self::MAX_DEPTH)));
        }
        Ok(Self { depth: self.depth + 1, ..self.clone() })
    }

    /// The same call in a new span below the current one.
    #[must_use]
    pub fn child_span(&self) -> Self {
        Self { trace: self.trace.child(), ..self.clone() }
    }

    /// The same call with at most `budget` left.
    #[must_use]
    pub fn tightened(&self, budget: Duration) -> Self {
        Self { deadline: self.deadline.tightened(budget), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_ends_at_its_limit() {
        let mut context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        for _ in 0..CallContext::MAX_DEPTH {
            context = context.nested().unwrap();
        }
        assert_eq!(context.nested().unwrap_err().code, "call.too-deep");
    }

    #[test]
    fn an_id_that_could_break_a_header_or_a_log_is_refused() {
        for text in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert!(text.parse::<CorrelationId>().is_err(), "{text:?}");
        }
        assert!(CorrelationId::generate().as_str().parse::<CorrelationId>().is_ok());
    }
}
