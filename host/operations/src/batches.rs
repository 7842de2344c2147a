//! Many images with the same work for each: what is done with them, and batches that survive a crash.
//!
//! A batch is an execution of the built-in workflow [`definition::WORKFLOW`]: a list whose items go through `crop-image`. Its journal says
//! what became of each image, so that nothing is done twice and nothing is lost, however often the service ends.

mod archive;
mod archive_manifest;
mod archive_names;
pub mod definition;
mod entry;
mod folder;
mod input;
mod manifest;
mod options;
mod parameters;
pub mod progress;
mod results;
mod starting;
mod view;
mod violations;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::{Execution, ExecutionFilter, ExecutionStatus, Part, Range, Wanted};
use serde_json::json;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

pub use archive::Archive;
pub use entry::BatchEntry;
pub use folder::is_picture;
pub(crate) use options::OptionsJson;
pub use options::ProcessingOptions;
pub use progress::{ItemState, Journal, Progress};
pub use results::BatchResult;
pub use starting::{BatchSource, ManifestFormat, NewBatch};
pub use view::Batch;

use crate::operations::Operations;
use crate::workflows::Workflows;
use input::Input;

/// The most images of a batch.
pub const MAX_IMAGES: usize = 100_000;
/// The most bytes of a batch's list, as JSON. The journal keeps it in one piece.
pub const MAX_LIST_BYTES: usize = 7 << 20;
/// The largest manifest, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The most images of a batch that are worked on at once.
pub const MAX_CONCURRENCY: u32 = 64;
/// Images at once when nothing is said.
pub const DEFAULT_CONCURRENCY: u32 = 4;
/// Archives that are read at the same time. Each has a thread of its own and two files until its reader has everything.
pub const MAX_ARCHIVES: usize = 16;
/// Batches whose journals need not be read from their beginning again.
const MAX_FOLLOWED: usize = 64;

/// Batches: started, watched, steered, and what they gave.
pub struct Batches {
    workflows: Arc<Workflows>,
    /// What was read of the journals of batches, by id.
    followed: Mutex<HashMap<String, Arc<AsyncMutex<Journal>>>>,
    /// Places of archives.
    archives: Arc<Semaphore>,
}

impl Batches {
    /// Batches among these workflows.
    #[must_use]
    pub fn new(workflows: Arc<Workflows>) -> Arc<Self> {
        Arc::new(Self { workflows, followed: Mutex::default(), archives: Arc::new(Semaphore::new(MAX_ARCHIVES)) })
    }

    pub(crate) fn operations(&self) -> &Arc<Operations> {
        self.workflows.operations()
    }

    pub(crate) fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    /// How a batch is.
    ///
    /// # Errors
    /// `batch.unknown` (not found), `workflow.store` (unavailable).
    pub async fn get(&self, id: &str) -> Result<Batch, Failure> {
        let execution = self.execution(id).await?;
        self.seen(execution).await
    }

    /// The batches, the newest first.
    ///
    /// # Errors
    /// `workflow.store` (unavailable).
    pub async fn list(&self, status: Option<ExecutionStatus>, range: Range) -> Result<Part<Batch>, Failure> {
        let filter = ExecutionFilter { workflow_id: Some(definition::WORKFLOW.to_owned()), status };
        let (mut items, mut total) = (Vec::new(), 0);
        // One after the other: each holds the list of its images.
        for place in 0..range.take {
            let one = Range { skip: range.skip.saturating_add(u64::from(place)), take: 1 };
            let part = self.workflows.executor().list(&filter, one).await?;
            total = part.total;
            let Some(execution) = part.items.into_iter().next() else { break };
            items.push(match view::counted(&execution) {
                Some(progress) => Batch::of(Input::of(&execution.input)?, execution, progress),
                None => self.seen(execution).await?,
            });
        }
        Ok(Part { items, total })
    }

    /// Waits until a batch has ended or `patience` is over.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn wait(&self, id: &str, patience: Duration) -> Result<Batch, Failure> {
        self.execution(id).await?;
        let execution = self.workflows.executor().wait(id, patience).await?;
        self.seen(execution).await
    }

    /// Waits until something happened in a batch after event `after`, it has ended, or `patience` is over; the number of its last event.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn changed(&self, id: &str, after: u64, patience: Duration) -> Result<u64, Failure> {
        self.workflows.executor().changed(id, after, patience).await
    }

    /// Pauses, resumes or cancels a batch.
    ///
    /// # Errors
    /// As [`Self::get`]; `execution.state` (invalid request) when that cannot be done to one in its state.
    pub async fn command(&self, id: &str, wanted: Wanted) -> Result<Batch, Failure> {
        self.execution(id).await?;
        let execution = self.workflows.executor().command(id, wanted).await.map_err(of_batch)?;
        self.seen(execution).await
    }

    /// The execution that is a batch.
    async fn execution(&self, id: &str) -> Result<Execution, Failure> {
        match self.workflows.executor().get(id).await {
            Ok(execution) if execution.workflow_id == definition::WORKFLOW => Ok(execution),
            Ok(_) => Err(unknown(id)),
            Err(failure) if failure.kind == FailureKind::NotFound => Err(unknown(id)),
            Err(failure) => Err(failure),
        }
    }

    async fn seen(&self, execution: Execution) -> Result<Batch, Failure> {
        let input = Input::of(&execution.input)?;
        let progress = self.journal(&execution.id, input.items.len()).await?.lock().await.progress();
        Ok(Batch::of(input, execution, progress))
    }

    /// What the journal says, read up to its end.
    async fn journal(&self, id: &str, images: usize) -> Result<Arc<AsyncMutex<Journal>>, Failure> {
        let journal = {
            let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            if followed.len() >= MAX_FOLLOWED && !followed.contains_key(id) {
                followed.clear();
            }
            Arc::clone(followed.entry(id.to_owned()).or_insert_with(|| Arc::new(AsyncMutex::new(Journal::new(images)))))
        };
        journal.lock().await.read_on(&**self.workflows.records(), id).await?;
        Ok(journal)
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

fn unknown(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = json!({ "resource_type": "batch", "resource_id": id });
    Failure::new(FailureKind::NotFound, "batch.unknown", format!("there is no batch `{id}`")).with_detail(detail)
}

/// Says of a batch what is said of its execution, which its callers never see.
fn of_batch(mut failure: Failure) -> Failure {
    match &*failure.code {
        "execution.state" => failure.message = told_of_batch(&failure.message),
        "execution.key-reused" => {
            failure.message = "the idempotency key belongs to another batch; use a new key for a new batch".to_owned();
        }
        _ => {}
    }
    failure
}

fn told_of_batch(message: &str) -> String {
    message.replacen("the execution", "the batch", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_not_told_of_as_an_execution() {
        let failure = of_batch(Wanted::Resume.check(ExecutionStatus::Cancelled).unwrap_err());
        assert_eq!(failure.code, "execution.state");
        assert!(failure.message.starts_with("the batch is CANCELLED "), "{failure}");
        let reused = of_batch(breakwater_workflow::admission::key_reused("1"));
        assert!(reused.message.contains("batch") && !reused.message.contains("execution"), "{reused}");
        assert_eq!(reused.detail, Some(json!({ "execution_id": "1" })));
        assert_eq!(of_batch(unknown("x")).code, "batch.unknown");
    }
}
