//! The built-in workflow that a batch is an execution of.

use breakwater_core::Failure;
use breakwater_workflow::retry::StepRetry;
use breakwater_workflow::{Definition, RecordsError, Step, StepType, Workflow, WorkflowRecords, WorkflowStatus};
use serde_json::Map;

use crate::operation::{CROP_IMAGE, DETECT_OBJECTS};
use crate::workflows::stored;

/// Its id and its name. Names that begin with `_` are the host's.
pub const WORKFLOW: &str = "_batch";
/// The step that goes through the images: the first part of the paths of their events.
pub(crate) const IMAGES: &str = "images";
/// Finds what an image is to be cut by.
pub(crate) const DETECT: &str = "detect";
/// The step whose output is the result of an image.
pub(crate) const CROP: &str = "crop";
/// Ends the work on an image with nothing, so that the list's output does not hold every result once more.
const DONE: &str = "done";

/// A machine that is busy, or a disk that is full for the moment, must not fail the images of a night: attempts over about a minute. What is
/// wrong with an image itself is not tried again.
const RETRY: StepRetry = StepRetry { max_retries: Some(8), base_ms: Some(500), max_delay_ms: Some(15_000) };
/// Times that a batch is changed meanwhile before that is a failure.
const MAX_CONFLICTS: usize = 16;

/// What is done with each image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work<'a> {
    /// Images at once.
    pub concurrency: u32,
    /// Whether something is looked for before an image is cut, in any of the images.
    pub detects: bool,
    /// The operation that cuts; `crop-image` but for the command line, which cuts files.
    pub operation: &'a str,
}

impl Work<'_> {
    /// Through the operations of the host.
    #[must_use]
    pub const fn of_host(concurrency: u32) -> Self {
        // Always with the step that detects, which is passed over where nothing is to be detected: batches that are started at the same time
        // may get each other's version, and differ in nothing but the images at once.
        Self { concurrency, detects: true, operation: CROP_IMAGE.name }
    }

    /// The definition. Its input has `items` (`image_path`, and `options` and `detect` of an image's own), `options` and `detect` for all.
    #[must_use]
    pub fn definition(self) -> Definition {
        let found = "(steps.detect.detections && {detection_results: steps.detect.detections}) || `{}`";
        let own = "not_null(item.options, input.options), {image_path: item.image_path}";
        let cut = if self.detects { format!("merge({own}, {found})") } else { format!("merge({own})") };
        let detect = Step {
            id: DETECT.to_owned(),
            operation: Some(DETECT_OBJECTS.name.to_owned()),
            when: Some("not_null(item.detect, input.detect)".to_owned()),
            input: Some("merge(not_null(item.detect, input.detect), {image_path: item.image_path})".to_owned()),
            next: Some(CROP.to_owned()),
            retry: Some(RETRY),
            ..Step::default()
        };
        let crop = Step {
            id: CROP.to_owned(),
            operation: Some(self.operation.to_owned()),
            input: Some(cut),
            next: Some(DONE.to_owned()),
            retry: Some(RETRY),
            ..Step::default()
        };
        let done = Step { id: DONE.to_owned(), kind: StepType::Choice, input: Some("`null`".to_owned()), ..Step::default() };
        let steps = if self.detects { vec![detect, crop, done] } else { vec![crop, done] };
        let images = Step {
            id: IMAGES.to_owned(),
            kind: StepType::Map,
            items: Some("input.items".to_owned()),
            steps,
            concurrency: Some(self.concurrency),
            continue_on_error: true,
            ..Step::default()
        };
        Definition {
            name: WORKFLOW.to_owned(),
            description: "Cuts the images of a batch.".to_owned(),
            steps: vec![images],
            input_schema: None,
            output: None,
            timeout_ms: None,
            metadata: Map::new(),
        }
    }

    /// Makes this the latest version, which is the one that is started. Should another process change it between this and the start, a batch
    /// has the other's bound of images at once.
    ///
    /// # Errors
    /// `workflow.store` (unavailable), `workflow.conflict` when others change it again and again.
    pub async fn keep(self, records: &dyn WorkflowRecords, now_ms: u64) -> Result<(), Failure> {
        let definition = self.definition();
        for _ in 0..MAX_CONFLICTS {
            let known = records.workflow(WORKFLOW, None).await.map_err(stored)?;
            if known.as_ref().is_some_and(|known| known.definition == definition) {
                return Ok(());
            }
            let workflow = Workflow {
                id: WORKFLOW.to_owned(),
                version: known.as_ref().map_or(1, |known| known.version + 1),
                status: WorkflowStatus::Active,
                definition: definition.clone(),
                created_at_ms: known.as_ref().map_or(now_ms, |known| known.created_at_ms),
                updated_at_ms: now_ms,
            };
            match records.put_workflow(&workflow).await {
                Ok(()) => return Ok(()),
                Err(RecordsError::Conflict) => {}
                Err(error) => return Err(stored(error)),
            }
        }
        Err(stored(RecordsError::Conflict))
    }
}
