//! Errors of `wasi:nn`.

use breakwater_core::{Failure, FailureKind};
use wasmtime::component::Resource;

use crate::bindings::wasi::nn::errors::{ErrorCode, Host, HostError};
use crate::convert::truncated;
use crate::state::CallState;

/// The longest text of an error, in bytes.
const MAX_TEXT: usize = 1024;

/// An error as a guest sees it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestError {
    code: ErrorCode,
    /// The stable code of the failure and its message.
    data: String,
}

impl GuestError {
    pub(super) fn new(code: ErrorCode, data: &str) -> Self {
        Self { code, data: data.to_owned() }
    }

    /// The closest of the standard's codes. The message of a defect stays here.
    pub(super) fn of(failure: &Failure) -> Self {
        let code = match failure.kind {
            FailureKind::InvalidRequest => ErrorCode::InvalidArgument,
            FailureKind::NotFound => ErrorCode::NotFound,
            FailureKind::Denied => ErrorCode::Security,
            FailureKind::Timeout => ErrorCode::Timeout,
            FailureKind::Limit => ErrorCode::TooLarge,
            FailureKind::Other => ErrorCode::Unknown,
            FailureKind::Unavailable
            | FailureKind::CircuitOpen
            | FailureKind::BudgetExhausted
            | FailureKind::Rejected
            | FailureKind::Internal => ErrorCode::RuntimeError,
        };
        let message = if failure.kind == FailureKind::Internal { "internal error" } else { failure.message.as_str() };
        Self { code, data: truncated(format!("{}: {message}", failure.code), MAX_TEXT) }
    }
}

impl Host for CallState {}

impl HostError for CallState {
    fn code(&mut self, error: Resource<GuestError>) -> wasmtime::Result<ErrorCode> {
        self.charge_call()?;
        Ok(self.table.get(&error)?.code)
    }

    fn data(&mut self, error: Resource<GuestError>) -> wasmtime::Result<String> {
        self.charge_call()?;
        let data = self.table.get(&error)?.data.clone();
        self.charge_bytes(data.len())?;
        Ok(data)
    }

    fn drop(&mut self, error: Resource<GuestError>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_the_closest_error_and_a_defect_says_nothing() {
        let of = |kind| GuestError::of(&Failure::new(kind, "model.x", "at /var/lib")).code;
        assert_eq!(of(FailureKind::Denied), ErrorCode::Security);
        assert_eq!(of(FailureKind::Timeout), ErrorCode::Timeout);
        assert_eq!(of(FailureKind::Limit), ErrorCode::TooLarge);
        assert_eq!(GuestError::of(&Failure::new(FailureKind::NotFound, "model.x", "none")).data, "model.x: none");
        assert_eq!(GuestError::of(&Failure::internal("at /var/lib")).data, "internal: internal error");
        let long = GuestError::of(&Failure::new(FailureKind::Other, "model.x", "é".repeat(MAX_TEXT)));
        assert!(long.data.len() <= MAX_TEXT);
    }
}
