//! Reading a file below the media root.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use breakwater_core::{Failure, FailureKind};
use bytes::Bytes;
use rustix::fs::OFlags;

use super::resolve;

/// Opens, checks kind and size, then reads. `path` is relative and was checked.
pub(super) fn read(root: &OwnedFd, path: &str, max_bytes: u64) -> Result<Bytes, Failure> {
    // Without NONBLOCK, opening a FIFO would wait for a writer; without NOCTTY, a terminal could become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = resolve::open_beneath(root, path, flags).map_err(resolve::open_failure)?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(read_failed)?;
    if !metadata.is_file() {
        return Err(resolve::not_a_file());
    }
    if metadata.len() > max_bytes {
        return Err(too_long(max_bytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may grow while it is read.
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(read_failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_long(max_bytes));
    }
    Ok(bytes.into())
}

fn too_long(max_bytes: u64) -> Failure {
    let message = format!("the file has more than {max_bytes} bytes");
    Failure::limit("image.too-many-bytes", message).with_detail(serde_json::json!({ "max_bytes": max_bytes }))
}

fn read_failed(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Unavailable, "media.read-failed", "the file could not be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::Deadline;

    use super::super::MediaRoot;

    /// A root beside a secret it must not give away.
    struct Sandbox {
        folder: tempfile::TempDir,
        media: std::sync::Arc<MediaRoot>,
    }

    impl Sandbox {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            std::fs::create_dir_all(root.join("sub")).unwrap();
            std::fs::write(folder.path().join("secret"), b"secret").unwrap();
            std::fs::write(root.join("sub/photo.jpg"), b"photo").unwrap();
            let media = MediaRoot::open(&root, "output", 10).unwrap();
            Self { folder, media }
        }

        fn link(&self, target: &str, name: &str) {
            std::os::unix::fs::symlink(target, self.folder.path().join("root").join(name)).unwrap();
        }

        async fn code(&self, path: &str) -> String {
            match self.media.read(path, Deadline::after(Duration::from_secs(20))).await {
                Ok(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Err(failure) => failure.code.into_owned(),
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_read_with_or_without_a_leading_slash_and_through_links_that_stay_inside() {
        let sandbox = Sandbox::new();
        sandbox.link("sub/photo.jpg", "inside");
        for path in ["sub/photo.jpg", "/sub/photo.jpg", "//sub/./photo.jpg", "inside"] {
            assert_eq!(sandbox.code(path).await, "photo", "{path}");
        }
    }

    #[tokio::test]
    async fn nothing_outside_the_root_can_be_read() {
        let sandbox = Sandbox::new();
        let secret = sandbox.folder.path().join("secret").display().to_string();
        sandbox.link(&secret, "absolute");
        sandbox.link("../secret", "relative");
        sandbox.link("..", "up");
        sandbox.link("loop", "loop");
        for path in ["../secret", "sub/../../secret", "absolute", "relative", "up/secret", "loop"] {
            assert_eq!(sandbox.code(path).await, "media.outside", "{path}");
        }
        // An absolute path is one below the root.
        assert_eq!(sandbox.code(&secret).await, "media.not-found");
    }

    #[tokio::test]
    async fn only_regular_files_are_read_and_a_fifo_holds_nobody_up() {
        let sandbox = Sandbox::new();
        let root = sandbox.folder.path().join("root");
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        for path in ["fifo", "socket", "sub"] {
            assert_eq!(sandbox.code(path).await, "media.not-a-file", "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_over_the_limit_is_refused_by_its_size() {
        let sandbox = Sandbox::new();
        std::fs::write(sandbox.folder.path().join("root/exact"), [b'x'; 10]).unwrap();
        std::fs::write(sandbox.folder.path().join("root/long"), [b'x'; 11]).unwrap();
        assert_eq!(sandbox.code("exact").await, "xxxxxxxxxx");
        assert_eq!(sandbox.code("long").await, "image.too-many-bytes");
        // A sparse file of a terabyte costs nothing to make and must cost nothing to refuse.
        let sparse = std::fs::File::create(sandbox.folder.path().join("root/sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(sandbox.code("sparse").await, "image.too-many-bytes");
    }
}
