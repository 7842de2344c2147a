//! Feature flags, read live.
//!
//! Needs the capability `feature-flags`, and each flag's name under `flags` in `plugin.toml`.

/// Whether the flag is on for whom the running call serves. A flag that does not exist, or that the operator does not grant, is off.
///
/// Asks the host; only works inside a plugin. Code that is to be tested takes [`Host::flag`](crate::Host::flag) instead.
#[must_use]
pub fn enabled(flag: &str) -> bool {
    crate::bindings::adapter::breakwater::plugin::feature_flags::enabled(flag)
}
