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

    /// The same, with what may have happened. For anything but a read, the next provider is asked only after
    /// [`EffectState::None`].
    #[must_use]
    pub fn with_effect(self, effect: EffectState) -> Self {
        Self { effect, ..self }
    }

    /// The same with machine-readable detail, at most 16 KiB, which the caller is shown.
    #[must_use]
    pub fn with_detail(self, detail: &serde_json::Value) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// The member `name` of the detail, when there is a detail and it has one.
    ///
    /// ```
    /// use breakwater_guest::{Failure, FailureKind};
    /// let failure = Failure::new(FailureKind::Rejected, "upstream.status", "no").with_detail(&serde_json::json!({ "status": 500 }));
    /// assert_eq!(failure.detail_member("status"), Some(500.into()));
    /// assert_eq!(failure.detail_member("body"), None);
    /// ```
    #[must_use]
    pub fn detail_member(&self, name: &str) -> Option<serde_json::Value> {
        let mut detail: serde_json::Value = serde_json::from_str(self.detail.as_deref()?).ok()?;
        detail.get_mut(name).map(serde_json::Value::take)
    }
}
