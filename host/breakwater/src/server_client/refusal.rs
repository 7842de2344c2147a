//! What a service says when it does not do what it was asked for.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

/// What is wrong, as the service says it (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    correlation_id: Option<String>,
    #[serde(default)]
    details: Value,
    #[serde(default)]
    violations: Vec<Violation>,
}

/// What is wrong at one place of what was sent.
#[derive(Debug, Deserialize)]
struct Violation {
    pointer: String,
    message: String,
}

/// A request that the service refused or failed at.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    text: String,
    /// The failure's stable code, if it has one.
    pub(crate) code: Option<String>,
    /// What else it says; null when that is nothing.
    pub(crate) details: Value,
}

impl Refusal {
    /// Reads an answer whose status is no success.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return Self { text: format!("the service answered {status}"), code: None, details: Value::Null };
        };
        let mut text = problem.detail.or(problem.title).unwrap_or_else(|| status.to_string());
        // A single mistake is often the whole detail already.
        let is_said = matches!(problem.violations.as_slice(), [only] if !only.message.is_empty()
            && text.contains(&only.message) && text.contains(&only.pointer));
        // Writing to a string does not fail.
        if let Some(code) = &problem.code {
            let _ = write!(text, " ({code})");
        }
        if let Some(id) = problem.correlation_id {
            let _ = write!(text, " [correlation id {id}]");
        }
        for Violation { pointer, message } in problem.violations.iter().filter(|_| !is_said) {
            let _ = write!(text, "\n  {pointer}: {message}");
        }
        Self { text, code: problem.code, details: problem.details }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_said_with_its_mistakes_and_keeps_its_details() {
        let body = json!({
            "code": "sidecar.start-failed", "detail": "it did not start", "title": "unavailable", "correlation_id": "c1",
            "details": { "error": { "type": "PORT_IN_USE" } },
        });
        let refusal = Refusal::of(StatusCode::SERVICE_UNAVAILABLE, body.to_string().as_bytes());
        assert_eq!(refusal.to_string(), "it did not start (sidecar.start-failed) [correlation id c1]");
        assert_eq!((refusal.code.as_deref(), &refusal.details["error"]["type"]), (Some("sidecar.start-failed"), &json!("PORT_IN_USE")));
        let mistakes = json!({ "detail": "2 mistakes", "violations": [{ "pointer": "/a", "message": "is no b" }, { "pointer": "/c", "message": "d" }] });
        assert_eq!(Refusal::of(StatusCode::BAD_REQUEST, mistakes.to_string().as_bytes()).to_string(), "2 mistakes\n  /a: is no b\n  /c: d");
        for (detail, said) in [("/a: is no b", "/a: is no b"), ("`violations` says where", "`violations` says where\n  /a: is no b")] {
            let mistake = json!({ "detail": detail, "violations": [{ "pointer": "/a", "message": "is no b" }] });
            let refusal = Refusal::of(StatusCode::BAD_REQUEST, mistake.to_string().as_bytes());
            assert_eq!(refusal.to_string(), said, "a single mistake is said once");
        }
        let short = Refusal::of(StatusCode::NOT_FOUND, br#"{"title": "not-found"}"#);
        assert_eq!((short.to_string().as_str(), short.details), ("not-found", Value::Null));
        assert_eq!(Refusal::of(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "the service answered 502 Bad Gateway");
    }
}
