//! `process-batch` as JSON, with the names of the image-processing client.

use std::sync::LazyLock;

use breakwater_core::{Failure, FailureKind, OperationSpec, Payload};
use breakwater_plugins::OperationSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{DetectionJson, crop, detection_schema, ratio_schema, read};
use crate::batches::{OptionsJson, ProcessingOptions};
use crate::operation::PROCESS_BATCH;
use crate::process_batch::{BatchImage, BatchItem, MAX_IMAGES, ProcessBatchInput, ProcessBatchOutput};
use crate::source::ImageSource;

/// The longest message of a failure that a caller is told, in characters.
const MAX_MESSAGE: usize = 1024;

#[derive(Debug, Deserialize)]
struct Input {
    images: Option<Vec<ImageJson>>,
    #[serde(default)]
    processing_options: OptionsJson,
}

/// An image by its path alone, or with a name of the caller's.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ImageJson {
    Path(String),
    Named { image_path: String, id: Option<String> },
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    let path = json!({ "type": "string", "minLength": 1, "maxLength": 4096 });
    let count = json!({ "type": "integer", "minimum": 0 });
    let image = json!({ "anyOf": [path, {
        "type": "object",
        "required": ["image_path"],
        "properties": { "image_path": path, "id": { "type": "string", "maxLength": 256 } },
        "additionalProperties": false
    }] });
    let detections = json!({ "type": "array", "maxItems": 10_000, "items": detection_schema() });
    let error = json!({
        "type": "object",
        "required": ["error_code", "message"],
        "properties": { "error_code": { "type": "string", "maxLength": 128 }, "message": { "type": "string" } }
    });
    OperationSpec {
        name: PROCESS_BATCH.name.to_owned(),
        summary: PROCESS_BATCH.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {
                // How many there may be is said by the operation itself, which calls it a limit.
                "images": { "type": "array", "items": image },
                "processing_options": options_schema()
            },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["results", "total", "succeeded", "failed"],
            "properties": {
                "results": { "type": "array", "items": {
                    "type": "object",
                    "required": ["success"],
                    "properties": {
                        "image_path": path,
                        "id": { "type": "string" },
                        "success": { "type": "boolean" },
                        "output_path": path,
                        "detections": detections,
                        "result": crop::spec().output_schema,
                        "error": error
                    }
                } },
                "total": count,
                "succeeded": count,
                "failed": count
            }
        }),
        effect: PROCESS_BATCH.effect,
        idempotent: true,
        permission: None,
    }
}

fn options_schema() -> Value {
    let edge = json!({ "type": "integer", "minimum": 1, "maximum": 65_535 });
    json!({
        "type": "object",
        "properties": {
            "target_aspect_ratio": ratio_schema(),
            "crop_strategy": { "type": "string", "minLength": 1, "maxLength": 64 },
            "strategy_parameters": { "type": "object" },
            "detection_types": { "type": "array", "maxItems": 16, "items": { "enum": ["face", "person", "object"] } },
            "confidence_threshold": { "type": "number", "minimum": 0, "maximum": 1 },
            "output_format": { "enum": ["jpeg", "png", "webp", "avif"] },
            "quality": { "type": "integer", "minimum": 1, "maximum": 100 },
            "width": edge,
            "height": edge,
            "keep_metadata": { "type": "boolean" }
        },
        "additionalProperties": false
    })
}

/// Holds `processing_options` against their schema.
///
/// # Errors
/// A failure that lists the violations, with pointers below `/processing_options`.
pub(crate) fn check_options(options: &Value) -> Result<(), Failure> {
    static SCHEMA: LazyLock<Option<OperationSchema>> = LazyLock::new(|| OperationSchema::compile(spec()).ok());
    let schema = SCHEMA.as_ref().ok_or_else(|| Failure::internal("the schema of process-batch is none"))?;
    schema.check_input(&json!({ "processing_options": options }))
}

/// Whether a call asks for more than remote services know, which take images by their paths alone.
pub(crate) fn is_beyond_others(operation: &str, payload: &Payload) -> bool {
    let images = payload.json.get("images").and_then(Value::as_array);
    operation == PROCESS_BATCH.name && images.is_some_and(|images| images.iter().any(|image| !image.is_string()))
}

/// From what a caller by name writes.
pub(crate) fn input(mut given: Payload) -> Result<ProcessBatchInput, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    let images: Vec<BatchImage> = match (input.images, given.attachments.is_empty()) {
        (Some(images), true) => images.into_iter().map(ImageJson::image).collect(),
        (None, _) => {
            let attached = given.attachments.into_iter();
            attached.map(|attachment| BatchImage { image: ImageSource::Bytes(attachment.bytes), id: None }).collect()
        }
        (Some(_), false) => {
            return Err(Failure::invalid("batch.source-invalid", "images are either named in `images` or attached, not both"));
        }
    };
    crate::process_batch::check_count(images.len(), MAX_IMAGES)?;
    Ok(ProcessBatchInput { images, options: input.processing_options.over(&ProcessingOptions::default())? })
}

impl ImageJson {
    fn image(self) -> BatchImage {
        match self {
            Self::Path(path) => BatchImage { image: ImageSource::Path(path), id: None },
            Self::Named { image_path, id } => BatchImage { image: ImageSource::Path(image_path), id },
        }
    }
}

/// For a caller by name. Every picture is below the media root.
pub(crate) fn output(output: ProcessBatchOutput) -> Payload {
    let succeeded = output.items.iter().filter(|item| item.result.is_ok()).count();
    let total = output.items.len();
    let results: Vec<Value> = output.items.into_iter().map(item).collect();
    Payload::json(json!({ "results": results, "total": total, "succeeded": succeeded, "failed": total - succeeded }))
}

fn item(item: BatchItem) -> Value {
    let mut fields = Map::new();
    if let ImageSource::Path(path) = item.image.image {
        fields.insert("image_path".to_owned(), path.into());
    }
    if let Some(id) = item.image.id {
        fields.insert("id".to_owned(), id.into());
    }
    fields.insert("success".to_owned(), item.result.is_ok().into());
    let detections: Vec<_> = item.detections.iter().map(DetectionJson::from).collect();
    fields.insert("detections".to_owned(), json!(detections));
    match item.result {
        Ok(crop) => {
            fields.extend(crop.output_path.clone().map(|path| ("output_path".to_owned(), path.into())));
            fields.insert("result".to_owned(), crop::output(&crop).json);
        }
        Err(failure) => {
            // What a defect says stays in the log.
            let internal = failure.kind == FailureKind::Internal;
            let message: String = if internal { "internal error".to_owned() } else { failure.message.chars().take(MAX_MESSAGE).collect() };
            fields.insert("error".to_owned(), json!({ "error_code": failure.code, "message": message }));
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_path_or_with_an_id() {
        let given = json!({
            "images": ["/a.jpg", { "image_path": "/b.jpg", "id": "second" }],
            "processing_options": { "target_aspect_ratio": { "width": 4, "height": 6 }, "crop_strategy": "center", "detection_types": ["face"] }
        });
        OperationSchema::compile(spec()).unwrap().check_input(&given).unwrap();
        let read = input(Payload::json(given)).unwrap();
        assert_eq!(read.images[0], BatchImage { image: ImageSource::Path("/a.jpg".into()), id: None });
        assert_eq!(read.images[1].id.as_deref(), Some("second"));
        assert_eq!((read.options.ratio.unwrap().to_string(), read.options.kinds.len()), ("4:6".to_owned(), 1));
    }

    #[test]
    fn no_images_and_too_many_are_refused_by_name() {
        let code =
            |count: usize| input(Payload::json(json!({ "images": vec!["/a.jpg"; count] }))).map(drop).map_err(|failure| failure.code);
        assert_eq!(code(0).unwrap_err(), "batch.empty");
        assert_eq!(code(MAX_IMAGES + 1).unwrap_err(), "batch.too-many-images");
        code(MAX_IMAGES).unwrap();
        assert_eq!(input(Payload::json(json!({}))).unwrap_err().code, "batch.empty");
    }

    #[test]
    fn what_services_elsewhere_do_not_know_is_for_the_host() {
        let is_beyond = |images: Value| is_beyond_others("process-batch", &Payload::json(json!({ "images": images })));
        assert!(is_beyond(json!(["/a.jpg", { "image_path": "/b.jpg" }])));
        assert!(!is_beyond(json!(["/a.jpg"])));
        assert!(!is_beyond_others("crop-image", &Payload::json(json!({ "images": [{}] }))));
    }

    #[test]
    fn a_failed_image_is_told_by_its_code() {
        let failure = Failure::new(FailureKind::NotFound, "media.not-found", "there is no such file below the media root");
        let image = BatchImage { image: ImageSource::Path("/a.jpg".into()), id: Some("x".into()) };
        let reply = output(ProcessBatchOutput { items: vec![BatchItem { image, detections: Vec::new(), result: Err(failure) }] });
        OperationSchema::compile(spec()).unwrap().check_output(&reply.json).unwrap();
        assert_eq!((&reply.json["total"], &reply.json["failed"], &reply.json["succeeded"]), (&json!(1), &json!(1), &json!(0)));
        let result = &reply.json["results"][0];
        assert_eq!(
            (&result["id"], &result["image_path"], &result["error"]["error_code"]),
            (&json!("x"), &json!("/a.jpg"), &json!("media.not-found"))
        );
    }
}
