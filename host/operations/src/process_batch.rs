//! `process-batch`: detects and cuts in many pictures while the caller waits. What becomes of one is no matter of the others.

use std::time::{Duration, Instant};

use breakwater_core::{CallContext, Detection, Failure, FailureKind, Outcome, Reason, ServedBy};
use futures_util::{StreamExt as _, stream};

use crate::batches::ProcessingOptions;
use crate::crop::{CropInput, CropOutput};
use crate::detect::DetectInput;
use crate::operations::Operations;
use crate::source::ImageSource;

/// The most images of one call; more are a batch of their own.
pub const MAX_IMAGES: usize = 1000;
/// Kept back to tell what became of the images, should time run out.
const ANSWER_RESERVE: Duration = Duration::from_millis(200);
/// Images on their way beyond those that are computed on: they are read and written meanwhile.
const AHEAD: usize = 1;

/// An image of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchImage {
    /// Where it is.
    pub image: ImageSource,
    /// What the caller calls it.
    pub id: Option<String>,
}

/// What `process-batch` takes.
#[derive(Debug, Clone)]
pub struct ProcessBatchInput {
    /// The images, 1..=[`MAX_IMAGES`].
    pub images: Vec<BatchImage>,
    /// What is done with each.
    pub options: ProcessingOptions,
}

/// What became of one image.
#[derive(Debug, Clone)]
pub struct BatchItem {
    /// The image.
    pub image: BatchImage,
    /// What was found beforehand, if that was asked for.
    pub detections: Vec<Detection>,
    /// The crop, written below the media root, or why there is none.
    pub result: Result<CropOutput, Failure>,
}

/// What `process-batch` gives.
#[derive(Debug, Clone)]
pub struct ProcessBatchOutput {
    /// One for each image, in their order.
    pub items: Vec<BatchItem>,
}

impl Operations {
    /// With the host's own code. The images go through `detect-objects`, if anything is to be looked for, and `crop-image`.
    ///
    /// # Errors
    /// `batch.empty`, `batch.too-many-images` (limit), `media.not-configured`, and whatever of the options cannot be meant: those of
    /// [`Self::crop`]. What is wrong with an image is in its item, also that time ran out before its turn.
    pub(crate) async fn process_batch_here(
        &self,
        context: &CallContext,
        input: ProcessBatchInput,
    ) -> Result<Outcome<ProcessBatchOutput>, Failure> {
        let started = Instant::now();
        let ProcessBatchInput { images, options } = input;
        check_count(images.len(), MAX_IMAGES)?;
        self.check_processing(&options, true)?;
        let nested = context.nested()?;
        let context = CallContext { deadline: nested.deadline.reserving(ANSWER_RESERVE), ..nested };
        let at_once = self.cpu().statistics().threads + AHEAD;
        let options = &options;
        let work = images.into_iter().map(|image| self.process_one(&context, image, options));
        let items: Vec<BatchItem> = stream::iter(work).buffered(at_once).collect().await;
        let mut reasons: Vec<Reason> = Vec::new();
        for output in items.iter().filter_map(|item| item.result.as_ref().ok()) {
            for reason in &output.degraded_reasons {
                if !reasons.iter().any(|known| known.code == reason.code && known.provider == reason.provider) {
                    reasons.push(reason.clone());
                }
            }
        }
        let served_by = ServedBy::Host { name: "local".to_owned() };
        Ok(Outcome { reasons, elapsed: started.elapsed(), ..Outcome::new(ProcessBatchOutput { items }, served_by) })
    }

    async fn process_one(&self, context: &CallContext, image: BatchImage, options: &ProcessingOptions) -> BatchItem {
        let source = image.image.clone();
        let work = async move {
            let mut input = options.crop_of(source.clone());
            if !options.kinds.is_empty() {
                let looked = DetectInput { image: source, kinds: options.kinds.clone(), threshold: options.threshold };
                input.detections = self.detect(context, looked).await?.value.detections;
            }
            let detections = input.detections.clone();
            Ok((self.crop(context, input).await?, detections))
        };
        // What would not come to its turn any more is not begun.
        let done =
            if context.deadline.has_passed() { Err(late()) } else { context.deadline.bound("an image", work).await.and_then(|done| done) };
        match done {
            Ok((output, detections)) => BatchItem { image, detections, result: Ok(output) },
            Err(failure) => BatchItem { image, detections: Vec::new(), result: Err(failure) },
        }
    }

    /// Refuses what would be wrong with every image. `store` is whether results are written below the media root.
    ///
    /// # Errors
    /// As [`Self::crop`] for a wrong request.
    pub fn check_processing(&self, options: &ProcessingOptions, store: bool) -> Result<(), Failure> {
        if options.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return Err(Failure::invalid("detect.threshold-invalid", "the threshold is a number from 0 to 1"));
        }
        self.check_crop(&CropInput { store, ..options.crop_of(ImageSource::Path(String::new())) })
    }
}

/// Refuses no images and too many.
pub(crate) fn check_count(images: usize, most: usize) -> Result<(), Failure> {
    if images == 0 {
        return Err(Failure::invalid("batch.empty", "there is no image to work on"));
    }
    if images > most {
        let message = format!("{images} images are too many; at most {most}");
        return Err(Failure::limit("batch.too-many-images", message).with_detail(serde_json::json!({ "max_images": most })));
    }
    Ok(())
}

fn late() -> Failure {
    Failure::new(FailureKind::Timeout, "call.deadline", "the time of the call ran out before the image's turn")
}
