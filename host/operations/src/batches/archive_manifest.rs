//! The manifest of an archive, as JSON and as CSV. Its rows wait in files until the pictures are written, so that it needs no memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};

use serde::Serialize;
use serde_json::Value;

use super::{Batch, BatchResult};

/// What a row says of an image.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    image_path: &'a str,
    status: &'a str,
    /// Its name in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow<'a>>,
}

#[derive(Debug, Serialize)]
struct ErrorRow<'a> {
    code: &'a str,
    message: &'a str,
}

/// The columns of the CSV.
const COLUMNS: [&str; 14] = [
    "index",
    "id",
    "image_path",
    "status",
    "file",
    "x",
    "y",
    "width",
    "height",
    "output_width",
    "output_height",
    "format",
    "error_code",
    "error",
];

impl<'a> Row<'a> {
    /// Of an image whose result is in the archive as `file`. A picture that is gone is an error.
    pub(super) fn of(result: &'a BatchResult, file: Option<&'a str>) -> Self {
        let output = result.output.as_ref();
        let field = |name: &str| output.and_then(|output| output.get(name));
        let missing = output.is_some() && file.is_none();
        let error = match &result.error {
            Some(error) => Some(ErrorRow { code: &error.code, message: &error.message }),
            None if missing => Some(ErrorRow { code: "media.not-found", message: "the result is not below the media root any more" }),
            None => None,
        };
        Self {
            index: result.index,
            id: result.id.as_deref(),
            image_path: &result.image_path,
            status: if missing { "missing" } else { result.state.name() },
            file,
            crop: field("crop"),
            output: field("output"),
            image: field("image"),
            error,
        }
    }

    fn record(&self) -> [String; 14] {
        let text = |value: Option<&Value>, name: &str| match value.and_then(|value| value.get(name)) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let (code, message) = self.error.as_ref().map_or(("", ""), |error| (error.code, error.message));
        [
            self.index.to_string(),
            self.id.unwrap_or_default().to_owned(),
            self.image_path.to_owned(),
            self.status.to_owned(),
            self.file.unwrap_or_default().to_owned(),
            text(self.crop, "x"),
            text(self.crop, "y"),
            text(self.crop, "width"),
            text(self.crop, "height"),
            text(self.output, "width"),
            text(self.output, "height"),
            text(self.output, "format"),
            code.to_owned(),
            message.to_owned(),
        ]
    }
}

/// Both manifests on their way.
pub(super) struct Manifests {
    json: BufWriter<File>,
    csv: csv::Writer<File>,
    is_first: bool,
}

impl Manifests {
    pub(super) fn begin(batch: &Batch) -> io::Result<Self> {
        let mut json = BufWriter::new(tempfile::tempfile()?);
        let progress = batch.progress;
        write!(
            json,
            "{{\"batch\":{},\"status\":\"{}\",\"total\":{},\"succeeded\":{},\"failed\":{},\"options\":{},\"items\":[",
            Value::from(batch.id.as_str()),
            batch.status.name(),
            progress.total,
            progress.succeeded,
            progress.failed,
            serde_json::to_string(&batch.options)?
        )?;
        let mut csv = csv::Writer::from_writer(tempfile::tempfile()?);
        csv.write_record(COLUMNS)?;
        Ok(Self { json, csv, is_first: true })
    }

    pub(super) fn put(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.json.write_all(if self.is_first { b"\n" } else { b",\n" })?;
        self.is_first = false;
        serde_json::to_writer(&mut self.json, row)?;
        self.csv.write_record(row.record())?;
        Ok(())
    }

    /// The JSON and the CSV, to be read from their beginnings.
    pub(super) fn finish(mut self) -> io::Result<(impl Read, impl Read)> {
        self.json.write_all(b"\n]}\n")?;
        let rewound = |mut file: File| file.seek(SeekFrom::Start(0)).map(|_| file);
        let json = rewound(self.json.into_inner().map_err(io::IntoInnerError::into_error)?)?;
        let csv = rewound(self.csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?)?;
        Ok((json, csv))
    }
}
