//! Asking the service.

use breakwater_guest::serde::de::DeserializeOwned;
use breakwater_guest::{Failure, Host, Invocation, Request, Upstreams, path_template};

use crate::names;

/// The upstream's name.
const UPSTREAM: &str = "talent-service";

/// One kind of request.
pub(crate) struct Route {
    /// The setting that holds its path.
    pub(crate) setting: &'static str,
    /// Its path when that is not set.
    pub(crate) path: &'static str,
    /// The feature flag that switches it off.
    pub(crate) flag: &'static str,
}

/// Sends the call's input and reads the answer.
///
/// # Errors
/// `talent.switched-off` (unavailable, nothing was sent) when the plugin obeys flags and this one is off; `config.invalid`; those of the
/// upstream, without the bodies of its answers; `upstream.response-invalid`.
pub(crate) fn ask<H: Upstreams, T: DeserializeOwned>(host: &H, call: &Invocation, route: &Route) -> Result<T, Failure> {
    if setting(host, "obey_flags", &["false", "true"])? == 1 && !host.flag(route.flag) {
        let message = format!("the feature flag {} is off", route.flag);
        return Err(Failure { retryable: false, ..Failure::unavailable("talent.switched-off", &message) });
    }
    let snake_case = setting(host, "wire_names", &["snake_case", "camelCase"])? == 0;
    let path = path_template::configured(host, route.setting, route.path, &call.context)?;
    let body = if snake_case { names::in_snake_case(&call.input) } else { call.input.clone() };
    let request = Request::post(path).header("accept", "application/json").json(&body)?.read();
    host.upstream(UPSTREAM).send(request).map_err(Failure::for_caller)?.json()
}

/// Which of the words a setting is; the first when it is not set.
fn setting<H: Host>(host: &H, key: &str, words: &[&str]) -> Result<usize, Failure> {
    let Some(value) = host.setting(key)? else { return Ok(0) };
    words
        .iter()
        .position(|word| *word == value)
        .ok_or_else(|| Failure::internal("config.invalid", &format!("the setting {key} is one of {}, not {value:?}", words.join(", "))))
}
