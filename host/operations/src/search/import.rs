//! Imports: many products out of a folder or a file, in the background.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{CallContext, Failure, FailureKind};
use breakwater_search::records::ImportState;

use super::import_items;
use super::importing::Run;
use crate::media::MediaRoot;
use crate::operations::Operations;

/// The most failed items that an import remembers one by one; all are counted.
pub const MAX_PROBLEMS: usize = 100;
/// The longest line of JSONL and the longest record of CSV, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// The longest name of an import, in bytes.
const MAX_NAME: usize = 128;
/// The most imports that are listed.
const MAX_IMPORTS: usize = 1000;
/// Imports of which it is remembered what failed.
const MAX_REMEMBERED: usize = 100;

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
        let ImportRequest { name, source, restart } = request;
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(known) {
            let message = format!("the name of an import has 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`");
            return Err(Failure::invalid("import.name-invalid", message));
        }
        let text = source.to_text()?;
        let Some(media) = self.media() else {
            let message = "the service has no media root, so there is nothing to import from";
            return Err(Failure::new(FailureKind::Denied, "media.not-configured", message));
        };
        let opened = source.clone();
        // What cannot be opened is better refused now than reported later.
        media.with_disk(context.deadline, move |media| import_items::open(media, &opened).map(drop)).await??;
        let state = match self.products().records().import(&name).await? {
            Some(state) if !restart && !state.finished => {
                if state.source != text {
                    let message = "an import of this name was interrupted that reads something else; restart it, or take another name";
                    return Err(Failure::invalid("import.source-changed", message));
                }
                ImportState { cancelled: false, ..state }
            }
            _ => ImportState { source: text, ..ImportState::default() },
        };
        self.start_import(name, Arc::clone(media), source, state).await
    }

    async fn start_import(
        &self,
        name: String,
        media: Arc<MediaRoot>,
        source: ImportSource,
        state: ImportState,
    ) -> Result<ImportStatus, Failure> {
        let this = self.this().ok_or_else(|| Failure::internal("the operations are gone"))?;
        let search = self.search_state();
        let run = Run::new(source, state.clone(), &search.stop);
        {
            let mut imports = search.imports();
            if imports.get(&name).is_some_and(|run| run.is_running()) {
                return Err(Failure::invalid("import.running", "an import of this name is running"));
            }
            let most = self.search_config().max_imports;
            if imports.values().filter(|run| run.is_running()).count() >= most {
                return Err(Failure::limit("import.too-many", format!("{most} imports are running, as many as may")));
            }
            imports.insert(name.clone(), Arc::clone(&run));
            forget_oldest(&mut imports);
        }
        // From here on it goes on by itself after a crash.
        if let Err(error) = self.products().records().set_import(&name, state).await {
            search.imports().remove(&name);
            return Err(error.into());
        }
        let status = run.status(&name);
        search.tasks.spawn(this.run_import(name, media, run));
        Ok(status)
    }

    /// How far an import has come.
    ///
    /// # Errors
    /// `import.not-found` (not found), `search.records` (unavailable).
    pub async fn import_state(&self, name: &str) -> Result<ImportStatus, Failure> {
        let running = self.search_state().imports().get(name).cloned();
        if let Some(run) = running {
            return Ok(run.status(name));
        }
        let state = self.products().records().import(name).await?;
        let missing = || Failure::new(FailureKind::NotFound, "import.not-found", "there is no import of this name");
        state.and_then(|state| of_state(name.to_owned(), state)).ok_or_else(missing)
    }

    /// Every import, by name; at most 1000.
    ///
    /// # Errors
    /// `search.records` (unavailable).
    pub async fn imports(&self) -> Result<Vec<ImportStatus>, Failure> {
        let stored = self.products().records().imports(MAX_IMPORTS).await?;
        let running = self.search_state().imports();
        let status = |(name, state): (String, ImportState)| match running.get(&name) {
            Some(run) => Some(run.status(&name)),
            None => of_state(name, state),
        };
        Ok(stored.into_iter().filter_map(status).collect())
    }

    /// Stops an import; what it is working on is left for when it goes on. Returns how far it came.
    ///
    /// # Errors
    /// As [`Self::import_state`].
    pub async fn cancel_import(&self, name: &str) -> Result<ImportStatus, Failure> {
        let running = self.search_state().imports().get(name).filter(|run| run.is_running()).cloned();
        match running {
            Some(run) => run.cancel(),
            None => {
                // One that waits for the next start does not any more.
                if let Some(state) = self.products().records().import(name).await?.filter(|state| !state.finished) {
                    self.products().records().set_import(name, ImportState { cancelled: true, ..state }).await?;
                }
            }
        }
        self.import_state(name).await
    }

    /// Goes on with the imports that the end of the service interrupted.
    pub(super) async fn resume_imports(&self) {
        let stored = match self.products().records().imports(MAX_IMPORTS).await {
            Ok(stored) => stored,
            Err(error) => return tracing::warn!(%error, "interrupted imports cannot be read, and do not go on"),
        };
        for (name, state) in stored.into_iter().filter(|(_, state)| !state.finished && !state.cancelled) {
            let (Some(source), Some(media)) = (ImportSource::from_text(&state.source), self.media()) else {
                tracing::warn!(import = name, "an interrupted import cannot go on: what it reads is not known, or there is no media root");
                continue;
            };
            match self.start_import(name.clone(), Arc::clone(media), source, state).await {
                Ok(status) => tracing::info!(import = name, position = status.position, "an interrupted import goes on"),
                Err(failure) => tracing::warn!(import = name, code = %failure.code, "an interrupted import does not go on"),
            }
        }
    }
}

/// As far as it is stored: what failed one by one is not.
fn of_state(name: String, state: ImportState) -> Option<ImportStatus> {
    let phase = match (state.finished, state.cancelled) {
        (true, _) => ImportPhase::Finished,
        (false, true) => ImportPhase::Cancelled,
        (false, false) => ImportPhase::Interrupted,
    };
    Some(ImportStatus {
        name,
        source: ImportSource::from_text(&state.source)?,
        phase,
        position: state.position,
        total: state.finished.then_some(state.position),
        stored: state.stored,
        failed: state.failed,
        problems: Vec::new(),
        interrupted_by: None,
        elapsed: Duration::ZERO,
        rate: 0.0,
    })
}

/// Keeps what is remembered of imports bounded; their states are stored.
fn forget_oldest(imports: &mut BTreeMap<String, Arc<Run>>) {
    while imports.len() > MAX_REMEMBERED {
        let Some(name) = imports.iter().find(|(_, run)| !run.is_running()).map(|(name, _)| name.clone()) else { return };
        imports.remove(&name);
    }
}
