//! `breakwater:plugin/feature-flags`: flags that the plugin was granted, read live.

use crate::bindings::breakwater::plugin::feature_flags::Host;
use crate::state::CallState;

impl Host for CallState {
    fn enabled(&mut self, flag: String) -> wasmtime::Result<bool> {
        self.charge_call()?;
        Ok(self.scope.reach.flags.contains(&flag) && self.ways.flags.enabled(&self.context, &flag))
    }
}
