//! Why a guest's call ended without an answer, and whose fault it was.

use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::config::GuestLimits;

/// A limit of the call was crossed. Raised inside the guest as a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitCrossed {
    #[error("the plugin asked for more than {limit} bytes of memory")]
    Memory { limit: usize },
    #[error("the plugin asked for a table of more than {limit} elements")]
    Table { limit: usize },
    #[error("the plugin computed for more than {limit:?}")]
    Cpu { limit: Duration },
    #[error("the plugin made more than {limit} host calls")]
    HostCalls { limit: u32 },
    #[error("the plugin passed more than {limit} bytes through host calls")]
    HostBytes { limit: u64 },
    #[error("the plugin holds more than {limit} bytes of answers")]
    BlobBytes { limit: u64 },
}

impl LimitCrossed {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Memory { .. } => "plugin.memory",
            Self::Table { .. } => "plugin.table",
            Self::Cpu { .. } => "plugin.cpu-time",
            Self::HostCalls { .. } => "plugin.host-calls",
            Self::HostBytes { .. } => "plugin.host-bytes",
            Self::BlobBytes { .. } => "plugin.blob-bytes",
        }
    }
}

impl From<LimitCrossed> for Failure {
    fn from(crossed: LimitCrossed) -> Self {
        Self::limit(crossed.code(), crossed.to_string())
    }
}

/// Whether the guest did something wrong; only that counts against its breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Guest,
    Nobody,
}

/// A call that ended without a usable answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    pub(crate) blame: Blame,
}

impl Fault {
    pub(crate) fn of_guest(failure: Failure) -> Self {
        Self { failure, blame: Blame::Guest }
    }

    pub(crate) fn of_nobody(failure: Failure) -> Self {
        Self { failure, blame: Blame::Nobody }
    }
}

/// Says what an error of the engine means.
pub(crate) fn explain(error: wasmtime::Error, limits: &GuestLimits) -> Fault {
    if let Some(crossed) = error.downcast_ref::<LimitCrossed>() {
        return Fault::of_guest((*crossed).into());
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        let failure = Failure::new(FailureKind::Unavailable, "plugin.overloaded", "no place for another plugin call is free");
        return Fault::of_nobody(failure.caused_by(error.into_boxed_dyn_error()));
    }
    if is_out_of_lifting_budget(&error) {
        // Inside a host call there are frames of the guest below; while the host reads the guest's answer there are none.
        let in_host_call = error.downcast_ref::<WasmBacktrace>().is_some();
        let limit = limits.host_call_bytes;
        return Fault::of_guest(if in_host_call {
            Failure::limit("plugin.host-bytes", format!("the plugin passed more than {limit} bytes in one host call"))
        } else {
            Failure::limit("plugin.output-too-large", format!("the plugin answered with more than {limit} bytes"))
        });
    }
    let failure = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Failure::limit("plugin.stack", "the plugin's stack overflowed"),
        Some(trap) => Failure::new(FailureKind::Internal, "plugin.trap", format!("the plugin trapped: {trap}")),
        None => Failure::new(FailureKind::Internal, "plugin.trap", "the plugin broke the rules of its contract"),
    };
    Fault::of_guest(failure.caused_by(error.into_boxed_dyn_error()))
}

/// The engine's own error for this is private; a test holds its text to be what it is.
fn is_out_of_lifting_budget(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"))
}
