//! Ending everything that a sidecar left behind.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};

use crate::proc;

/// How long killed processes may take to be gone. One that hangs in the kernel is left behind then: nothing can end it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(2);

/// Reaps every child that has ended; the status of `main` is given back when it is among them.
pub(super) fn reap_ended(main: Pid) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == main {
            ended = Some(status);
        }
    }
    ended
}

/// Kills what is left of the sidecar and waits until it is gone. Returns how many processes that were, besides zombies.
///
/// As a child subreaper this process becomes the parent of every descendant whose parent ends, so that in the end all of them are its
/// children, also those that left the process group.
pub(super) fn end_all(main: Pid) -> u32 {
    let until = Instant::now() + PATIENCE;
    let mut killed = std::collections::BTreeSet::new();
    // The group first, all at once: what forks faster than we look is most often in it.
    let _ = kill_process_group(main, Signal::KILL);
    loop {
        for child in proc::children(std::process::id()) {
            if let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw)
                && kill_process(pid, Signal::KILL).is_ok()
            {
                killed.insert(child);
            }
        }
        match wait(WaitOptions::NOHANG) {
            // No child is left.
            Err(_) => break,
            // Whatever forks as fast as we kill, or hangs in the kernel, does not hold us up for ever.
            Ok(_) if Instant::now() >= until => break,
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(LOOK),
        }
    }
    u32::try_from(killed.len()).unwrap_or(u32::MAX)
}
