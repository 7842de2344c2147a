//! What host and reaper tell each other: one JSON value a line, over a socket.

use serde::{Deserialize, Serialize};

/// From the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Asks the sidecar to end; what has not ended after so many milliseconds is killed.
    Stop(u64),
}

/// From the reaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// It runs.
    Started {
        /// The sidecar's process, which is also its process group.
        pid: i32,
        /// The port that was opened for it.
        port: Option<u16>,
    },
    /// The port that it should be given is taken.
    PortInUse,
    /// It could not be started.
    NotStarted {
        /// Why.
        error: String,
    },
    /// It ended; what it left behind may still run.
    Ended {
        /// The code it ended with.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// Nothing of it is left, as far as anybody can end it. The last report.
    Gone {
        /// How many processes it left running, which were killed.
        left: u32,
    },
}
