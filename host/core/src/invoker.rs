//! Calling an operation from inside the host.

use std::pin::Pin;

use crate::context::CallContext;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::payload::Payload;

/// A boxed future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Calls operations by name. Implemented by `operations`; plugins, workflows and sidecars get it from the composition root, so that
/// no crate below needs to know it.
pub trait Invoker: Send + Sync + 'static {
    /// Calls an operation on behalf of the call of `context`: same identity, ledger and snapshot, no later deadline, one level deeper.
    ///
    /// Fails with `operation.unknown` (not found), `call.too-deep` (limit), or as the operation does.
    fn invoke<'a>(
        &'a self,
        context: &'a CallContext,
        operation: &'a str,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Outcome<Payload>, Failure>>;
}
