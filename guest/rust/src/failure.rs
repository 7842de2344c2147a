//! Why something could not be done.

use serde_json::{Map, Value};

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

    /// An upstream's answer came, and says something else than it should: `upstream.response-invalid`. Whether the request was carried out
    /// is unknown then, which only matters for what is no read.
    #[must_use]
    pub fn response_invalid(what: &str) -> Self {
        let message = format!("the answer of the service cannot be used: {what}");
        Self::new(FailureKind::Rejected, "upstream.response-invalid", &message).with_effect(EffectState::Unknown)
    }

    /// A failure of an upstream as callers may see it: instead of the answer's body its detail holds `status_code` and the service's own
    /// `error_code`, where the body names one (`error_code`, `errorCode` or `code`, there or below `error`). Any other failure stays as it is.
    ///
    /// ```
    /// use breakwater_guest::{Failure, FailureKind};
    /// use serde_json::json;
    /// let detail = json!({ "status": 409, "body": r#"{"error": "/srv/a.jpg is gone", "error_code": "GONE"}"# });
    /// let failure = Failure::new(FailureKind::Rejected, "upstream.status", "the service answered 409").with_detail(&detail);
    /// assert_eq!(failure.for_caller().detail.unwrap(), r#"{"error_code":"GONE","status_code":409}"#);
    /// ```
    #[must_use]
    pub fn for_caller(mut self) -> Self {
        let Some(mut detail) = self.detail.as_deref().and_then(|detail| serde_json::from_str::<Map<String, Value>>(detail).ok()) else {
            return self;
        };
        let (status, body) = (detail.remove("status"), detail.remove("body"));
        if status.is_none() && body.is_none() {
            return self;
        }
        if let Some(status) = status {
            detail.insert("status_code".to_owned(), status);
        }
        if let Some(code) = body.and_then(error_code) {
            detail.insert("error_code".to_owned(), code.into());
        }
        self.detail = Some(Value::Object(detail).to_string());
        self
    }

    /// The same, with what may have happened. For anything but a read, the next provider is asked only after
    /// [`EffectState::None`].
    #[must_use]
    pub fn with_effect(self, effect: EffectState) -> Self {
        Self { effect, ..self }
    }

    /// The same with machine-readable detail, at most 16 KiB, which the caller is shown.
    #[must_use]
    pub fn with_detail(self, detail: &Value) -> Self {
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
    pub fn detail_member(&self, name: &str) -> Option<Value> {
        let mut detail: Value = serde_json::from_str(self.detail.as_deref()?).ok()?;
        detail.get_mut(name).map(Value::take)
    }
}

/// The code by which a service names its error; nothing that is no code.
fn error_code(body: Value) -> Option<String> {
    let body = match body {
        Value::String(text) => serde_json::from_str(&text).ok()?,
        other => other,
    };
    let code = ["/error_code", "/errorCode", "/code", "/error/error_code", "/error/code"].iter().find_map(|place| body.pointer(place))?;
    let code = match code {
        Value::String(code) => code.clone(),
        Value::Number(code) => code.to_string(),
        _ => return None,
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    ((1..=64).contains(&code.len()) && code.bytes().all(word)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(detail: &Value) -> Value {
        let failure = Failure::new(FailureKind::Rejected, "upstream.status", "no").with_detail(detail).for_caller();
        serde_json::from_str(&failure.detail.unwrap()).unwrap()
    }

    #[test]
    fn a_service_is_quoted_by_its_code_alone() {
        for body in [json!({ "errorCode": "X-1" }), json!({ "error": { "code": "X-1", "message": "/etc" } }), json!(r#"{"code": "X-1"}"#)] {
            assert_eq!(shown(&json!({ "status": 500, "body": body })), json!({ "status_code": 500, "error_code": "X-1" }));
        }
        for body in [json!("<html>"), json!({ "code": "a path /etc" }), json!({ "code": "" }), json!({ "code": [1] }), json!({})] {
            assert_eq!(shown(&json!({ "status": 500, "body": body })), json!({ "status_code": 500 }));
        }
    }

    #[test]
    fn what_says_nothing_of_an_answer_stays() {
        let detail = json!({ "attempts": 3, "last_code": "upstream.timeout" });
        assert_eq!(shown(&detail), detail);
        assert_eq!(Failure::internal("a.b", "c").for_caller(), Failure::internal("a.b", "c"));
    }
}
