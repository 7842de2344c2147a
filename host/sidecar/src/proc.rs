//! What the kernel says of processes and sockets, under `/proc`.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::process::{Stat, StatM};
use procfs_core::{ExplicitSystemInfo, FromRead as _, FromReadSI as _};

fn path(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn stat(pid: u32) -> Option<Stat> {
    Stat::from_read(File::open(path(pid, "stat")).ok()?).ok()
}

/// Every process that is there.
fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, of all its threads.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(path(pid, "task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // A kernel without the list, or a thread that has just ended: everybody is asked for his parent.
            Err(_) => {
                return all().into_iter().filter(|other| stat(*other).is_some_and(|stat| u32::try_from(stat.ppid) == Ok(pid))).collect();
            }
        }
    }
    found
}

/// A process and all its descendants.
pub(crate) fn tree(pid: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([pid]);
    let mut open = vec![pid];
    while let Some(next) = open.pop() {
        for child in children(next) {
            if found.insert(child) {
                open.push(child);
            }
        }
    }
    found
}

/// The resident memory of a process and all its descendants, in bytes; pages that they share count for each.
pub(crate) fn memory(pid: u32) -> u64 {
    let page = rustix::param::page_size() as u64;
    let resident = |pid: u32| Some(StatM::from_read(File::open(path(pid, "statm")).ok()?).ok()?.resident * page);
    tree(pid).into_iter().filter_map(resident).sum()
}

/// Every process that was started with this variable in its environment, and whoever it passed that on to.
pub(crate) fn with_variable(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let has =
        |pid: &u32| std::fs::read(path(*pid, "environ")).is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()));
    all().into_iter().filter(has).collect()
}

/// Whether a socket at `local` takes connections to `wanted`.
fn takes(local: SocketAddr, wanted: SocketAddr) -> bool {
    let (local_ip, wanted_ip) = (local.ip().to_canonical(), wanted.ip().to_canonical());
    let is_any = local_ip.is_unspecified() && (local_ip.is_ipv6() || wanted_ip.is_ipv4());
    // One that wants every address collides with whoever has one of them.
    local.port() == wanted.port() && (local_ip == wanted_ip || is_any || wanted_ip.is_unspecified())
}

/// The sockets that listen at an address, by inode.
fn listening(address: SocketAddr) -> BTreeSet<u64> {
    // Only the order of bytes matters for addresses.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 100,
        page_size: rustix::param::page_size() as u64,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(file) = File::open(table) else { continue };
        let Ok(TcpNetEntries(entries)) = TcpNetEntries::from_read(file, &system) else { continue };
        let listens = entries.into_iter().filter(|entry| entry.state == TcpState::Listen && takes(entry.local_address, address));
        inodes.extend(listens.map(|entry| entry.inode));
    }
    inodes
}

/// Whether anybody listens at an address. Unlike a connection, nobody notices that this was asked.
pub(crate) fn is_listening(address: SocketAddr) -> bool {
    !listening(address).is_empty()
}

/// Who listens on a port, as people name it: `python3 (pid 4711)`. Nothing when that cannot be seen, such as another user's process.
pub(crate) fn listener(address: SocketAddr) -> Option<(u32, String)> {
    let inodes: BTreeSet<_> = listening(address).into_iter().map(|inode| format!("socket:[{inode}]")).collect();
    let holds = |pid: u32| {
        let Ok(files) = std::fs::read_dir(path(pid, "fd")) else { return false };
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| inodes.contains(target.to_string_lossy().as_ref())))
    };
    let pid = all().into_iter().find(|pid| holds(*pid))?;
    let name = stat(pid).map_or_else(|| "a process".to_owned(), |stat| stat.comm);
    Some((pid, name))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_among_its_parents_children_with_its_memory() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let own = std::process::id();
        assert!(children(own).contains(&child.id()), "{:?}", children(own));
        assert!(tree(own).is_superset(&BTreeSet::from([own, child.id()])));
        assert!(memory(own) > memory(child.id()));
        assert!((1..100_000_000).contains(&memory(child.id())), "{}", memory(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(memory(child.id()), 0);
    }

    #[test]
    fn a_process_is_found_by_what_it_was_given() {
        let value = format!("{}-mark", std::process::id());
        let mut child = Command::new("sleep").arg("60").env("PROC_TEST", &value).stdin(Stdio::null()).spawn().unwrap();
        assert_eq!(with_variable("PROC_TEST", &value), [child.id()]);
        assert!(with_variable("PROC_TEST", "other").is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_listener_elsewhere_is_not_the_one_looked_for() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (local, wanted, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("127.0.0.9:80", "0.0.0.0:80", true),
            ("127.0.0.9:80", "127.0.0.1:80", false),
            ("[::1]:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:81", "127.0.0.1:80", false),
        ] {
            assert_eq!(takes(at(local), at(wanted)), expected, "{local} {wanted}");
        }
    }

    #[test]
    fn who_listens_is_named() {
        let listener_socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener_socket.local_addr().unwrap();
        assert_eq!(listener(address).unwrap().0, std::process::id());
        drop(listener_socket);
        // A process that another test starts at this moment holds it open until it has become itself.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while listener(address).is_some() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(listener(address), None);
    }
}
