//! A process of a sidecar, seen from the host.

use std::ffi::OsString;
use std::path::PathBuf;

/// How the reaper is run: a program that calls [`crate::reaper::reap`] and [`crate::reaper::exec`] when it is given these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaperCommand {
    /// The program.
    pub program: PathBuf,
    /// What makes it call [`crate::reaper::reap`] with the arguments that follow.
    pub reap: Vec<OsString>,
    /// What makes it call [`crate::reaper::exec`] with the arguments that follow.
    pub exec: Vec<OsString>,
}
