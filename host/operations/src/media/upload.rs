//! Writing a list that is sent piece by piece below the media root.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::{Deadline, Digest, Failure, FailureKind};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::{MediaRoot, output};

/// Bytes written at a time.
const BLOCK: usize = 1 << 20;

/// Tells apart the temporary files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl MediaRoot {
    /// Writes a list of products into the output folder and returns its path. The name is made of the content, so that sending the same list
    /// again gives the same path. It is on disk when this returns.
    ///
    /// # Errors
    /// The first failure among the pieces; `media.write-failed`, `media.overloaded` (limit), `call.deadline`.
    pub async fn receive(
        &self,
        extension: &'static str,
        pieces: impl Stream<Item = Result<Bytes, Failure>> + Send,
        deadline: Deadline,
    ) -> Result<String, Failure> {
        let shared = Arc::clone(&self.shared);
        let begin = move || Part::begin(output::open_folder(&shared.root, &shared.output_folder).map_err(failed)?);
        let mut part = self.pool.compute(deadline, begin).await??;
        let mut digest = Digest::of(b"");
        let mut block = BytesMut::new();
        let mut pieces = std::pin::pin!(pieces);
        loop {
            let piece = pieces.next().await.transpose()?;
            let ended = piece.is_none();
            block.extend_from_slice(&piece.unwrap_or_default());
            while block.len() >= BLOCK || (ended && !block.is_empty()) {
                let bytes = block.split_to(block.len().min(BLOCK)).freeze();
                let write = move || {
                    let digest = Digest::of_parts([digest.as_bytes().as_slice(), &bytes]);
                    part.file.write_all(&bytes).map_err(failed)?;
                    Ok::<_, Failure>((part, digest))
                };
                (part, digest) = self.pool.compute(deadline, write).await??;
            }
            if ended {
                break;
            }
        }
        let name = format!("{digest}.{extension}");
        let path = format!("/{}/{name}", self.shared.output_folder);
        self.pool.compute(deadline, move || part.finish(&name)).await??;
        Ok(path)
    }
}

impl MediaRoot {
    /// A file in the output folder that is not whole yet. Blocks.
    pub(crate) fn begin_part(&self) -> std::io::Result<Part> {
        let folder = output::open_folder(&self.shared.root, &self.shared.output_folder)?;
        Part::open(folder)
    }

    /// What a file of the output folder is called in calls.
    pub(crate) fn output_path(&self, name: &str) -> String {
        format!("/{}/{name}", self.shared.output_folder)
    }
}

/// A file that is not whole yet; gone when it is dropped.
pub(crate) struct Part {
    folder: OwnedFd,
    temporary: String,
    file: File,
}

impl Part {
    fn begin(folder: OwnedFd) -> Result<Self, Failure> {
        Self::open(folder).map_err(failed)
    }

    fn open(folder: OwnedFd) -> std::io::Result<Self> {
        let temporary = format!(".list-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &temporary, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)?;
        Ok(Self { folder, temporary, file: file.into() })
    }

    /// What is written into.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name. Not synced: after a power cut it may be missing or empty, and making it again replaces it.
    pub(crate) fn keep(self, name: &str) -> std::io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, &self.temporary, &self.folder, name)?)
    }

    /// An import that was accepted goes on with this file after a crash, so it is synced.
    fn finish(self, name: &str) -> Result<(), Failure> {
        let renamed = self.file.sync_all().and_then(|()| {
            rustix::fs::renameat(&self.folder, &self.temporary, &self.folder, name)?;
            Ok(rustix::fs::fsync(&self.folder)?)
        });
        renamed.map_err(failed)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Not there any more once it was renamed.
        let _ = rustix::fs::unlinkat(&self.folder, &self.temporary, AtFlags::empty());
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Unavailable, "media.write-failed", "the list could not be written below the media root").caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    fn pieces(bytes: &[u8], size: usize) -> impl Stream<Item = Result<Bytes, Failure>> + use<> {
        let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        stream::iter(pieces)
    }

    #[tokio::test]
    async fn a_list_is_named_by_its_content_however_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let media = MediaRoot::open(folder.path(), "output", 10).unwrap();
        let soon = || Deadline::after(Duration::from_secs(20));
        let content: Vec<u8> = (0..BLOCK * 2 + 77).map(|index| (index % 251) as u8).collect();
        let path = media.receive("jsonl", pieces(&content, 100_003), soon()).await.unwrap();
        assert_eq!(media.receive("jsonl", pieces(&content, BLOCK * 3), soon()).await.unwrap(), path);
        assert_ne!(media.receive("jsonl", pieces(&content[1..], 5_000), soon()).await.unwrap(), path);
        assert_eq!(std::fs::read(folder.path().join(path.trim_start_matches('/'))).unwrap(), content);
        assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 2, "nothing half written is left");
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let media = MediaRoot::open(folder.path(), "output", 10).unwrap();
        let broken = stream::iter([Ok(Bytes::from(vec![b'x'; BLOCK + 1])), Err(Failure::invalid("http.body-broken", "broke off"))]);
        let failure = media.receive("csv", broken, Deadline::after(Duration::from_secs(20))).await.unwrap_err();
        assert_eq!(failure.code, "http.body-broken");
        assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 0);
    }
}
