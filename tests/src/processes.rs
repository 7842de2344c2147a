//! Which processes run on this machine, as `/proc` says.

use std::fs;

/// The ids of all processes.
fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A line of `/proc/PID/status`, without its name and unit; nothing when the process is gone.
fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.to_owned())
}

/// Whether it runs. One that has ended and that nobody asked about yet does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    field(pid, "State").is_some_and(|state| state != "Z" && state != "X")
}

/// The processes that run with this variable in the environment they were started with, wherever they are by now.
#[must_use]
pub fn with_variable(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}").into_bytes();
    let has_it = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_slice())
    };
    all().filter(has_it).filter(|pid| runs(*pid)).collect()
}

/// All descendants of a process that have ended and that nobody has asked about.
#[must_use]
pub fn zombies_below(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all().filter_map(|pid| Some((pid, field(pid, "PPid")?.parse().ok()?))).collect();
    let mut below = vec![pid];
    loop {
        let more: Vec<u32> =
            parents.iter().filter(|(pid, parent)| below.contains(parent) && !below.contains(pid)).map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            break;
        }
        below.extend(more);
    }
    below.into_iter().filter(|pid| field(*pid, "State").is_some_and(|state| state == "Z")).collect()
}

/// The memory of a process that is in use, in bytes; 0 when it is gone.
#[must_use]
pub fn resident(pid: u32) -> u64 {
    field(pid, "VmRSS").and_then(|kilobytes| kilobytes.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_by_its_environment_until_it_ends() {
        let mark = std::process::id().to_string();
        let mut child = Command::new("sleep").arg("1000").env("PROCESSES_MARK", &mark).stdin(Stdio::null()).spawn().unwrap();
        while with_variable("PROCESSES_MARK", &mark).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(with_variable("PROCESSES_MARK", &mark), [child.id()]);
        assert!(runs(child.id()) && resident(child.id()) > 0);
        child.kill().unwrap();
        while runs(child.id()) {
            std::thread::yield_now();
        }
        assert_eq!(with_variable("PROCESSES_MARK", &mark), [0_u32; 0]);
        assert!(zombies_below(std::process::id()).contains(&child.id()), "nobody has waited for it yet");
        child.wait().unwrap();
        assert!(!zombies_below(std::process::id()).contains(&child.id()));
    }
}
