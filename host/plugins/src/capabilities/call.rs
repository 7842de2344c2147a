//! `breakwater:plugin/call`: the running call. Always linked.

use crate::bindings::breakwater::plugin::call::Host;
use crate::state::CallState;

impl Host for CallState {
    fn remaining_ms(&mut self) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.context.deadline.remaining().as_millis()).unwrap_or(u32::MAX))
    }
}
