//! What the service runs between itself and its sidecars: this binary again, as the reaper of one, or on its way to become one.

use std::process::ExitCode;

use breakwater_sidecar::reaper;

use crate::compose::{EXEC, REAP};

/// Does that, if it is what this process was started for. To be asked before anything else is set up: such a process has to stay small, and
/// its arguments are a sidecar's, of any kind.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next()?;
    if command == REAP {
        Some(reaper::reap(arguments))
    } else if command == EXEC {
        Some(reaper::exec(arguments))
    } else {
        None
    }
}
