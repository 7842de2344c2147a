//! Becoming the sidecar.

use std::io::{Error, Result};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use rustix::io::FdFlags;

use super::arguments::Exec;
use super::kernel;

/// How a line on standard error begins by which the reaper complains, not the sidecar.
pub(crate) const COMPLAINT: &str = "breakwater: ";

/// Where a process finds the first socket that is handed to it: `SD_LISTEN_FDS_START` of systemd.
const FIRST_SOCKET: i32 = 3;

/// How much more a sidecar is to blame than the host when memory runs out: half of the scale, from -1000 to 1000.
const OUT_OF_MEMORY_SCORE: &str = "500";

pub(super) fn run(arguments: Exec) -> Result<ExitCode> {
    kernel::die_with_parent()?;
    // The parent may have died before the line above: then nobody would ever send the signal.
    if rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(arguments.parent) {
        return Err(Error::other("the reaper is gone"));
    }
    // Not everywhere may a process say this of itself; it is no reason not to run.
    let _ = std::fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
    let mut words = arguments.command.iter();
    let Some(program) = words.next() else { return Err(Error::other("no command")) };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    // Kept open until the program is replaced.
    let _socket = if arguments.listen {
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        if socket.as_raw_fd() != FIRST_SOCKET {
            return Err(Error::other(format!("the socket would be file descriptor {}, not {FIRST_SOCKET}", socket.as_raw_fd())));
        }
        rustix::io::fcntl_setfd(&socket, FdFlags::empty())?;
        command.env("LISTEN_FDS", "1").env("LISTEN_PID", std::process::id().to_string());
        Some(socket)
    } else {
        None
    };
    let error = command.exec();
    Err(Error::new(error.kind(), format!("cannot run {}: {error}", program.to_string_lossy())))
}
