//! The plugin's own settings: strings from its manifest, which the operator's configuration may override.
//!
//! Needs the capability `config` in `plugin.toml`.

use std::str::FromStr;

use crate::bindings::wasi::config::store;
use crate::failure::Failure;

/// The value of `key`, if it is set.
///
/// # Errors
/// `config.unavailable` when the host cannot tell.
pub fn get(key: &str) -> Result<Option<String>, Failure> {
    store::get(key).map_err(|error| {
        let (store::Error::Upstream(message) | store::Error::Io(message)) = error;
        Failure::unavailable("config.unavailable", &message)
    })
}

/// The value of `key` read as a `T`, or `default` when it is not set.
///
/// # Errors
/// `config.unavailable` as [`get`]; `config.invalid` (internal) when the value is no `T`.
///
/// ```no_run
/// # fn example() -> Result<(), breakwater_guest::Failure> {
/// let edge: u32 = breakwater_guest::config::get_or("thumbnail_edge", 128)?;
/// # Ok(()) }
/// ```
pub fn get_or<T: FromStr>(key: &str, default: T) -> Result<T, Failure> {
    match get(key)? {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            let type_name = std::any::type_name::<T>();
            Failure::internal("config.invalid", &format!("the setting {key} is not a {type_name}: {text:?}"))
        }),
    }
}
