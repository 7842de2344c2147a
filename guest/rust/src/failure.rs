//! Why something could not be done.

pub use crate::bindings::breakwater::plugin::types::{EffectState, Failure, FailureKind};

impl Failure {
    /// A failure of this kind that changed nothing and is not worth retrying.
    ///
    /// `code` is stable, `area.kebab-case`; `message` says in a sentence what was wrong and what to do.
    #[must_use]
    pub fn new(kind: FailureKind, code: &str, message: &str) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.to_owned(),
            retryable: false,
            retry_after_ms: None,
            effect: EffectState::None,
            detail: None,
        }
    }

    /// The request itself is wrong. The caller sees the message, and no other provider is asked.
    #[must_use]
    pub fn invalid_request(code: &str, message: &str) -> Self {
        Self::new(FailureKind::InvalidRequest, code, message)
    }

    /// Something this plugin depends on could not be reached. Worth a retry.
    #[must_use]
    pub fn unavailable(code: &str, message: &str) -> Self {
        Self { retryable: true, ..Self::new(FailureKind::Unavailable, code, message) }
    }

    /// A defect of the plugin or its set-up; the message is for the log.
    #[must_use]
    pub fn internal(code: &str, message: &str) -> Self {
        Self::new(FailureKind::Internal, code, message)
    }
}
