//! `compose-sheet` as JSON. The sheet is written below the media root where there is one, otherwise it is attached.

use std::borrow::Cow;
use std::io::Read as _;

use breakwater_core::{Attachment, Failure, OperationSpec, Payload};
use breakwater_vision::sheet::{PageOrientation, SheetError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{read, read_reply};
use crate::operation::COMPOSE_SHEET;
use crate::sheet::{
    GridLayout, MAX_IMAGES, MissingCharacters, SheetContent, SheetDestination, SheetImage, SheetInput, SheetOutput, SheetSpec,
};
use crate::source::ImageSource;

/// The fields that remote services know; what is asked beyond them is for the host.
const KNOWN_TO_ALL: [&str; 5] = ["processed_images", "grid_layout", "sheet_orientation", "output_format", "store"];

#[derive(Debug, Deserialize)]
struct Input {
    processed_images: Option<Vec<String>>,
    store: Option<bool>,
    #[serde(flatten)]
    spec: SheetSpec,
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_path: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    output_paths: Vec<String>,
    output: FileJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placed: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    places_per_page: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sheet_orientation: Option<String>,
    #[serde(default)]
    turned: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing_characters: Vec<MissingJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid_layout: Option<GridLayout>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileJson {
    #[serde(default)]
    format: String,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MissingJson {
    index: usize,
    characters: String,
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    let text = json!({ "type": "string", "maxLength": 64 });
    let path = json!({ "type": "string", "minLength": 1, "maxLength": 4096 });
    let count = json!({ "type": "integer", "minimum": 0 });
    let lines = json!({ "type": "integer", "minimum": 1, "maximum": 100 });
    let grid = json!({
        "type": "object",
        "required": ["rows", "columns"],
        "properties": { "rows": lines, "columns": lines },
        "additionalProperties": false
    });
    OperationSpec {
        name: COMPOSE_SHEET.name.to_owned(),
        summary: COMPOSE_SHEET.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "processed_images": { "type": "array", "minItems": 1, "maxItems": MAX_IMAGES, "items": path },
                "grid_layout": grid,
                "photo_size": text,
                "sheet_orientation": { "enum": ["portrait", "landscape"] },
                "output_format": { "enum": ["pdf", "jpeg", "png", "webp"] },
                "page_size": text,
                "margin": text,
                "gap": text,
                "bleed": text,
                "cut_guides": { "enum": ["none", "marks", "lines"] },
                "fit": { "enum": ["fit", "fill", "crop"] },
                "crop_strategy": { "type": "string", "minLength": 1, "maxLength": 64 },
                "rotate": { "type": "boolean" },
                "copies": { "type": "integer", "minimum": 1, "maximum": 10_000 },
                "captions": { "type": "array", "maxItems": MAX_IMAGES, "items": { "type": "string", "maxLength": 1000 } },
                "caption_size": { "type": "number", "minimum": 4, "maximum": 72 },
                "dpi": { "type": "integer", "minimum": 36, "maximum": 1200 },
                "quality": { "type": "integer", "minimum": 1, "maximum": 100 },
                "store": { "type": "boolean" }
            },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["output"],
            "properties": {
                "output_path": path,
                "output_paths": { "type": "array", "items": path },
                "output": {
                    "type": "object",
                    "required": ["media_type"],
                    "properties": {
                        "format": { "type": "string", "maxLength": 32 },
                        "media_type": { "type": "string", "maxLength": 128 },
                        "bytes": count
                    }
                },
                "pages": count,
                "placed": count,
                "places_per_page": count,
                "sheet_orientation": { "enum": ["portrait", "landscape"] },
                "turned": { "type": "boolean" },
                "missing_characters": { "type": "array", "items": {
                    "type": "object",
                    "required": ["index", "characters"],
                    "properties": { "index": count, "characters": { "type": "string" } }
                } },
                "grid_layout": grid
            }
        }),
        effect: COMPOSE_SHEET.effect,
        idempotent: true,
        permission: None,
    }
}

/// Whether a call asks for more than remote services know: they would leave it out without a word.
pub(crate) fn is_beyond_others(operation: &str, payload: &Payload) -> bool {
    let beyond = |fields: &serde_json::Map<String, Value>| fields.keys().any(|name| !KNOWN_TO_ALL.contains(&name.as_str()));
    operation == COMPOSE_SHEET.name && payload.json.as_object().is_some_and(beyond)
}

/// What an adapter is asked: whether the host keeps a sheet is no matter of services elsewhere.
pub(crate) fn for_others<'a>(operation: &str, json: &'a Value) -> Cow<'a, Value> {
    if operation != COMPOSE_SHEET.name || json.get("store").is_none() {
        return Cow::Borrowed(json);
    }
    let mut json = json.clone();
    if let Some(fields) = json.as_object_mut() {
        fields.remove("store");
    }
    Cow::Owned(json)
}

/// From what a caller by name writes. `can_store` is whether there is a media root.
pub(crate) fn input(mut given: Payload, can_store: bool) -> Result<SheetInput, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    let images = match (input.processed_images, given.attachments.is_empty()) {
        (Some(paths), true) => paths.into_iter().map(|path| SheetImage::Given(ImageSource::Path(path))).collect(),
        (None, false) => given.attachments.into_iter().map(|attachment| SheetImage::Given(ImageSource::Bytes(attachment.bytes))).collect(),
        (None, true) => return Err(Failure::invalid("sheet.images-missing", "name the photographs in `processed_images`, or attach them")),
        (Some(_), false) => {
            let message = "photographs are either named in `processed_images` or attached, not both";
            return Err(Failure::invalid("sheet.options-contradict", message));
        }
    };
    let destination = if input.store.unwrap_or(can_store) { SheetDestination::Media } else { SheetDestination::Unnamed };
    Ok(SheetInput { images, spec: input.spec, destination })
}

/// For a provider that takes JSON.
pub(crate) fn to_payload(input: &SheetInput) -> Result<Payload, Failure> {
    let unwritable = |error| Failure::internal("the input of a sheet cannot be written").caused_by(error);
    let mut json = serde_json::to_value(&input.spec).map_err(unwritable)?;
    let (mut paths, mut attachments) = (Vec::new(), Vec::new());
    for image in &input.images {
        match image {
            SheetImage::Given(ImageSource::Path(text) | ImageSource::Url(text)) => paths.push(Value::from(text.clone())),
            SheetImage::File(_) => return Err(Failure::internal("files of the machine stay on it")),
            SheetImage::Given(ImageSource::Bytes(bytes)) => {
                let media_type = breakwater_vision::Format::sniff(bytes).map_or("application/octet-stream", |format| format.media_type());
                attachments.push(Attachment { media_type: media_type.to_owned(), bytes: bytes.clone() });
            }
        }
    }
    if let Some(fields) = json.as_object_mut() {
        if !paths.is_empty() {
            fields.insert("processed_images".to_owned(), paths.into());
        }
        fields.insert("store".to_owned(), (input.destination == SheetDestination::Media).into());
    }
    Ok(Payload { json, attachments })
}

/// For a caller by name: files are attached unless they were written below the media root.
pub(crate) fn output(output: SheetOutput) -> Result<Payload, Failure> {
    let (mut paths, mut attachments) = (Vec::new(), Vec::new());
    let bytes = output.files.iter().map(|file| file.bytes).sum();
    let mut attach = |bytes: Bytes| attachments.push(Attachment { media_type: output.media_type.clone(), bytes });
    for file in output.files {
        match file.content {
            SheetContent::Media(path) => paths.push(path),
            SheetContent::Bytes(bytes) => attach(bytes),
            SheetContent::File(path) => attach(std::fs::read(path).map_err(SheetError::from)?.into()),
            SheetContent::Unnamed(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(SheetError::from)?;
                attach(bytes.into());
            }
        }
    }
    let several = paths.len() > 1;
    let json = json!(Output {
        output_path: paths.first().cloned(),
        output_paths: if several { paths } else { Vec::new() },
        output: FileJson { format: output.format, media_type: output.media_type.clone(), bytes: Some(bytes) },
        pages: output.pages,
        placed: output.placed,
        places_per_page: output.places_per_page,
        sheet_orientation: output.orientation.map(|orientation| orientation.name().to_owned()),
        turned: output.turned,
        missing_characters: output
            .missing_characters
            .into_iter()
            .map(|missing| MissingJson { index: missing.index, characters: missing.characters })
            .collect(),
        grid_layout: None,
    });
    Ok(Payload { json, attachments })
}

/// What a provider that takes JSON answered.
pub(crate) struct Reply {
    /// Without its files.
    pub(crate) output: SheetOutput,
    /// Where it wrote them.
    pub(crate) paths: Vec<String>,
    /// Those that came along.
    pub(crate) attachments: Vec<Bytes>,
    /// Of all of them, if it said so.
    pub(crate) bytes: Option<u64>,
}

impl Reply {
    /// Reads an answer.
    pub(crate) fn of(payload: Payload) -> Result<Self, Failure> {
        let output: Output = read_reply(payload.json)?;
        let paths = if output.output_paths.is_empty() { output.output_path.into_iter().collect() } else { output.output_paths };
        let attachments = payload.attachments.into_iter().map(|attachment| attachment.bytes).collect();
        let missing = output.missing_characters.into_iter();
        let missing_characters =
            missing.map(|missing| MissingCharacters { index: missing.index, characters: missing.characters }).collect();
        let sheet = SheetOutput {
            files: Vec::new(),
            format: output.output.format,
            media_type: output.output.media_type,
            pages: output.pages,
            placed: output.placed,
            places_per_page: output.places_per_page,
            orientation: output.sheet_orientation.and_then(|name| name.parse::<PageOrientation>().ok()),
            turned: output.turned,
            missing_characters,
        };
        Ok(Self { output: sheet, paths, attachments, bytes: output.output.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_becomes_json_and_comes_back() {
        let spec: SheetSpec =
            serde_json::from_value(json!({ "grid_layout": { "rows": 2, "columns": 3 }, "captions": ["a", "b"], "dpi": 150 })).unwrap();
        let images = ["/a.jpg", "/b.jpg"].map(|path| SheetImage::Given(ImageSource::Path(path.into()))).to_vec();
        let given = SheetInput { images, spec, destination: SheetDestination::Media };
        let payload = to_payload(&given).unwrap();
        assert_eq!(payload.json["processed_images"], json!(["/a.jpg", "/b.jpg"]));
        let back = input(payload, false).unwrap();
        assert_eq!((back.images, back.spec, back.destination), (given.images, given.spec, given.destination));
    }

    #[test]
    fn what_remote_services_do_not_know_is_for_the_host() {
        let is_beyond = |json: Value| is_beyond_others("compose-sheet", &Payload::json(json));
        assert!(!is_beyond(json!({ "processed_images": ["a"], "grid_layout": { "rows": 1, "columns": 1 }, "store": true })));
        assert!(is_beyond(json!({ "processed_images": ["a"], "grid_layout": { "rows": 1, "columns": 1 }, "gap": "1mm" })));
        assert!(!is_beyond_others("crop-image", &Payload::json(json!({ "gap": "1mm" }))));
        let kept = json!({ "processed_images": ["a"], "store": true });
        assert_eq!(*for_others("compose-sheet", &kept), json!({ "processed_images": ["a"] }));
        assert_eq!(*for_others("crop-image", &kept), kept);
    }

    #[test]
    fn photographs_are_named_or_attached() {
        let code = |payload| input(payload, true).unwrap_err().code;
        assert_eq!(code(Payload::json(json!({}))), "sheet.images-missing");
        let attachment = Attachment { media_type: "image/png".into(), bytes: Bytes::from_static(b"x") };
        let both = Payload { json: json!({ "processed_images": ["a"] }), attachments: vec![attachment] };
        assert_eq!(code(both), "sheet.options-contradict");
    }
}
