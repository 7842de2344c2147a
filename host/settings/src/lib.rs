//! `breakwater.toml` and the environment, turned into validated settings.
//!
//! Every key is declared once, in [`section`]: the same lines give the struct, the reader, the messages and the documentation
//! (`docs/configuration.md`, `breakwater.example.toml`). A flag of the command line overrides an environment variable
//! `BREAKWATER__SECTION__KEY`, which overrides one of the clients that Breakwater replaces, which overrides the file, which overrides
//! the default. Some sections have names of their own, such as `[upstreams.image-service]`. Whatever is wrong is reported at once, each
//! problem with its place and, where one can be guessed, what was meant.
//!
//! ```
//! use breakwater_settings::Settings;
//!
//! let environment = [("BREAKWATER__SERVER__LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
//! let settings = Settings::load(None, environment).unwrap();
//! assert_eq!(settings.server.listen, ["127.0.0.1:0".parse().unwrap()]);
//! ```

#![forbid(unsafe_code)]

mod check;
mod json_text;
mod legacy;
mod place;
mod problem;
mod reader;
pub mod section;
mod settings;
mod suggest;
mod units;
mod url;
mod value;

pub use check::sidecar::share_ports;
pub use json_text::JsonText;
pub use legacy::sets_a_key;
pub use place::MAX_NAME;
pub use problem::{Origin, Problem, SettingsError};
pub use reader::{ENVIRONMENT_PREFIX, Flag, MAX_ENTRIES};
pub use section::{
    Balance, BreakerTrip, Capability, Chain, Development, Device, FeatureFlag, HttpVersion, Jitter, LogFormat, ManagementFrom, Model,
    ModelAlias, ModelKind, Reload, RequestMethod, SearchIndex, Sidecar, SidecarErrorKind, SidecarReadiness, Upstream, WorkflowExecutor,
    WorkflowStore,
};
pub use settings::{Entry, SECTIONS, Settings};
pub use units::ByteSize;
pub use url::{BaseUrl, PostgresUrl, RedisUrl};

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
