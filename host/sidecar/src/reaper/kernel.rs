//! What only Linux can do. Elsewhere a sidecar runs, but what it forks into a session of its own may outlive it.

use std::io::Result;
use std::path::PathBuf;

/// Makes this process the parent of every descendant whose own parent ends.
#[cfg(target_os = "linux")]
pub(super) fn adopt_orphans() -> Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn adopt_orphans() -> Result<()> {
    Ok(())
}

/// Asks to be killed when the thread ends that started this process.
#[cfg(target_os = "linux")]
pub(super) fn die_with_parent() -> Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent() -> Result<()> {
    Ok(())
}

/// Gives this process the name that `ps` shows and `pkill` goes by. It is no reason not to run if that cannot be.
#[cfg(target_os = "linux")]
pub(super) fn take_name(name: &core::ffi::CStr) {
    let _ = rustix::thread::set_name(name);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take_name(_name: &core::ffi::CStr) {}

/// The program that runs; on Linux also when its file was replaced or deleted meanwhile.
pub(crate) fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}
