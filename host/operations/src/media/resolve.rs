//! From the text of a path to an open file that is certainly below the root.

use std::os::fd::OwnedFd;
use std::path::Path;

use breakwater_core::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::MAX_PATH;

/// Opens the root itself; links on the way to it are the operator's business.
pub(super) fn open_root(path: &Path) -> std::io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The path as it is resolved below the root: without leading slashes, never empty, without `..` and NUL.
pub(super) fn relative(path: &str) -> Result<&str, Failure> {
    let invalid = |message: &str| Err(Failure::invalid("media.path-invalid", message));
    if path.len() > MAX_PATH {
        return invalid("a path has at most 1024 bytes");
    }
    if path.contains('\0') {
        return invalid("a path has no NUL byte");
    }
    let relative = path.trim_start_matches('/');
    if relative.is_empty() {
        return invalid("a path names a file below the media root");
    }
    if relative.split('/').any(|component| component == "..") {
        return Err(outside());
    }
    Ok(relative)
}

/// Opens `path` below `root`.
pub(super) fn open_beneath(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // Old kernels lack the call and some sandboxes refuse it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            // A rename elsewhere in the tree made the kernel unsure; it asks to try again.
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    open_by_steps(root, path, flags)
}

/// The same without the kernel's help: folder by folder, following no link at all.
fn open_by_steps(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut folder = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    let mut components = path.split('/').filter(|component| !component.is_empty() && *component != ".").peekable();
    while let Some(component) = components.next() {
        if component == ".." {
            return Err(Errno::XDEV);
        }
        if components.peek().is_none() {
            return rustix::fs::openat(&folder, component, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        }
        let step = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = rustix::fs::openat(&folder, component, step, Mode::empty())?;
    }
    Ok(folder)
}

/// What an error of the system means to the caller; the path stays in the cause.
pub(super) fn open_failure(error: Errno) -> Failure {
    let failure = match error {
        Errno::XDEV | Errno::LOOP => outside(),
        Errno::NOENT | Errno::NOTDIR => {
            Failure::new(FailureKind::NotFound, "media.not-found", "there is no such file below the media root")
        }
        Errno::NAMETOOLONG => Failure::invalid("media.path-invalid", "a part of the path is too long"),
        // A socket cannot be opened, and a device may have nobody behind it.
        Errno::NXIO | Errno::NODEV => not_a_file(),
        Errno::ACCESS | Errno::PERM => Failure::new(FailureKind::Denied, "media.denied", "the service may not read this file"),
        _ => Failure::new(FailureKind::Unavailable, "media.read-failed", "the file could not be read"),
    };
    failure.caused_by(std::io::Error::from(error))
}

/// The path leaves the media root.
fn outside() -> Failure {
    Failure::invalid("media.outside", "the path leads out of the media root")
}

/// The path names something other than a regular file.
pub(super) fn not_a_file() -> Failure {
    Failure::invalid("media.not-a-file", "the path does not name a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_opening_agree_about_what_is_outside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/inside"), b"x").unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("../../..", root.path().join("a/up")).unwrap();
        let folder = open_root(root.path()).unwrap();
        type Open = fn(&OwnedFd, &str, OFlags) -> Result<OwnedFd, Errno>;
        for open in [open_beneath as Open, open_by_steps] {
            assert!(open(&folder, "a/inside", OFlags::RDONLY).is_ok());
            assert_eq!(open(&folder, "a/missing", OFlags::RDONLY).unwrap_err(), Errno::NOENT);
            for path in ["etc/passwd", "a/up/etc/passwd", "a/../../../etc/passwd"] {
                let error = open(&folder, path, OFlags::RDONLY).unwrap_err();
                assert!([Errno::XDEV, Errno::LOOP, Errno::NOTDIR].contains(&error), "{path}: {error}");
            }
        }
    }

    #[test]
    fn paths_that_cannot_be_meant_are_refused_before_any_file_is_touched() {
        for path in ["", "/", "///", "a\0b", &"x".repeat(1025)] {
            assert_eq!(relative(path).unwrap_err().code, "media.path-invalid", "{path:?}");
        }
        for path in ["..", "../x", "a/../../x", "/..", "a/.."] {
            assert_eq!(relative(path).unwrap_err().code, "media.outside", "{path:?}");
        }
        assert_eq!(relative("/uploads/a.jpg").unwrap(), "uploads/a.jpg");
        assert_eq!(relative("a..b/..c").unwrap(), "a..b/..c");
    }
}
