//! Imports: many products out of a folder or a file, in the background.

use std::time::Duration;

use breakwater_core::{CallContext, Failure};

use crate::operations::Operations;

/// The most failed items that an import remembers one by one; all are counted.
pub const MAX_PROBLEMS: usize = 100;
/// The longest line of JSONL and the longest record of CSV, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// How a file lists products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// One JSON object a line, with the fields of a product and `image` as a path below the media root or a URL.
    Jsonl,
    /// A head line with the fields' names; columns that are no field of a product are attributes.
    Csv,
}

/// Where products come from. Paths are below the media root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// Every picture in a folder and the folders in it, in the order of their paths. A product's id is the picture's path below the media
    /// root, its title the file's name, its category the name of the folder it is in, if that is not the folder itself.
    Folder(String),
    /// A list of products.
    File {
        /// The list.
        path: String,
        /// How it is written; told by the ending `.jsonl`, `.ndjson` or `.csv` when absent.
        format: Option<ImportFormat>,
    },
}

/// An import to start, or to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// Names it: 1 to 128 letters, digits, `-`, `_` and `.`. One of this name that was interrupted goes on where it was; one that is
    /// finished begins anew.
    pub name: String,
    /// Where products come from.
    pub source: ImportSource,
    /// Begin anew, also if it was interrupted.
    pub restart: bool,
}

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportPhase {
    /// Working.
    Running,
    /// Everything was read.
    Finished,
    /// Cancelled by a call; the same request goes on with it.
    Cancelled,
    /// Stopped by a failure or the end of the service; the same request goes on with it.
    Interrupted,
}

/// An item that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProblem {
    /// Which, counted from 1.
    pub item: u64,
    /// Its id or path, as far as it could be read.
    pub name: String,
    /// The failure's stable code.
    pub code: String,
    /// The failure's message.
    pub message: String,
}

/// How far an import has come.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportStatus {
    /// Its name.
    pub name: String,
    /// Where products come from.
    pub source: ImportSource,
    /// What it is doing.
    pub phase: ImportPhase,
    /// Items read so far, failed ones included.
    pub position: u64,
    /// Items in all, once they have been counted.
    pub total: Option<u64>,
    /// Products stored.
    pub stored: u64,
    /// Items that failed.
    pub failed: u64,
    /// The last items that failed since the service started, at most [`MAX_PROBLEMS`].
    pub problems: Vec<ImportProblem>,
    /// Why it was interrupted.
    pub interrupted_by: Option<ImportProblem>,
    /// How long it has run since it was started last.
    pub elapsed: Duration,
    /// Items per second since then.
    pub rate: f64,
}

impl Operations {
    /// Starts an import in the background, or goes on with one that was interrupted. Its state is stored with the products: whatever
    /// happens, going on neither leaves an item out nor stores one twice.
    ///
    /// # Errors
    /// `import.name-invalid`, `import.source-invalid` (invalid request), `import.running` (invalid request: one of this name is),
    /// `import.source-changed` (invalid request: one of this name was interrupted that reads something else), `import.too-many` (limit),
    /// `media.*`, `search.records` (unavailable).
    pub async fn import(&self, context: &CallContext, request: ImportRequest) -> Result<ImportStatus, Failure> {
        let _ = (context, request);
        Err(Failure::internal("search is being set up"))
    }

    /// How far an import has come.
    ///
    /// # Errors
    /// `import.not-found` (not found), `search.records` (unavailable).
    pub async fn import_state(&self, name: &str) -> Result<ImportStatus, Failure> {
        let _ = name;
        Err(Failure::internal("search is being set up"))
    }

    /// Every import, by name; at most 1000.
    ///
    /// # Errors
    /// `search.records` (unavailable).
    pub async fn imports(&self) -> Result<Vec<ImportStatus>, Failure> {
        Err(Failure::internal("search is being set up"))
    }

    /// Stops an import after the items it is working on. Returns how far it came.
    ///
    /// # Errors
    /// As [`Self::import_state`].
    pub async fn cancel_import(&self, name: &str) -> Result<ImportStatus, Failure> {
        let _ = name;
        Err(Failure::internal("search is being set up"))
    }

    /// Goes on with the imports that the end of the service interrupted. Called once, at the start.
    pub async fn resume_imports(&self) {}
}
