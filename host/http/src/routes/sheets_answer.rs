//! What `POST /v1/sheets` gives: a description, or the sheet with the description in headers.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::{Failure, Outcome};
use breakwater_operations::{MissingCharacters, SheetContent, SheetOutput};
use serde::Serialize;
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use crate::wire::{ReasonBody, each, milliseconds};

/// The bytes of a PDF.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Sheet(Vec<u8>);

/// Where the sheet is.
#[derive(Debug, Serialize, ToSchema)]
pub struct SheetAnswer {
    /// Path of the sheet below the media root; of several pictures the first.
    output_path: Option<String>,
    /// Paths of all its files: one for a PDF, one for each page of a sheet of pictures.
    output_paths: Vec<String>,
    /// Its files.
    output: SheetFilesBody,
    /// Pages; absent when another service did not say, as are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    /// Places that are filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed: Option<usize>,
    /// Places on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    places_per_page: Option<usize>,
    /// `portrait` or `landscape`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet_orientation: Option<&'static str>,
    /// Whether photographs of an exact size lie on their sides, because more of them fit so.
    turned: bool,
    /// Captions with characters that no font has; each is drawn as a box.
    missing_characters: Vec<MissingBody>,
    /// Who made it, such as `host:local`.
    served_by: String,
    /// Whether somebody else than asked made it, or a strategy did not choose a crop.
    degraded: bool,
    /// Why.
    degraded_reasons: Vec<ReasonBody>,
    /// How long it took, in milliseconds.
    elapsed_ms: f64,
}

/// Files of a sheet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SheetFiles)]
pub(crate) struct SheetFilesBody {
    /// `pdf`, `png` or `jpeg`.
    format: String,
    /// Such as `application/pdf`.
    media_type: String,
    /// Size of all of them together.
    bytes: u64,
}

/// Characters of a caption that no font has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MissingCharacters)]
pub(crate) struct MissingBody {
    /// Of the photograph.
    index: usize,
    /// Each once.
    characters: String,
}

impl From<MissingCharacters> for MissingBody {
    fn from(MissingCharacters { index, characters }: MissingCharacters) -> Self {
        Self { index, characters }
    }
}

impl From<Outcome<SheetOutput>> for SheetAnswer {
    fn from(outcome: Outcome<SheetOutput>) -> Self {
        let degraded = outcome.is_degraded();
        let Outcome { value, served_by, reasons, elapsed, .. } = outcome;
        let bytes = value.files.iter().map(|file| file.bytes).sum();
        let path = |content| match content {
            SheetContent::Media(path) => Some(path),
            SheetContent::File(path) => Some(path.display().to_string()),
            SheetContent::Unnamed(_) | SheetContent::Bytes(_) => None,
        };
        let output_paths: Vec<String> = value.files.into_iter().filter_map(|file| path(file.content)).collect();
        Self {
            output_path: output_paths.first().cloned(),
            output_paths,
            output: SheetFilesBody { format: value.format, media_type: value.media_type, bytes },
            pages: value.pages,
            placed: value.placed,
            places_per_page: value.places_per_page,
            sheet_orientation: value.orientation.map(|orientation| orientation.name()),
            turned: value.turned,
            missing_characters: each(value.missing_characters),
            served_by: served_by.label(),
            degraded,
            degraded_reasons: each(reasons),
            elapsed_ms: milliseconds(elapsed),
        }
    }
}

/// The only file of a sheet, with the rest in headers. It is sent as it is read.
///
/// # Errors
/// `internal` when there is not exactly one.
pub(crate) fn file(mut outcome: Outcome<SheetOutput>) -> Result<Response, Failure> {
    let mut files = std::mem::take(&mut outcome.value.files);
    let (Some(file), true) = (files.pop(), files.is_empty()) else {
        return Err(Failure::internal("a sheet that was one file is none or several"));
    };
    let length = file.bytes;
    let body = match file.content {
        SheetContent::Unnamed(file) => Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))),
        SheetContent::Bytes(bytes) => Body::from(bytes),
        SheetContent::Media(_) | SheetContent::File(_) => return Err(Failure::internal("a sheet went elsewhere than asked")),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // The photographs came from outside: nothing may take them for anything else, or run what is in them.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in description(&outcome) {
        // A value that cannot be a header (a reason may be named by a guest) is left out rather than failing the call.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok((headers, body).into_response())
}

fn description(outcome: &Outcome<SheetOutput>) -> Vec<(&'static str, String)> {
    let sheet = &outcome.value;
    let mut headers = vec![
        ("content-type", sheet.media_type.clone()),
        ("x-breakwater-served-by", outcome.served_by.label()),
        ("x-breakwater-degraded", outcome.is_degraded().to_string()),
        ("server-timing", format!("total;dur={}", milliseconds(outcome.elapsed))),
    ];
    headers.extend(sheet.pages.map(|pages| ("x-breakwater-pages", pages.to_string())));
    headers.extend(sheet.placed.map(|placed| ("x-breakwater-placed", placed.to_string())));
    if !sheet.missing_characters.is_empty() {
        let indices: Vec<String> = sheet.missing_characters.iter().map(|missing| missing.index.to_string()).collect();
        headers.push(("x-breakwater-missing-characters", indices.join(", ")));
    }
    if !outcome.reasons.is_empty() {
        let codes: Vec<_> = outcome.reasons.iter().map(|reason| format!("{} {}", reason.provider, reason.code)).collect();
        headers.push(("x-breakwater-degraded-reason", codes.join(", ")));
    }
    headers
}
