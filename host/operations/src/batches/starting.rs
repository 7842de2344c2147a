//! Starting a batch: from a list, a folder or a manifest. Whatever is wrong with it is said before anything runs.

use std::time::Duration;

use breakwater_core::{Deadline, Failure, FailureKind};
use breakwater_workflow::{Start, Started};
use serde_json::{Value, json};

use super::definition::{WORKFLOW, Work};
use super::entry::refused;
use super::input::{Input, Item};
use super::parameters::Strategies;
use super::violations::{Violation, Violations};
use super::{
    Batch, BatchEntry, Batches, ItemState, MAX_CONCURRENCY, MAX_IMAGES, MAX_LIST_BYTES, ProcessingOptions, folder, manifest, of_batch,
    options,
};
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
    /// options and `strategy.parameters-invalid`, `media.*` for the folder or manifest, `execution.key-reused`. For limits: `batch.too-many-images`,
    /// `batch.manifest-too-large`, `batch.list-too-long`, `workflow.overloaded`. `workflow.store` (unavailable).
    pub async fn start(&self, new: NewBatch) -> Result<(Batch, bool), Failure> {
        let NewBatch { source, options, concurrency, idempotency_key } = new;
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            let message = format!("images at once are 1 to {MAX_CONCURRENCY}, not {concurrency}");
            return Err(Failure::invalid("batch.concurrency-invalid", message));
        }
        let mut strategies = Strategies::of(self.operations())?;
        self.operations().check_processing(&options, true)?;
        let unfit = strategies.violations(&options)?;
        if !unfit.is_empty() {
            let mut wrong = Violations::default();
            wrong.put_below(options::PLACE, unfit);
            let tell = |first: &Violation| format!("the parameters do not fit the strategy: {first}");
            return Err(wrong.into_failure("strategy.parameters-invalid", tell));
        }
        let (described, entries) = self.listed(source).await?;
        check_count(entries.len(), MAX_IMAGES)?;
        let items = self.items(entries, &options, &mut strategies)?;
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

    /// The images with what is done with each.
    fn items(&self, entries: Vec<BatchEntry>, all: &ProcessingOptions, strategies: &mut Strategies) -> Result<Vec<Item>, Failure> {
        let is_manifest = entries.first().is_some_and(BatchEntry::is_of_manifest);
        let (mut items, mut wrong) = (Vec::with_capacity(entries.len()), Violations::default());
        for (index, entry) in entries.into_iter().enumerate() {
            let own = entry.own_options(all).and_then(|own| {
                let Some(own) = own else { return Ok((None, Violations::default())) };
                self.operations().check_processing(&own, true)?;
                let unfit = strategies.violations(&own)?;
                Ok((Some(own), unfit))
            });
            match own {
                Ok((own, unfit)) if unfit.is_empty() => items.push(entry.item(own.as_ref())),
                Ok((_, unfit)) => wrong.put_below(&entry.place(index), unfit),
                Err(failure) if failure.kind == FailureKind::InvalidRequest => {
                    wrong.put_below(&entry.place(index), Violations::of(&failure));
                }
                Err(failure) => return Err(failure),
            }
        }
        if wrong.is_empty() { Ok(items) } else { Err(refused(wrong, is_manifest)) }
    }

    /// Does the failed images of a batch that has ended again, in a new batch. Without a key, a retry that has not ended yet is the answer, so
    /// that nothing is done twice at the same time; with one, the retry that was started with it. Also says whether it was there already.
    ///
    /// # Errors
    /// As [`Self::get`]; `batch.not-finished` (invalid request) while it runs, `batch.nothing-failed`, `execution.key-reused` (invalid request).
    pub async fn retry(&self, id: &str, idempotency_key: Option<String>) -> Result<(Batch, bool), Failure> {
        let execution = self.execution(id).await?;
        if !execution.status.is_final() {
            let message = "the batch has not ended; what failed can be done again when it has";
            let mut failure = Failure::invalid("batch.not-finished", message);
            failure.retryable = true;
            return Err(failure);
        }
        let input = Input::of(&execution.input)?;
        let journal = self.journal(id, input.items.len()).await?;
        let ended = journal.lock().await.items().to_vec();
        let failed = input.items.into_iter().zip(ended).filter(|(_, state)| matches!(state, ItemState::Failed(_)));
        let items: Vec<Item> = failed.map(|(item, _)| item).collect();
        if items.is_empty() {
            return Err(Failure::invalid("batch.nothing-failed", "no image of the batch has failed"));
        }
        let start = self.prepared(Input { retry_of: Some(id.to_owned()), items, ..input }).await?;
        if idempotency_key.is_some() {
            return self.told(self.begun(Start { idempotency_key, ..start }).await?).await;
        }
        // Each retry has a key of its own number, so that those who ask at the same time get the same one, whichever process they ask.
        let mut number = 0_u64;
        let started = loop {
            let idempotency_key = Some(retry_key(id, number));
            match self.begun(Start { idempotency_key, ..start.clone() }).await {
                Ok(started) if started.existing && started.execution.status.is_final() => number += 1,
                // What had failed was something else then: the execution was retried meanwhile, and the batch has gone on.
                Err(failure) if failure.code == "execution.key-reused" => number += 1,
                started => break started?,
            }
        };
        self.told(started).await
    }

    async fn begin(&self, input: Input, idempotency_key: Option<String>) -> Result<(Batch, bool), Failure> {
        let start = self.prepared(input).await?;
        self.told(self.begun(Start { idempotency_key, ..start }).await?).await
    }

    /// What a batch is started with, but for its key.
    async fn prepared(&self, input: Input) -> Result<Start, Failure> {
        let work = Work::of_host(input.concurrency);
        let unwritable = |error| Failure::internal("a batch cannot be written").caused_by(error);
        let input = serde_json::to_value(input).map_err(unwritable)?;
        let length = serde_json::to_vec(&input.get("items")).map_err(unwritable)?.len();
        if length > MAX_LIST_BYTES {
            let message = format!("the list of images has {length} bytes as JSON; at most {MAX_LIST_BYTES}");
            return Err(Failure::limit("batch.list-too-long", message).with_detail(json!({ "max_bytes": MAX_LIST_BYTES })));
        }
        work.keep(&**self.workflows().records(), now_ms()).await?;
        Ok(Start { workflow: WORKFLOW.to_owned(), input, ..Start::default() })
    }

    async fn begun(&self, start: Start) -> Result<Started, Failure> {
        self.workflows().executor().start(start).await.map_err(of_batch)
    }

    /// The batch, and whether it was there already.
    async fn told(&self, started: Started) -> Result<(Batch, bool), Failure> {
        let Started { execution, existing } = started;
        Ok((self.seen(execution).await?, existing))
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

/// The key of a batch's retry, counted from 0.
fn retry_key(id: &str, number: u64) -> String {
    if number == 0 { format!("retry:{id}") } else { format!("retry:{id}:{number}") }
}
