//! Lists of images in a file below the media root: JSONL, or CSV with a head line.

use std::fs::File;
use std::io::Read as _;

use breakwater_core::{Failure, FailureKind};
use serde_json::{Map, Value, json};

use super::entry::refused;
use super::starting::ManifestFormat;
use super::violations::Violations;
use super::{BatchEntry, MAX_IMAGES, MAX_MANIFEST_BYTES};
use crate::media::MediaRoot;
use crate::process_batch::check_count;

/// Columns of CSV whose values are text; all others are JSON: numbers, `true`, `["face"]`.
const TEXTS: [&str; 5] = ["image_path", "id", "target_aspect_ratio", "crop_strategy", "output_format"];

/// The images of a list. Blocks.
///
/// # Errors
/// As [`MediaRoot::read`]; `batch.manifest-invalid` with the lines that are wrong, `batch.manifest-too-large` (limit), `batch.empty`,
/// `batch.too-many-images` (limit).
pub(super) fn entries(media: &MediaRoot, path: &str, format: Option<ManifestFormat>) -> Result<Vec<BatchEntry>, Failure> {
    let format = format.or_else(|| ManifestFormat::of_name(path)).ok_or_else(|| {
        Failure::invalid("batch.manifest-invalid", "name the format of the manifest, or let its name end in .jsonl, .ndjson or .csv")
    })?;
    let text = text_of(media.open_file(path)?)?;
    let mut list = List::default();
    match format {
        ManifestFormat::Jsonl => jsonl(&text, &mut list),
        ManifestFormat::Csv => csv(&text, &mut list)?,
    }
    list.finish()
}

fn text_of(file: File) -> Result<String, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::new(FailureKind::Unavailable, "media.read-failed", "the file could not be read").caused_by(error);
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        let message = format!("a manifest has at most {MAX_MANIFEST_BYTES} bytes");
        return Err(Failure::limit("batch.manifest-too-large", message).with_detail(json!({ "max_bytes": MAX_MANIFEST_BYTES })));
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid("batch.manifest-invalid", "the manifest is no UTF-8"))
}

/// Images, and what is wrong with lines.
#[derive(Default)]
struct List {
    entries: Vec<BatchEntry>,
    wrong: Violations,
}

impl List {
    /// Adds what a line says, or why it says nothing.
    fn put(&mut self, line: u64, value: Result<Value, String>) {
        match value.map(BatchEntry::of_value) {
            Ok(Ok(entry)) => self.entries.push(entry.of_line(line)),
            Ok(Err(violations)) => self.wrong.put_below(&format!("/{line}"), violations),
            Err(message) => self.wrong.put(format!("/{line}"), message),
        }
    }

    /// Whether there is any sense in reading on.
    fn is_full(&self) -> bool {
        self.entries.len() > MAX_IMAGES || self.wrong.is_full()
    }

    fn finish(self) -> Result<Vec<BatchEntry>, Failure> {
        if !self.wrong.is_empty() {
            return Err(refused(self.wrong, true));
        }
        check_count(self.entries.len(), MAX_IMAGES)?;
        Ok(self.entries)
    }
}

fn jsonl(text: &str, list: &mut List) {
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        list.put(number, serde_json::from_str(line).map_err(|error| within_line(&error)));
        if list.is_full() {
            return;
        }
    }
}

/// What is wrong with the JSON of a line. Which line it is, its reader knows better: to it, every line is the first.
fn within_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), |what| format!("{what} at column {}", error.column()))
}

fn csv(text: &str, list: &mut List) -> Result<(), Failure> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| Failure::invalid("batch.manifest-invalid", error.to_string()))?.clone();
    if !head.iter().any(|name| name == "image_path") {
        return Err(Failure::invalid("batch.manifest-invalid", "the head line of the manifest names no column `image_path`"));
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                list.put(error.position().map_or(0, csv::Position::line), Err(error.to_string()));
                return Ok(());
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cells = head.iter().zip(&record).filter(|(_, cell)| !cell.trim().is_empty());
        let fields = cells.map(|(name, cell)| Ok((name.to_owned(), value(name, cell)?))).collect::<Result<Map<_, _>, String>>();
        list.put(line, fields.map(Value::Object));
        if list.is_full() {
            return Ok(());
        }
    }
    Ok(())
}

fn value(name: &str, cell: &str) -> Result<Value, String> {
    if TEXTS.contains(&name) {
        return Ok(cell.into());
    }
    serde_json::from_str(cell).map_err(|_| format!("`{name}` is no JSON: {cell:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &[u8], format: Option<ManifestFormat>) -> Result<Vec<BatchEntry>, Failure> {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(name), content).unwrap();
        entries(&MediaRoot::open(root.path(), "output", 10).unwrap(), name, format)
    }

    fn paths(entries: Vec<BatchEntry>) -> Vec<(String, Option<String>)> {
        entries.into_iter().map(|entry| entry.item(None)).map(|item| (item.image_path, item.id)).collect()
    }

    #[test]
    fn both_kinds_name_images_ids_and_options() {
        let jsonl = "\"/a.jpg\"\n\n{\"image_path\": \"/b.jpg\", \"id\": \"two\", \"quality\": 80}\n";
        let csv = "image_path, id,quality,target_aspect_ratio,detection_types\n/a.jpg,,,,\n/b.jpg,two,80,4:6,\"[\"\"face\"\"]\"\n";
        let wanted = [("/a.jpg".to_owned(), None), ("/b.jpg".to_owned(), Some("two".to_owned()))];
        assert_eq!(paths(read("list.jsonl", jsonl.as_bytes(), None).unwrap()), wanted);
        assert_eq!(paths(read("list.csv", csv.as_bytes(), None).unwrap()), wanted);
        assert_eq!(paths(read("list", jsonl.as_bytes(), Some(ManifestFormat::Jsonl)).unwrap()), wanted);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let failure = read("l.jsonl", b"\"/a.jpg\"\n{\"image_path\": 3}\nnope\n", None).unwrap_err();
        assert_eq!(failure.code, "batch.manifest-invalid");
        let violations = failure.detail.unwrap()["violations"].as_array().unwrap().clone();
        assert_eq!(violations.iter().map(|one| one["pointer"].as_str().unwrap()).collect::<Vec<_>>(), ["/2/image_path", "/3"]);
        assert_eq!(violations[1]["message"], "expected ident at column 2");
        assert_eq!(failure.message, "line 2 of the manifest: /image_path: it is no text (and 1 more)");
        for (name, content) in [
            ("l.csv", &b"path\n/a.jpg\n"[..]),
            ("l.csv", b"image_path,quality\n/a.jpg,high\n"),
            ("l.csv", b"image_path,colour\n/a.jpg,1\n"),
            ("l.csv", b"image_path,id\n/a.jpg\n"),
            ("l.txt", b"/a.jpg\n"),
            ("l.jsonl", b"\xff\n"),
        ] {
            assert_eq!(read(name, content, None).unwrap_err().code, "batch.manifest-invalid", "{content:?}");
        }
        assert_eq!(read("l.jsonl", b"\n\n", None).unwrap_err().code, "batch.empty");
    }

    #[test]
    fn a_manifest_has_a_largest_size_and_number() {
        let many = "\"a\"\n".repeat(MAX_IMAGES + 1);
        assert_eq!(read("l.jsonl", many.as_bytes(), None).unwrap_err().code, "batch.too-many-images");
        assert_eq!(read("l.jsonl", &many.as_bytes()[4..], None).unwrap().len(), MAX_IMAGES);
        let large = vec![b' '; usize::try_from(MAX_MANIFEST_BYTES).unwrap() + 1];
        assert_eq!(read("l.jsonl", &large, None).unwrap_err().code, "batch.manifest-too-large");
    }
}
