//! The small process between the host and a sidecar.
//!
//! The host must be able to die at any moment, and a sidecar may fork what it likes. So that nothing goes on running in either case, the
//! host starts this process, and this process starts the sidecar:
//!
//! ```text
//! host ── socket ── reap (child subreaper) ── exec ═ sidecar (process group of its own) ── whatever it forks
//! ```
//!
//! * [`reap`] adopts every descendant whose parent ends, reaps it, and ends what is left when the sidecar ends, when it is told to, and
//!   when the socket closes because the host is gone, however it went. The kernel closes it: no thread has to live for that.
//! * [`exec`] becomes the sidecar. It asks the kernel to be killed when [`reap`] dies, which is a process with one thread, so that the
//!   signal follows the process; raises its own share of blame when memory runs out, so that the kernel ends it before the host; and hands
//!   over the socket that was opened for it.
//!
//! Both are commands of the host's own binary, or of any program that calls them when it is given certain arguments
//! ([`crate::ReaperCommand`]).

pub(crate) mod arguments;
mod become_sidecar;
mod descendants;
pub(crate) mod kernel;
pub(crate) mod protocol;
mod supervise;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use become_sidecar::COMPLAINT;

/// How a process ends that could not begin.
const UNUSABLE: u8 = 126;

/// Starts a sidecar and owns what it becomes, until nothing of it is left. Called by a program's `main`, before anything else is set up;
/// standard input is the socket to the host.
#[must_use]
pub fn reap(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = arguments::Reap::read(arguments.into_iter().collect()).and_then(supervise::run);
    finished(result)
}

/// Becomes the sidecar. Called by a program's `main`; comes back only when that did not work.
#[must_use]
pub fn exec(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = arguments::Exec::read(arguments.into_iter().collect()).and_then(become_sidecar::run);
    finished(result)
}

fn finished(result: std::io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // Standard error is the sidecar's, which the host reads. If even that is gone, there is nobody to tell.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{COMPLAINT}{error}\n"));
        ExitCode::from(UNUSABLE)
    })
}
