//! Batches as they go over the wire.

use std::time::Duration;

use axum::http::HeaderMap;
use breakwater_core::Failure;
use breakwater_operations::ProcessingOptions;
use breakwater_operations::batches::{Batch, BatchEntry, BatchResult, BatchSource, DEFAULT_CONCURRENCY, ManifestFormat, NewBatch};
use breakwater_operations::workflows::StepError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::crop_request::RatioForms;
use super::execution_body;
use crate::caller;
use crate::form::field_invalid;
use crate::json::Known;

/// Many images and what is done with each. One of `images`, `folder` and `manifest`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = BatchRequest)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// Paths below the media root, or objects with `image_path`, `id` and options of their own.
    #[schema(value_type = Option<Vec<BatchImageForms>>)]
    images: Option<Vec<Value>>,
    /// A folder below the media root: every picture in it and in the folders in it.
    #[schema(example = "/photos")]
    folder: Option<String>,
    /// A list below the media root, JSONL or CSV.
    manifest: Option<String>,
    /// `jsonl` or `csv`; told by the end of the manifest's name when absent.
    manifest_format: Option<String>,
    /// What is done with each image.
    #[schema(value_type = Option<ProcessingOptionsBody>)]
    processing_options: Option<Value>,
    /// Images at once, 1 to 64; 4 when absent.
    #[schema(minimum = 1, maximum = 64)]
    concurrency: Option<u32>,
    /// Starting twice with one key and one list is starting once.
    idempotency_key: Option<String>,
    /// Whether to wait for the end; false when absent.
    wait: Option<bool>,
    /// How long to wait for the end, in milliseconds; as long as the service lets a call take when absent.
    wait_timeout_ms: Option<u64>,
}

/// An image by its path, or with options of its own.
#[derive(ToSchema)]
#[schema(as = BatchImage)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: a value is read with a clearer error than an untagged one gives")]
pub(crate) enum BatchImageForms {
    /// Below the media root.
    Path(String),
    /// With `image_path`, `id`, and any of the processing options instead of those for all.
    Own(Map<String, Value>),
}

/// What is done with each image.
#[derive(ToSchema)]
#[schema(as = ProcessingOptions)]
#[expect(dead_code, reason = "only its schema is used: the operation reads the value, by its own schema")]
pub(crate) struct ProcessingOptionsBody {
    /// The ratio of the crops, as `{"width": 4, "height": 6}` or `"4:6"`. When absent, that of `width` and `height`.
    target_aspect_ratio: Option<RatioForms>,
    /// Name of a strategy; `center_faces` when absent.
    crop_strategy: Option<String>,
    /// Parameters of the strategy.
    strategy_parameters: Option<Map<String, Value>>,
    /// `face`, `person`, `object`: what is looked for and cut by; what the strategy wants when absent or empty.
    detection_types: Option<Vec<String>>,
    /// The least confidence of what is looked for, 0 to 1; 0.5 when absent.
    confidence_threshold: Option<f32>,
    /// `jpeg`, `png`, `webp` or `avif`; that of each image when absent.
    output_format: Option<String>,
    /// 1 to 100, for the lossy formats.
    quality: Option<u8>,
    /// Columns of the results.
    width: Option<u32>,
    /// Rows of the results.
    height: Option<u32>,
    /// Whether EXIF data is kept.
    keep_metadata: Option<bool>,
}

impl Known for BatchRequest {
    const FIELDS: &'static [&'static str] = &[
        "images",
        "folder",
        "manifest",
        "manifest_format",
        "processing_options",
        "concurrency",
        "idempotency_key",
        "wait",
        "wait_timeout_ms",
    ];
}

impl BatchRequest {
    /// How long to wait for the end, if at all.
    pub(crate) fn patience(&self, most: Duration) -> Option<Duration> {
        execution_body::patience(self.wait.unwrap_or(false), self.wait_timeout_ms, most)
    }

    /// What it asks for.
    ///
    /// # Errors
    /// `request.field-invalid`, `batch.entry-invalid`, `batch.options-invalid`, `crop.ratio-invalid`, and as [`caller::one_key`].
    pub(crate) fn new_batch(self, headers: &HeaderMap) -> Result<NewBatch, Failure> {
        let format = self.manifest_format.as_deref().map(format).transpose()?;
        if format.is_some() && self.manifest.is_none() {
            return Err(field_invalid("manifest_format", "is that of a manifest, and there is none"));
        }
        let source = match (self.images, self.folder, self.manifest) {
            (Some(images), None, None) => BatchEntry::list(images).map(BatchSource::Images),
            (None, Some(folder), None) => Ok(BatchSource::Folder(folder)),
            (None, None, Some(path)) => Ok(BatchSource::Manifest { path, format }),
            (None, None, None) => return Err(field_invalid("images", "is missing: list images, or name a folder or a manifest")),
            _ => return Err(field_invalid("images", "only one of images, folder and manifest can be meant")),
        };
        let idempotency_key = caller::one_key(self.idempotency_key, headers)?;
        let options = self.processing_options.map(ProcessingOptions::of_json).transpose();
        let (source, options) = match (source, options) {
            (Ok(source), Ok(options)) => (source, options.unwrap_or_default()),
            (Err(failure), Err(other)) => return Err(together(failure, &other)),
            (Err(failure), _) | (_, Err(failure)) => return Err(failure),
        };
        Ok(NewBatch { source, options, concurrency: self.concurrency.unwrap_or(DEFAULT_CONCURRENCY), idempotency_key })
    }
}

/// The first failure, which also tells what another says is wrong elsewhere.
fn together(mut failure: Failure, other: &Failure) -> Failure {
    let elsewhere = other.detail.as_ref().and_then(|detail| detail.get("violations")).and_then(Value::as_array);
    let told = failure.detail.as_mut().and_then(|detail| detail.get_mut("violations")).and_then(Value::as_array_mut);
    if let (Some(told), Some(elsewhere)) = (told, elsewhere) {
        told.extend(elsewhere.iter().cloned());
    }
    failure
}

fn format(name: &str) -> Result<ManifestFormat, Failure> {
    match name {
        "jsonl" => Ok(ManifestFormat::Jsonl),
        "csv" => Ok(ManifestFormat::Csv),
        _ => Err(field_invalid("manifest_format", "formats are jsonl and csv")),
    }
}

/// A batch and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Batch)]
pub(crate) struct BatchBody {
    /// Names it.
    pub(crate) id: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED` or `PAUSED`. One whose images failed is `COMPLETED` all the same.
    #[schema(example = "RUNNING")]
    status: &'static str,
    /// How far it is.
    progress: BatchProgressBody,
    /// Where its list came from: `"images"`, or an object with `folder` or `manifest`.
    source: Value,
    /// What is done with each image, as `crop-image` takes it.
    #[schema(value_type = Object)]
    options: Map<String, Value>,
    /// What is looked for beforehand, as `detect-objects` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    detect: Option<Map<String, Value>>,
    /// Images at once.
    concurrency: u32,
    /// The batch whose failed images it does again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    /// Why it ended without doing all images.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<BatchErrorBody>,
    /// The key it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    /// When it was accepted, in milliseconds since 1970.
    created_at_ms: u64,
    /// When its first image began.
    started_at_ms: Option<u64>,
    /// When it ended.
    completed_at_ms: Option<u64>,
}

/// How far a batch is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = BatchProgress)]
pub(crate) struct BatchProgressBody {
    /// Images.
    total: u64,
    /// Images that have ended.
    done: u64,
    /// Images with a result.
    succeeded: u64,
    /// Images that failed.
    failed: u64,
    /// Images that are worked on.
    running: u64,
    /// Images that ended per second: by the latest of them, or over all of a batch that has ended.
    per_second: f64,
    /// How long the rest will take at this rate, in milliseconds, once that can be told.
    eta_ms: Option<u64>,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = BatchError)]
pub(crate) struct BatchErrorBody {
    /// Stable; docs/errors.md lists every one.
    code: String,
    /// What was wrong.
    message: String,
}

impl From<StepError> for BatchErrorBody {
    fn from(error: StepError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<Batch> for BatchBody {
    fn from(batch: Batch) -> Self {
        let progress = batch.progress;
        let eta_ms = if batch.status.is_final() { None } else { progress.eta_ms() };
        Self {
            id: batch.id,
            status: batch.status.name(),
            progress: BatchProgressBody {
                total: progress.total,
                done: progress.done(),
                succeeded: progress.succeeded,
                failed: progress.failed,
                running: progress.running,
                per_second: (progress.per_second * 1000.0).round() / 1000.0,
                eta_ms,
            },
            source: batch.source,
            options: batch.options,
            detect: batch.detect,
            concurrency: batch.concurrency,
            retry_of: batch.retry_of,
            error: batch.error.map(Into::into),
            idempotency_key: batch.idempotency_key,
            created_at_ms: batch.created_at_ms,
            started_at_ms: batch.started_at_ms,
            completed_at_ms: batch.completed_at_ms,
        }
    }
}

/// What became of an image of a batch. Beside the fields here, those that `crop-image` answers with when it succeeded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub(crate) struct BatchResultBody {
    /// Its place in the list, from 0.
    index: usize,
    /// The image.
    image_path: String,
    /// What the caller calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `pending`, `running`, `succeeded` or `failed`.
    status: &'static str,
    /// `output_path`, `crop`, `output`, `image`, `score` and what else `crop-image` answers with.
    #[serde(flatten)]
    result: Map<String, Value>,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
    /// Whether that was somebody else than asked.
    degraded: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<BatchErrorBody>,
    /// When it ended, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
}

impl From<BatchResult> for BatchResultBody {
    fn from(result: BatchResult) -> Self {
        let output = match result.output {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self {
            index: result.index,
            image_path: result.image_path,
            id: result.id,
            status: result.state.name(),
            result: output,
            served_by: result.served_by,
            degraded: result.degraded,
            error: result.error.map(Into::into),
            ended_at_ms: result.ended_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_batch(body: Value) -> Result<NewBatch, Failure> {
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), "key".parse().unwrap())]);
        crate::json::read::<BatchRequest>(body.to_string().as_bytes())?.new_batch(&headers)
    }

    #[test]
    fn a_list_is_named_in_one_way() {
        let batch = new_batch(serde_json::json!({ "images": ["/a.jpg", { "image_path": "/b.jpg", "id": "b" }] })).unwrap();
        assert!(matches!(&batch.source, BatchSource::Images(images) if images.len() == 2));
        assert_eq!((batch.concurrency, batch.idempotency_key.as_deref()), (DEFAULT_CONCURRENCY, Some("key")));
        for wrong in [
            serde_json::json!({}),
            serde_json::json!({ "images": [], "folder": "/a" }),
            serde_json::json!({ "folder": "/a", "manifest": "/b.csv" }),
            serde_json::json!({ "folder": "/a", "manifest_format": "csv" }),
            serde_json::json!({ "manifest": "/a", "manifest_format": "xml" }),
            serde_json::json!({ "folder": "/a", "idempotency_key": "other" }),
            serde_json::json!({ "folder": "/a", "concurrency": "4" }),
        ] {
            assert_eq!(new_batch(wrong.clone()).unwrap_err().code, "request.field-invalid", "{wrong}");
        }
        assert_eq!(new_batch(serde_json::json!({ "folders": "/a" })).unwrap_err().code, "request.unknown-field");
    }

    #[test]
    fn what_is_wrong_with_the_list_and_with_the_options_is_told_at_once() {
        let body = serde_json::json!({ "images": ["/a.jpg", { "image_pth": "/x" }], "processing_options": { "colour": 1, "quality": 0 } });
        let failure = new_batch(body).unwrap_err();
        assert_eq!(failure.code, "batch.entry-invalid");
        let detail = failure.detail.unwrap();
        let pointers: Vec<_> = detail["violations"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
        let wrong = ["/images/1", "/images/1/image_pth", "/processing_options/colour", "/processing_options/quality"];
        assert_eq!(pointers, wrong);
    }
}
