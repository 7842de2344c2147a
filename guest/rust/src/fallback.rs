//! What a fallback plugin implements.

use crate::failure::Failure;
use crate::host::Host;
use crate::invocation::{Invocation, Reply};

/// Answers when everything before it in the chain failed.
///
/// ```
/// use breakwater_guest::testing::FakeHost;
/// use breakwater_guest::{Failure, Fallback, Host, Invocation, Level, Reply, export_fallback_plugin};
/// use serde_json::json;
///
/// struct Climate;
///
/// impl Fallback for Climate {
///     const LEVELS: &'static [Level] = &[Level::new("get-weather", "yearly-average")];
///
///     fn degrade<H: Host>(_: &H, call: Invocation, _level: &str, _cause: &Failure) -> Result<Option<Reply>, Failure> {
///         // A town that is not known is passed on: the next level, or the next provider, is asked.
///         let known = call.input["town"] == "Oslo";
///         Ok(known.then(|| Reply::new(json!({ "celsius": 6.3 }))))
///     }
/// }
///
/// export_fallback_plugin!(Climate);
///
/// let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
/// let reply = Climate::degrade(&FakeHost::new(), Invocation::new("get-weather", json!({ "town": "Oslo" })), "yearly-average", &down);
/// assert_eq!(reply.unwrap().unwrap().output["celsius"], 6.3);
/// ```
pub trait Fallback {
    /// Its levels, best first, at most 64.
    const LEVELS: &'static [Level];

    /// Answers at one of the levels, or passes with `None`. The input fits the operation's input schema, the answer must fit its output
    /// schema, and `cause` is the failure of the provider before.
    ///
    /// # Errors
    /// Why it could not answer: the next level is asked, as after `None`, but the failure counts and is logged.
    fn degrade<H: Host>(host: &H, call: Invocation, level: &str, cause: &Failure) -> Result<Option<Reply>, Failure>;
}

/// One way to answer worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Which operation it answers.
    pub operation: &'static str,
    /// Shown to callers as the level they were served from, such as `basic-template`. Kebab case, at most 64 bytes.
    pub name: &'static str,
}

impl Level {
    /// A level of an operation.
    #[must_use]
    pub const fn new(operation: &'static str, name: &'static str) -> Self {
        Self { operation, name }
    }
}
