//! `wasi:config/store`: the plugin's own settings.

use crate::bindings::wasi::config::store::{Error, Host};
use crate::state::CallState;

impl Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        self.charge_call()?;
        let value = self.scope.config.get(&key).cloned();
        self.charge_bytes(value.as_ref().map_or(0, String::len))?;
        Ok(Ok(value))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        self.charge_call()?;
        let all: Vec<_> = self.scope.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        self.charge_bytes(all.iter().map(|(key, value)| key.len() + value.len()).sum())?;
        Ok(Ok(all))
    }
}
