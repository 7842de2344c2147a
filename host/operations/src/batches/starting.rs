//! Starting a batch: from a list, a folder or a manifest. Whatever is wrong with it is said before anything runs.

use std::collections::BTreeMap;
use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use breakwater_workflow::Start;
use serde_json::{Value, json};

use super::definition::{WORKFLOW, Work};
use super::input::{Input, Item};
use super::{Batch, BatchEntry, Batches, ItemState, MAX_CONCURRENCY, MAX_IMAGES, MAX_LIST_BYTES, ProcessingOptions, folder, manifest};
use crate::process_batch::check_count;
use crate::workflows::now_ms;

/// The longest time that a folder or a manifest is read.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the images of a batch are listed.
#[derive(Debug, Clone)]
pub enum BatchSource {
    /// Here.
    Images(Vec<BatchEntry>),
    /// A folder below the media root, with the folders in it: every picture, by its name's end, in the order of the paths.
    Folder(String),
    /// A list below the media root.
    Manifest {
        /// Its path.
        path: String,
        /// What it is; told by the end of its name when absent.
        format: Option<ManifestFormat>,
    },
}

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// A path or an object on each line.
    Jsonl,
    /// A head line that names `image_path`.
    Csv,
}

impl ManifestFormat {
    /// By the end of a file's name.
    #[must_use]
    pub fn of_name(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// A batch to be started.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its images, at most [`MAX_IMAGES`].
    pub source: BatchSource,
    /// What is done with each.
    pub options: ProcessingOptions,
    /// Images at once, 1..=[`MAX_CONCURRENCY`].
    pub concurrency: u32,
    /// Starting twice with one key and one list is starting once.
    pub idempotency_key: Option<String>,
}

impl Batches {
    /// Starts a batch. Once this is answered, it survives a crash. Also says whether it was there already, under the same key.
    ///
    /// # Errors
    /// For a wrong request: `batch.empty`, `batch.entry-invalid`, `batch.manifest-invalid`, `batch.concurrency-invalid`, those of the crop's
    /// options, `media.*` for the folder or manifest, `execution.key-reused`. For limits: `batch.too-many-images`,
    /// `batch.manifest-too-large`, `batch.list-too-long`, `workflow.overloaded`. `workflow.store` (unavailable).
    pub async fn start(&self, new: NewBatch) -> Result<(Batch, bool), Failure> {
        let NewBatch { source, options, concurrency, idempotency_key } = new;
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            let message = format!("images at once are 1 to {MAX_CONCURRENCY}, not {concurrency}");
            return Err(Failure::invalid("batch.concurrency-invalid", message));
        }
        self.operations().check_processing(&options, true)?;
        let (described, entries) = self.listed(source).await?;
        check_count(entries.len(), MAX_IMAGES)?;
        let items = entries.into_iter().map(|entry| {
            let own = entry.own_options(&options)?;
            own.as_ref().map_or(Ok(()), |own| self.operations().check_processing(own, true))?;
            Ok(entry.item(own.as_ref()))
        });
        let items = items.collect::<Result<Vec<Item>, Failure>>()?;
        let input = Input {
            source: described,
            concurrency,
            options: options.crop_fields(),
            detect: options.detect_fields(),
            retry_of: None,
            items,
        };
        self.begin(input, idempotency_key).await
    }

    /// Does the failed images of a batch that has ended again, in a new batch. Twice is once.
    ///
    /// # Errors
    /// As [`Self::get`]; `batch.not-finished` (invalid request) while it runs, `batch.nothing-failed` (invalid request).
    pub async fn retry(&self, id: &str) -> Result<(Batch, bool), Failure> {
        let execution = self.execution(id).await?;
        if !execution.status.is_final() {
            return Err(Failure::invalid("batch.not-finished", "the batch has not ended; what failed can be done again when it has"));
        }
        let input = Input::of(&execution.input)?;
        let journal = self.journal(id, input.items.len()).await?;
        let ended = journal.lock().await.items().to_vec();
        let failed = input.items.into_iter().zip(ended).filter(|(_, state)| matches!(state, ItemState::Failed(_)));
        let items: Vec<Item> = failed.map(|(item, _)| item).collect();
        if items.is_empty() {
            return Err(Failure::invalid("batch.nothing-failed", "no image of the batch has failed"));
        }
        self.begin(Input { retry_of: Some(id.to_owned()), items, ..input }, Some(format!("retry:{id}"))).await
    }

    async fn begin(&self, input: Input, idempotency_key: Option<String>) -> Result<(Batch, bool), Failure> {
        let work = Work::of_host(input.concurrency);
        let unwritable = |error| Failure::internal("a batch cannot be written").caused_by(error);
        let input = serde_json::to_value(input).map_err(unwritable)?;
        let length = serde_json::to_vec(&input.get("items")).map_err(unwritable)?.len();
        if length > MAX_LIST_BYTES {
            let message = format!("the list of images has {length} bytes as JSON; at most {MAX_LIST_BYTES}");
            return Err(Failure::limit("batch.list-too-long", message).with_detail(json!({ "max_bytes": MAX_LIST_BYTES })));
        }
        work.keep(&**self.workflows().records(), now_ms()).await?;
        let start = Start { workflow: WORKFLOW.to_owned(), input, context: BTreeMap::new(), idempotency_key, parent: None };
        let started = self.workflows().executor().start(start).await?;
        let existing = started.existing;
        Ok((self.seen(started.execution).await?, existing))
    }

    /// What is said of the source, and the images that it lists.
    async fn listed(&self, source: BatchSource) -> Result<(Value, Vec<BatchEntry>), Failure> {
        let media = || {
            let none = || Failure::new(FailureKind::Denied, "media.not-configured", "the service has no media root to read from");
            self.operations().media().ok_or_else(none)
        };
        let deadline = Deadline::after(READ_TIMEOUT);
        match source {
            BatchSource::Images(entries) => Ok((json!("images"), entries)),
            BatchSource::Folder(path) => {
                let described = json!({ "folder": path });
                Ok((described, media()?.with_disk(deadline, move |media| folder::pictures(media, &path)).await??))
            }
            BatchSource::Manifest { path, format } => {
                let described = json!({ "manifest": path });
                Ok((described, media()?.with_disk(deadline, move |media| manifest::entries(media, &path, format)).await??))
            }
        }
    }
}
