//! Local processes that the host starts, watches, heals and explains, and that become endpoints of an upstream.
#![forbid(unsafe_code)]

mod config;
mod error;
mod observer;
mod output;
mod process;
mod runtime;
mod sidecars;
mod status;

pub use config::{Checks, Launch, Readiness, Request, RestartConfig, SidecarConfig};
pub use error::{ErrorKind, Probe, SidecarError, UnknownKind};
pub use observer::{Change, NoSidecarObserver, SidecarEvent, SidecarObserver};
pub use output::{LogLine, LogStream, Logs};
pub use process::ReaperCommand;
pub use runtime::Runtime;
pub use sidecars::{Route, Sidecars};
pub use status::{HistoryEntry, InstanceStatus, SidecarStatus, State};
