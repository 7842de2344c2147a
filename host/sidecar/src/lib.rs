//! Local processes that the host starts, watches, heals and explains, and that become endpoints of an upstream.
//!
//! - [`SidecarConfig`] says what is started and how it is looked after; every default is documented there.
//! - [`Sidecars`] starts them, answers how they are, and stops them. What runs and answers is an endpoint of an upstream
//!   ([`breakwater_upstream::Upstreams::put_managed`]), so that breakers, balancing and fallbacks see it like any other.
//! - [`reaper`] is the small process between the host and a sidecar. It owns the sidecar's process group and adopts what that leaves
//!   behind, so that nothing goes on running when the sidecar stops, or when the host is killed.
//! - [`doctor`] finds out what is wrong without a running host.
//!
//! Made for Linux, whose child subreapers, parent-death signals and `/proc` keep its promises; elsewhere a sidecar runs without them.

#![forbid(unsafe_code)]

mod config;
mod diagnosis;
pub mod doctor;
mod environment;
mod error;
mod exit;
mod health;
mod instance;
mod observer;
mod output;
mod ports;
mod preflight;
mod proc;
mod process;
mod readiness;
pub mod reaper;
mod restart;
mod runtime;
mod sidecars;
mod status;

pub use config::{Checks, Launch, Readiness, Request, RestartConfig, SidecarConfig};
pub use environment::{EnvironmentError, VariablesFile, variables_of_file};
pub use error::{ErrorKind, Probe, SidecarError, UnknownKind};
pub use observer::{Change, NoSidecarObserver, SidecarEvent, SidecarObserver};
pub use output::{LogLine, LogStream, Logs};
pub use process::ReaperCommand;
pub use runtime::Runtime;
pub use sidecars::{Route, Sidecars};
pub use status::{HistoryEntry, InstanceStatus, SidecarStatus, State};
