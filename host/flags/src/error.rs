//! How flags fail to be read or changed. Evaluating one never fails.

use breakwater_core::{Failure, FailureKind};
use serde::Serialize;

use crate::records::FlagRecordsError;
use crate::validation::{MAX_FLAGS, MAX_NAME_LENGTH};

/// One thing that is wrong with a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where, as a JSON Pointer into the flag.
    pub pointer: String,
    /// What is wrong there, and what is allowed.
    pub message: String,
}

/// Why flags could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// Not a name of a flag. Holds its beginning.
    #[error("`{0}` is no name of a flag: lower-case words of letters and digits, joined by hyphens, at most {MAX_NAME_LENGTH} bytes")]
    Name(String),
    /// The flag breaks limits.
    #[error("the flag `{name}` is not valid: {}", first(violations))]
    Invalid {
        /// Its name.
        name: String,
        /// Everything that is wrong with it; at least one.
        violations: Vec<Violation>,
    },
    /// There are as many flags as there may be.
    #[error("there are already {MAX_FLAGS} flags; remove one first")]
    TooMany,
    /// No such flag.
    #[error("there is no flag `{0}`")]
    NotFound(String),
    /// The flag is declared in the configuration and nothing is stored that could be removed.
    #[error("the flag `{0}` is declared in the configuration; store one of this name to change it")]
    Declared(String),
    /// Somebody else changed the flag meanwhile; nothing was written.
    #[error("the flag `{name}` is at version {found}, not {expected}: it was changed meanwhile")]
    Conflict {
        /// Its name.
        name: String,
        /// The version the change was made from; 0 stands for no stored flag.
        expected: u64,
        /// The version found; 0 when no flag is stored.
        found: u64,
    },
    /// The records could not be read or written.
    #[error("the flags' records could not be read or written")]
    Records(#[source] FlagRecordsError),
}

fn first(violations: &[Violation]) -> String {
    violations.first().map(|violation| format!("{} {}", violation.pointer, violation.message)).unwrap_or_default()
}

impl FlagError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "flag.name-invalid",
            Self::Invalid { .. } => "flag.invalid",
            Self::TooMany => "flag.too-many",
            Self::NotFound(_) => "flag.not-found",
            Self::Declared(_) => "flag.declared",
            Self::Conflict { .. } => "flag.conflict",
            Self::Records(_) => "flag.records",
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Name(_) | Self::Invalid { .. } | Self::Declared(_) | Self::Conflict { .. } => FailureKind::InvalidRequest,
            Self::TooMany => FailureKind::Limit,
            Self::NotFound(_) => FailureKind::NotFound,
            Self::Records(_) => FailureKind::Unavailable,
        }
    }
}

impl From<FlagError> for Failure {
    fn from(error: FlagError) -> Self {
        let failure = Self::new(error.kind(), error.code(), error.to_string());
        match &error {
            FlagError::Invalid { violations, .. } => failure.with_detail(serde_json::json!({ "violations": violations })),
            FlagError::Conflict { expected, found, .. } => {
                failure.with_detail(serde_json::json!({ "expected_version": expected, "found_version": found }))
            }
            FlagError::Records(_) => failure.caused_by(error),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_is_wrong_where_and_hides_the_store() {
        let violations = vec![Violation { pointer: "/rollout".into(), message: "is 101".into() }];
        let failure = Failure::from(FlagError::Invalid { name: "f".into(), violations });
        assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "flag.invalid"));
        assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/rollout");
        let failure = Failure::from(FlagError::Records(FlagRecordsError::Store("/secret/path".into())));
        assert!(failure.retryable && !failure.to_string().contains("secret") && failure.chain().contains("secret"));
        let failure = Failure::from(FlagError::Conflict { name: "f".into(), expected: 2, found: 5 });
        assert_eq!(failure.detail, Some(serde_json::json!({ "expected_version": 2, "found_version": 5 })));
    }
}
