//! Writing a picture below the media root.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::{Digest, Failure, FailureKind};
use breakwater_vision::Format;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::resolve;

/// Tells apart the temporary files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes into a temporary file and renames it, so that nobody ever sees half a picture. Not synced: after a power cut a picture
/// may be missing or empty, and making it again replaces it.
pub(super) fn write(root: &OwnedFd, folder: &str, bytes: &[u8], format: Format) -> Result<String, Failure> {
    let output = open_folder(root, folder).map_err(failed)?;
    let name = format!("{}.{}", Digest::of(bytes), format.extension());
    let temporary = format!(".{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let written = write_file(&output, &temporary, bytes).and_then(|()| Ok(rustix::fs::renameat(&output, &temporary, &output, &name)?));
    if let Err(error) = written {
        // Best effort: the file may not have come to exist.
        let _ = rustix::fs::unlinkat(&output, &temporary, AtFlags::empty());
        return Err(failed(error));
    }
    Ok(format!("/{folder}/{name}"))
}

pub(super) fn open_folder(root: &OwnedFd, folder: &str) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match resolve::open_beneath(root, folder, flags) {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(root, folder, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
                // Another call made it first.
                Ok(()) | Err(Errno::EXIST) => Ok(resolve::open_beneath(root, folder, flags)?),
                Err(error) => Err(error.into()),
            }
        }
        result => Ok(result?),
    }
}

fn write_file(folder: &OwnedFd, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?;
    File::from(file).write_all(bytes)
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Unavailable, "media.write-failed", "the picture could not be written below the media root").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::Deadline;
    use bytes::Bytes;

    use super::super::{MediaError, MediaRoot};
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[tokio::test]
    async fn what_is_written_can_be_read_by_the_returned_path_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let media = MediaRoot::open(folder.path(), "output", 100).unwrap();
        let bytes = Bytes::from_static(b"a picture");
        let path = media.write(bytes.clone(), Format::Jpeg, soon()).await.unwrap();
        assert_eq!(path, format!("/output/{}.jpg", Digest::of(&bytes)));
        assert_eq!(media.write(bytes.clone(), Format::Jpeg, soon()).await.unwrap(), path);
        assert_eq!(media.read(&path, soon()).await.unwrap(), bytes);
        assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn an_output_folder_that_is_a_link_out_of_the_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("output")).unwrap();
        let media = MediaRoot::open(folder.path(), "output", 100).unwrap();
        let failure = media.write(Bytes::from_static(b"x"), Format::Png, soon()).await.unwrap_err();
        assert_eq!(failure.code, "media.write-failed");
        assert!(!failure.message.contains('/') && failure.chain().len() > failure.message.len());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_output_folder_is_one_plain_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "..", ".", "a/b", "/a", "a\0"] {
            assert!(matches!(MediaRoot::open(folder.path(), name, 1), Err(MediaError::OutputFolder(_))), "{name:?}");
        }
    }
}
