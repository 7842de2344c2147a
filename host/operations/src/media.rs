//! The media root: the one folder whose files may be named in a call.
//!
//! A path of a call is relative to the root, with or without a leading slash. The kernel resolves it (`openat2` with
//! `RESOLVE_BENEATH`), so that neither `..`, nor an absolute link, nor a link swapped in between check and use leads outside. Only
//! regular files are read, and their size is checked before a byte is.

mod input;
mod listing;
mod output;
mod resolve;
mod upload;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use breakwater_core::{Deadline, Failure};
use breakwater_resilience::CpuPermits;
use breakwater_vision::Format;
use bytes::Bytes;

pub(crate) use listing::Walk;
pub(crate) use upload::Part;

/// The longest path accepted, in bytes.
const MAX_PATH: usize = 1024;

/// Threads that read and write files, so that a slow disk never holds up the CPU pool.
const THREADS: usize = 4;

/// Reads and writes that may wait for a thread.
const QUEUE: usize = 256;

/// The media root, opened once; renaming the folder later does not move it.
#[derive(Debug)]
pub struct MediaRoot {
    shared: Arc<Shared>,
    pool: Arc<CpuPermits>,
}

#[derive(Debug)]
struct Shared {
    root: OwnedFd,
    output_folder: String,
    max_bytes: u64,
}

/// Why a media root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The folder cannot be opened.
    #[error("the media root {path} cannot be opened")]
    Root {
        /// The configured folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The output folder is not one plain name.
    #[error("the output folder must be one plain folder name below the media root, got {0:?}")]
    OutputFolder(String),
    /// The system gives no threads.
    #[error("no threads for reading files")]
    Threads(#[source] std::io::Error),
}

impl MediaRoot {
    /// Opens the folder. Files over `max_bytes` are refused; pictures are written to the folder `output_folder` inside, which is
    /// made when the first one is.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be read, or the name of the output folder is not one path component.
    pub fn open(path: &Path, output_folder: &str, max_bytes: u64) -> Result<Arc<Self>, MediaError> {
        let plain = !output_folder.is_empty() && !output_folder.starts_with('.') && !output_folder.contains(['/', '\0', '\\']);
        if !plain {
            return Err(MediaError::OutputFolder(output_folder.to_owned()));
        }
        let root = resolve::open_root(path).map_err(|source| MediaError::Root { path: path.display().to_string(), source })?;
        let pool = CpuPermits::start("media", THREADS, QUEUE).map_err(MediaError::Threads)?;
        Ok(Arc::new(Self { shared: Arc::new(Shared { root, output_folder: output_folder.to_owned(), max_bytes }), pool }))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `media.path-invalid` or `media.outside` (invalid request), `media.not-found`, `media.not-a-file`, `image.too-many-bytes`
    /// (limit), `media.overloaded` (limit), `media.read-failed`, `call.deadline`.
    pub async fn read(&self, path: &str, deadline: Deadline) -> Result<Bytes, Failure> {
        let relative = resolve::relative(path)?.to_owned();
        let shared = self.shared.clone();
        self.pool.compute(deadline, move || input::read(&shared.root, &relative, shared.max_bytes)).await?
    }

    /// Runs work that waits for the disk on the threads that may.
    ///
    /// # Errors
    /// `media.overloaded` (limit), `call.deadline`.
    pub(crate) async fn with_disk<T: Send + 'static>(
        self: &Arc<Self>,
        deadline: Deadline,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let this = Arc::clone(self);
        self.pool.compute(deadline, move || work(&this)).await
    }

    /// Writes a picture into the output folder and returns its path, which later calls may name. The name is the content's digest:
    /// the same picture is the same file.
    ///
    /// # Errors
    /// `media.write-failed`, `media.overloaded` (limit), `call.deadline`.
    pub async fn write(&self, bytes: Bytes, format: Format, deadline: Deadline) -> Result<String, Failure> {
        let shared = self.shared.clone();
        self.pool.compute(deadline, move || output::write(&shared.root, &shared.output_folder, &bytes, format)).await?
    }
}
