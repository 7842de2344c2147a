//! Imports as they go over the wire.

use breakwater_core::Failure;
use breakwater_operations::search::{ImportFormat, ImportPhase, ImportProblem, ImportRequest, ImportSource, ImportStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::form::field_invalid;
use crate::json::Known;
use crate::wire::{each, whole_milliseconds};

/// What is imported when nobody names it.
const DEFAULT_NAME: &str = "import";

/// An import to start, or to go on with. One of `folder` and `file`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ImportRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportBody {
    /// Names it: 1 to 128 letters, digits, `-`, `_` and `.`; `import` when absent. One of this name that was interrupted goes on where it was.
    #[schema(example = "autumn")]
    name: Option<String>,
    /// A folder below the media root: every picture in it becomes a product.
    #[schema(example = "/photos")]
    folder: Option<String>,
    /// A list of products below the media root, JSONL or CSV.
    file: Option<String>,
    /// `jsonl` or `csv`; told by the file's ending when absent.
    format: Option<String>,
    /// Begin anew, also if it was interrupted; false when absent.
    #[schema(default = false)]
    restart: Option<bool>,
}

impl Known for ImportBody {
    const FIELDS: &'static [&'static str] = &["name", "folder", "file", "format", "restart"];
}

impl ImportBody {
    /// What it asks for.
    ///
    /// # Errors
    /// `request.field-invalid`.
    pub(crate) fn into_request(self) -> Result<ImportRequest, Failure> {
        let format = self.format.as_deref().map(format).transpose()?;
        let source = match (self.folder, self.file) {
            (Some(_), None) if format.is_some() => return Err(field_invalid("format", "is that of a file; a folder has none")),
            (Some(folder), None) => ImportSource::Folder(folder),
            (None, Some(path)) => ImportSource::File { path, format },
            (None, None) => return Err(field_invalid("folder", "is missing: name a folder or a file below the media root")),
            (Some(_), Some(_)) => return Err(field_invalid("folder", "stands beside a file; one of the two must go")),
        };
        Ok(ImportRequest { name: name(self.name), source, restart: self.restart.unwrap_or(false) })
    }
}

/// The name of an import.
pub(crate) fn name(given: Option<String>) -> String {
    given.unwrap_or_else(|| DEFAULT_NAME.to_owned())
}

fn format(name: &str) -> Result<ImportFormat, Failure> {
    match name {
        "jsonl" => Ok(ImportFormat::Jsonl),
        "csv" => Ok(ImportFormat::Csv),
        _ => Err(field_invalid("format", "formats are jsonl and csv")),
    }
}

/// How far an import has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportStatus)]
pub struct ImportAnswer {
    /// Its name.
    #[schema(example = "autumn")]
    name: String,
    /// The folder it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// The file it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// `running`, `finished`, `cancelled`, or `interrupted`; the same request goes on with the last two.
    #[schema(example = "running")]
    state: &'static str,
    /// Items read so far, failed ones included.
    position: u64,
    /// Items in all, once they have been counted.
    total: Option<u64>,
    /// Products stored.
    stored: u64,
    /// Items that failed.
    failed: u64,
    /// The last items that failed, at most 100.
    problems: Vec<ImportProblemBody>,
    /// Why it was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted_by: Option<ImportProblemBody>,
    /// How long it has run since it was started last, in milliseconds.
    elapsed_ms: u64,
    /// Items per second since then.
    rate: f64,
}

/// An item that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportProblem)]
pub(crate) struct ImportProblemBody {
    /// Which, counted from 1.
    item: u64,
    /// Its id or path, as far as it could be read.
    name: String,
    /// Stable code of the failure.
    code: String,
    /// What was wrong.
    message: String,
}

/// Every import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportList)]
pub(crate) struct ImportListAnswer {
    /// By name.
    pub(crate) imports: Vec<ImportAnswer>,
}

impl From<ImportProblem> for ImportProblemBody {
    fn from(ImportProblem { item, name, code, message }: ImportProblem) -> Self {
        Self { item, name, code, message }
    }
}

impl From<ImportStatus> for ImportAnswer {
    fn from(status: ImportStatus) -> Self {
        let (folder, file) = match status.source {
            ImportSource::Folder(path) => (Some(path), None),
            ImportSource::File { path, .. } => (None, Some(path)),
        };
        Self {
            name: status.name,
            folder,
            file,
            state: match status.phase {
                ImportPhase::Running => "running",
                ImportPhase::Finished => "finished",
                ImportPhase::Cancelled => "cancelled",
                ImportPhase::Interrupted => "interrupted",
            },
            position: status.position,
            total: status.total,
            stored: status.stored,
            failed: status.failed,
            problems: each(status.problems),
            interrupted_by: status.interrupted_by.map(ImportProblemBody::from),
            elapsed_ms: whole_milliseconds(status.elapsed),
            rate: status.rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::json;

    fn read(text: &str) -> Result<ImportRequest, String> {
        json::read::<ImportBody>(text.as_bytes()).and_then(ImportBody::into_request).map_err(|failure| failure.code.into_owned())
    }

    #[test]
    fn a_folder_or_a_file_is_imported() {
        let folder = ImportRequest { name: "import".into(), source: ImportSource::Folder("/photos".into()), restart: false };
        assert_eq!(read(r#"{"folder": "/photos"}"#), Ok(folder));
        let source = ImportSource::File { path: "/a.txt".into(), format: Some(ImportFormat::Csv) };
        let file = ImportRequest { name: "autumn".into(), source, restart: true };
        assert_eq!(read(r#"{"name": "autumn", "file": "/a.txt", "format": "csv", "restart": true}"#), Ok(file));
        for text in ["{}", r#"{"folder": "a", "file": "b"}"#, r#"{"folder": "a", "format": "csv"}"#, r#"{"file": "a", "format": "xml"}"#] {
            assert_eq!(read(text), Err("request.field-invalid".into()), "{text}");
        }
    }

    #[test]
    fn an_interrupted_import_says_why() {
        let problem = ImportProblem { item: 3, name: "c.jpg".into(), code: "image.invalid".into(), message: "no picture".into() };
        let status = ImportStatus {
            name: "autumn".into(),
            source: ImportSource::Folder("/photos".into()),
            phase: ImportPhase::Interrupted,
            position: 3,
            total: Some(10),
            stored: 2,
            failed: 1,
            problems: vec![problem.clone()],
            interrupted_by: Some(problem),
            elapsed: Duration::from_millis(1500),
            rate: 2.0,
        };
        let problem = json!({ "item": 3, "name": "c.jpg", "code": "image.invalid", "message": "no picture" });
        assert_eq!(
            serde_json::to_value(ImportAnswer::from(status)).unwrap(),
            json!({
                "name": "autumn", "folder": "/photos", "state": "interrupted", "position": 3, "total": 10, "stored": 2, "failed": 1,
                "problems": [problem], "interrupted_by": problem, "elapsed_ms": 1500, "rate": 2.0,
            })
        );
    }
}
